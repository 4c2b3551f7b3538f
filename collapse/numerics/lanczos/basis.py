"""Where the vectors of a Lanczos run are kept."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from collapse.errors import BadParameter, StoreError

_KINDS = {torch.float32: np.float32, torch.float64: np.float64}


@dataclass(frozen=True)
class Basis:
    """Storage for the orthonormal vectors of one Lanczos run.

    Attributes:
        rows: the vectors, (capacity, P); rows that were not written yet hold anything.
        path: the file behind the rows, None where they are in memory.
    """

    rows: torch.Tensor
    path: Path | None = None

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
    if dtype not in _KINDS:
        raise BadParameter(f"a Lanczos basis of {dtype}: use torch.float32 or torch.float64")
    if length < 1 or capacity < 1:
        raise BadParameter(f"a Lanczos basis of {capacity} x {length}: both must be at least 1")
    needed = length * capacity * dtype.itemsize
    if memory_limit_bytes is None or needed <= memory_limit_bytes:
        return Basis(_in_memory(capacity, length, dtype, torch.device(device)))
    if path is None:
        raise BadParameter(
            f"the Lanczos basis needs {needed} bytes, more than the limit of {memory_limit_bytes}: "
            "raise the limit, take fewer steps or name a file for it"
        )
    return Basis(_mapped(path, capacity, length, dtype), path)


def _in_memory(
    capacity: int, length: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    if device.type != "cpu":
        return torch.empty(capacity, length, dtype=dtype, device=device)
    # NumPy asks for large pages, torch does not: fewer faults when the rows are first written.
    return torch.from_numpy(np.empty((capacity, length), _KINDS[dtype]))


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
    rows = np.memmap(path, dtype=_KINDS[dtype], mode="r+", shape=(capacity, length))
    return torch.from_numpy(rows)
