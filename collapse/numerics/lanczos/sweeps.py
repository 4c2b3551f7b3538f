"""Arithmetic on a Lanczos basis, in tiles: it is read once, and long sums keep their digits."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from collapse.numerics.lanczos.basis import Basis

# Within a block products are summed in the vectors' own precision, across blocks in float64. What
# the float32 part adds to unit vectors stays below what storing them in float32 does, and a later
# sweep corrects it. On some processors its error grows with the block, as a running sum's does: on
# one, vectors that were orthogonal to 8e-7 with blocks of 32,768 are to 1.2e-7 with these, for 15 %
# more time in sweeps.
_BLOCK = 4_096
# A processor subtracts from a tile, and projects it while it is in the cache.
_TILE = 32_768
# Tiles of the other passes over a basis: about so much stays in a core's cache between two uses.
_TILE_BYTES = 2**21
_TILE_STEP = 4_096
# An accelerator wants fewer, larger launches, and sums in trees.
_BLOCK_DEVICE = 32_768
_TILE_DEVICE = 128 * _BLOCK_DEVICE
# Python hands out the tiles, one at a time: about so many threads can be kept busy.
_MOST_THREADS = 8


def inner_product(left: torch.Tensor, right: torch.Tensor) -> float:
    """The inner product of two vectors (P,), multiplied and summed in float64, part by part."""
    total = torch.zeros((), dtype=torch.float64, device=left.device)
    width = 2 * _TILE if left.device.type == "cpu" else _TILE_DEVICE
    for one, other in zip(left.split(width), right.split(width), strict=True):
        exact = one.double()
        total += torch.dot(exact, exact if left is right else other.double())
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
    rows = basis.rows[:count]
    factors = None if coefficients is None else coefficients.to(vector.dtype)
    on_cpu = rows.device.type == "cpu"
    tile, block = (_TILE, _BLOCK) if on_cpu else (_TILE_DEVICE, _BLOCK_DEVICE)
    sums_BxM = rows.new_empty(-(-len(vector) // block), count)
    for part, of_basis, sums in zip(
        vector.split(tile), rows.split(tile, 1), sums_BxM.split(tile // block), strict=True
    ):
        if factors is not None:
            part.addmv_(of_basis.T, factors, alpha=-1)
        (_block_sums if on_cpu else _batched_sums)(of_basis, part, block, sums)
    return sums_BxM.sum(0, dtype=torch.float64), inner_product(vector, vector)


def _tile(rows_MxP: torch.Tensor) -> int:
    """Entries in a tile of combinations of basis vectors."""
    if rows_MxP.device.type != "cpu":
        return _TILE_DEVICE
    fitting = _TILE_BYTES // (len(rows_MxP) * rows_MxP.itemsize)
    return min(max(fitting // _TILE_STEP, 1), 16) * _TILE_STEP


def _block_sums(
    rows_MxN: torch.Tensor, vector: torch.Tensor, block: int, sums_BxM: torch.Tensor
) -> None:
    """The blocks of a tile one by one: in one launch a processor takes three times as long."""
    for of_basis, part, sums in zip(
        rows_MxN.split(block, 1), vector.split(block), sums_BxM, strict=True
    ):
        torch.mv(of_basis, part, out=sums)


def _batched_sums(
    rows_MxN: torch.Tensor, vector: torch.Tensor, block: int, sums_BxM: torch.Tensor
) -> None:
    """The blocks of a tile in one launch, and the rest in another."""
    count, length = rows_MxN.shape
    whole = length // block * block
    if whole:
        left = rows_MxN[:, :whole].unflatten(1, (-1, block)).transpose(0, 1)
        right = vector[:whole].view(-1, block, 1)
        sums_BxM[: whole // block] = torch.bmm(left, right).view(-1, count)
    if whole < length:
        torch.mv(rows_MxN[:, whole:], vector[whole:], out=sums_BxM[-1])


def combine(basis: Basis, weights_MxK: torch.Tensor) -> torch.Tensor:
    """Combinations of the first M basis vectors, (K, P), in one read of the basis."""
    rows = basis.rows[: len(weights_MxK)]
    made = rows.new_empty(weights_MxK.shape[1], rows.shape[1])
    factors = _factors(rows, weights_MxK)
    tile = _tile(rows)

    def over(part: slice) -> None:
        for old, new in zip(
            rows[:, part].split(tile, 1), made[:, part].split(tile, 1), strict=True
        ):
            torch.mm(factors, old, out=new)

    _in_threads(over, rows.shape[1], tile, rows.device)
    return made


def rotate(basis: Basis, weights_MxK: torch.Tensor) -> torch.Tensor:
    """Put combinations of the first M basis vectors in the place of the first K, K <= M.

    No second basis is needed, as a tile of the new vectors depends on the same tile of the old.

    Returns:
        Inner products of the new vectors among themselves, float64 (K, K).
    """
    count, kept = weights_MxK.shape
    factors = _factors(basis.rows, weights_MxK)
    tile = _tile(basis.rows[:count])
    length = basis.rows.shape[1]
    grams = basis.rows.new_empty(-(-length // tile), kept, kept)

    def over(part: slice) -> None:
        tiles = zip(basis.rows[:, part].split(tile, 1), grams[part.start // tile :], strict=False)
        for rows, gram in tiles:
            new = factors @ rows[:count]
            rows[:kept] = new
            torch.mm(new, new.T, out=gram)

    _in_threads(over, length, tile, basis.rows.device)
    return grams.sum(0, dtype=torch.float64)


def _factors(rows: torch.Tensor, weights_MxK: torch.Tensor) -> torch.Tensor:
    return weights_MxK.to(rows.dtype).to(rows.device).T.contiguous()


def _in_threads(
    work: Callable[[slice], None], length: int, tile: int, device: torch.device
) -> None:
    """Do all tiles, on a processor in as many threads as torch may use.

    The matrices of one tile are too small for threads of their own: with two, sweeps in this way
    are nearly twice as fast. What is summed with what does not depend on their number.
    """
    threads = min(torch.get_num_threads(), _MOST_THREADS, length // (8 * tile))
    if device.type != "cpu" or threads < 2:
        return work(slice(0, length))
    share = -(-length // (threads * tile)) * tile
    parts = [slice(at, min(at + share, length)) for at in range(0, length, share)]
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, part) for part in parts]:
            done.result()
