"""The Lanczos basis: where it is kept, and sweeps that read it once."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from collapse.errors import BadParameter, StoreError

# Within a block products are summed in the vectors' own precision, across blocks in float64.
# At 8,192 terms the float32 part of the error stays near 1e-6; at 1e8 it would be 1e-2.
_BLOCK = 8_192
# A tile of 30 float32 rows (1 MB) stays in a core's cache between the two uses a sweep makes
# of it; an accelerator wants fewer, larger launches.
_TILE_CPU = _BLOCK
_TILE_DEVICE = 512 * _BLOCK


@dataclass(frozen=True)
class Basis:
    """Storage for the orthonormal vectors of one Lanczos run.

    Attributes:
        rows: the vectors, (capacity, P); rows that were not written yet hold anything.
        path: the file behind the rows, None where they are in memory.
    """

    rows: torch.Tensor
    path: Path | None = None

    def tiles(self) -> Iterator[slice]:
        """Slices of the vector dimension, in order, each small enough to stay in cache."""
        width = _TILE_CPU if self.rows.device.type == "cpu" else _TILE_DEVICE
        length = self.rows.shape[1]
        return (slice(at, min(at + width, length)) for at in range(0, length, width))

    def flush(self) -> None:
        """Write what a file-backed basis holds to its file; nothing to do in memory."""
        if self.path is not None:
            descriptor = os.open(self.path, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def open_basis(
    length: int,
    capacity: int,
    dtype: torch.dtype = torch.float32,
    *,
    device: torch.device | str = "cpu",
    memory_limit_bytes: int | None = None,
    path: Path | None = None,
) -> Basis:
    """Room for a number of vectors: in memory where the limit allows it, else in a file.

    An existing file is opened with what it holds, so that a run can be continued.

    Args:
        length: entries of a vector, P.
        capacity: vectors, one more than the steps to be made.
        dtype: float32 or float64.
        device: where vectors in memory live; those in a file are used from the CPU.
        memory_limit_bytes: the most memory the basis may take; None for no limit.
        path: the file for a basis above the limit. Its bytes are claimed at once.

    Raises:
        BadParameter: the type is not float32 or float64, a size is not positive, or the basis
            is above the limit and there is no path.
        StoreError: the file cannot be made, for instance as the disk is full.
    """
    if dtype not in (torch.float32, torch.float64):
        raise BadParameter(f"a Lanczos basis of {dtype}: use torch.float32 or torch.float64")
    if length < 1 or capacity < 1:
        raise BadParameter(f"a Lanczos basis of {capacity} x {length}: both must be at least 1")
    needed = length * capacity * dtype.itemsize
    if memory_limit_bytes is None or needed <= memory_limit_bytes:
        return Basis(torch.empty(capacity, length, dtype=dtype, device=device))
    if path is None:
        raise BadParameter(
            f"the Lanczos basis needs {needed} bytes, more than the limit of {memory_limit_bytes}: "
            "raise the limit, take fewer steps or name a file for it"
        )
    return Basis(_mapped(path, capacity, length, dtype), path)


def _mapped(path: Path, capacity: int, length: int, dtype: torch.dtype) -> torch.Tensor:
    needed = capacity * length * dtype.itemsize
    try:
        with path.open("ab") as file:
            # Claimed now: a disk that fills up under a mapping kills the process without a word.
            os.posix_fallocate(file.fileno(), 0, needed)
    except OSError as error:
        raise StoreError(
            f"cannot keep {needed} bytes of Lanczos basis in {path}: {error}"
        ) from None
    kind = np.float32 if dtype == torch.float32 else np.float64
    return torch.from_numpy(np.memmap(path, dtype=kind, mode="r+", shape=(capacity, length)))


def _dots(rows_MxN: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Inner products of one tile's rows with a vector, float64 (M,)."""
    count, length = rows_MxN.shape
    if length <= _BLOCK:
        return torch.mv(rows_MxN, vector).double()
    blocks = length // _BLOCK
    whole = blocks * _BLOCK
    total = torch.mv(rows_MxN[:, whole:], vector[whole:]).double()
    left = rows_MxN[:, :whole].unflatten(1, (blocks, _BLOCK)).transpose(0, 1)
    right = vector[:whole].view(blocks, _BLOCK, 1)
    return total + torch.bmm(left, right).view(blocks, count).double().sum(0)


def _dot(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The inner product of two parts of vectors, all in float64: cheap beside a whole basis."""
    return torch.dot(left.double(), right.double())


def inner_product(left: torch.Tensor, right: torch.Tensor) -> float:
    """The inner product of two vectors (P,), multiplied and summed in float64, part by part."""
    total = torch.zeros((), dtype=torch.float64, device=left.device)
    width = 8 * _TILE_CPU if left.device.type == "cpu" else _TILE_DEVICE
    for at in range(0, len(left), width):
        total += _dot(left[at : at + width], right[at : at + width])
    return float(total)


def sweep(
    basis: Basis, count: int, vector: torch.Tensor, coefficients: torch.Tensor | None
) -> tuple[torch.Tensor, float]:
    """Subtract a combination of basis vectors, and project what is left; one read of the basis.

    Args:
        basis: the basis.
        count: how many of its vectors take part, M.
        vector: (P,), on the basis's device; changed in place.
        coefficients: what to subtract of each vector, float64 (M,), or None for nothing.

    Returns:
        The overlaps of the result with the M vectors, float64 (M,), and its squared norm.
    """
    overlaps = torch.zeros(count, dtype=torch.float64, device=vector.device)
    squared = torch.zeros((), dtype=torch.float64, device=vector.device)
    factors = None if coefficients is None else coefficients.to(vector.dtype)
    for tile in basis.tiles():
        rows, part = basis.rows[:count, tile], vector[tile]
        if factors is not None:
            part.addmv_(rows.T, factors, alpha=-1)
        overlaps += _dots(rows, part)
        squared += _dot(part, part)
    return overlaps, float(squared)


def combine(basis: Basis, weights_MxK: torch.Tensor) -> torch.Tensor:
    """Combinations of the first M basis vectors, (K, P), in one read of the basis."""
    count, combinations = weights_MxK.shape
    made = torch.empty(
        combinations, basis.rows.shape[1], dtype=basis.rows.dtype, device=basis.rows.device
    )
    factors = weights_MxK.to(made.dtype).to(made.device).T.contiguous()
    for tile in basis.tiles():
        made[:, tile] = factors @ basis.rows[:count, tile]
    return made
