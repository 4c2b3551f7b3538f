"""How many directions a matrix uses: summaries of its singular values.

Every summary takes singular values ``(..., n)``, largest first, of as many matrices as one likes,
as a NumPy array or a tensor, and gives one number a matrix, ``(...)``, as a NumPy array. All but
the singular values themselves are unchanged where a whole matrix is scaled.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from collapse.errors import BadParameter

Floats = NDArray[np.float64]
Values: TypeAlias = "ArrayLike | Tensor"

ENERGY = 0.9
"""Share of the sum of squares that :func:`rank_90` asks for."""

_ROUNDING = 1e-12
"""What a sum of a few thousand float64 may be off by, so that exact ties are ties."""


@dataclass(frozen=True, eq=False)
class RankSummary:
    """How many directions each of some matrices uses; all fields have the same shape ``(...)``.

    Attributes:
        participation_ratio: ``(sum s)^2 / sum s^2``, from 1 to n; nan for a zero matrix.
        participation_ratio_sq: the same on squared singular values, ``(sum s^2)^2 / sum s^4``.
        rank_90: int64, fewest directions that hold 90 % of the sum of squares; 0 for a zero matrix.
        condition_number: largest over smallest singular value; infinite where the smallest is
            rounding.
    """

    participation_ratio: Floats
    participation_ratio_sq: Floats
    rank_90: NDArray[np.int64]
    condition_number: Floats


def summarise(singular_values: Values, relative_floor: ArrayLike) -> RankSummary:
    """All summaries of the same matrices.

    Args:
        singular_values: ``(..., n)``, largest first.
        relative_floor: see :func:`condition_number`.

    Raises:
        BadParameter: see :func:`participation_ratio`.
    """
    return RankSummary(
        participation_ratio(singular_values),
        participation_ratio_sq(singular_values),
        rank_90(singular_values),
        condition_number(singular_values, relative_floor),
    )


def participation_ratio(singular_values: Values) -> Floats:
    """``(sum s)^2 / sum s^2``: n where all n are equal, 1 where only one is not zero.

    Args:
        singular_values: ``(..., n)``.

    Returns:
        Float64 ``(...)``; nan where all singular values are zero, as no direction is used.

    Raises:
        BadParameter: there are none, or one is negative or not finite.
    """
    relative = _relative(_checked(singular_values))
    return _ratio(relative)


def participation_ratio_sq(singular_values: Values) -> Floats:
    """``(sum s^2)^2 / sum s^4``, the participation ratio of the energies; see there."""
    return _ratio(_relative(_checked(singular_values)) ** 2)


def rank_90(singular_values: Values) -> NDArray[np.int64]:
    """Smallest r such that the r largest ``s^2`` are at least 90 % of their sum.

    Args:
        singular_values: ``(..., n)``, in any order.

    Returns:
        Int64 ``(...)``; 0 where all singular values are zero.

    Raises:
        BadParameter: there are none, or one is negative or not finite.
    """
    energies = -np.sort(-(_relative(_checked(singular_values)) ** 2), axis=-1)
    reached = energies.cumsum(axis=-1)
    needed = ENERGY * reached[..., -1:] * (1 - _ROUNDING)
    # How many partial sums fall short, and the one that does not; a zero matrix needs none.
    ranks = (reached < needed).sum(axis=-1) + 1
    return np.where(reached[..., -1] > 0, ranks, 0).astype(np.int64)


def condition_number(singular_values: Values, relative_floor: ArrayLike) -> Floats:
    """Largest over smallest singular value; infinite where the smallest is rounding.

    What a rank-deficient matrix has instead of zeros is rounding, and a ratio to rounding is an
    accident of the machine. So a smallest value of at most ``relative_floor`` times the largest
    counts as zero. Infinity is the honest answer, and medians can bear it; means cannot.

    Args:
        singular_values: ``(..., n)``.
        relative_floor: what is rounding, as a share of the largest, ``(...)`` or one for all; see
            :func:`rounding_floor` and :func:`product_floor`.

    Returns:
        Float64 ``(...)``, at least 1; infinite for a zero matrix, too.

    Raises:
        BadParameter: there are none, or one is negative or not finite.
    """
    values = _checked(singular_values)
    largest, smallest = values.max(axis=-1), values.min(axis=-1)
    resolved = smallest > np.asarray(relative_floor) * largest
    return np.divide(largest, smallest, out=np.full_like(largest, np.inf), where=resolved)


def rounding_floor(rows: int, columns: int, dtype: torch.dtype) -> float:
    """The share of the largest singular value below which one is rounding.

    Entries that are rounded to a relative eps move singular values by about ``eps * sqrt(m)`` times
    a typical entry, ``sqrt(m)`` the longer side's, and the largest singular value is at least
    ``sqrt(m)`` typical entries. The floor is ``eps * sqrt(max(rows, columns))``: room for a product
    of a thousand terms before the rounding, whose errors add up like a random walk (Higham and
    Mary, 2019). ``numpy.linalg.matrix_rank`` has the worst case, ``eps * max(rows, columns)``: for
    a thousand tokens in float32 it gives up at a condition of 8,000, where values are still known
    to four digits.

    Args:
        rows: of the matrix.
        columns: of the matrix.
        dtype: what the entries were computed in, whatever holds them now.
    """
    return float(torch.finfo(dtype).eps * max(rows, columns) ** 0.5)


def singular_values(matrices: Values) -> Tensor:
    """Singular values of many matrices at once.

    In float64 whatever comes in, through the triangle of the QR decomposition: the values are those
    of the matrix as given, so that for float32 matrices only the rounding of their entries is left.
    (Through the Gram matrix it would take half the time, and lose half the digits.)

    Args:
        matrices: ``(..., m, n)``.

    Returns:
        Float64 ``(..., min(m, n))``, largest first, on the matrices' device.

    Raises:
        BadParameter: see :func:`triangle`.
    """
    given = torch.as_tensor(matrices)
    tall = given.ndim < 2 or given.shape[-2] >= given.shape[-1]
    return torch.linalg.svdvals(triangle(given if tall else given.mT))


def triangle(matrices: Tensor) -> Tensor:
    """R of the QR decomposition: a small matrix that can stand for a tall one.

    A and R have the same singular values, and ``A B^T`` those of ``R B^T``.

    Args:
        matrices: ``(..., m, n)``.

    Returns:
        Float64 ``(..., min(m, n), n)``, upper triangular.

    Raises:
        BadParameter: fewer than two axes, no entries, or entries that are not finite.
    """
    if matrices.ndim < 2 or 0 in matrices.shape[-2:]:
        raise BadParameter(
            f"shape {tuple(matrices.shape)}: a matrix needs (..., m, n), m and n > 0"
        )
    wide = matrices.detach().double()
    if not wide.isfinite().all():
        raise BadParameter("a matrix has entries that are not finite: it has no singular values")
    return torch.linalg.qr(wide, mode="r").R


def score_singular_values(Q_TxE: Tensor, K_TxE: Tensor) -> Tensor:
    """Singular values of ``Q K^T`` without ever making it.

    With ``Q = U R`` and ``K = V S``, U and V of orthonormal columns, ``Q K^T = U (R S^T) V^T`` has
    the singular values of the small ``R S^T``. Triangles may be given in place of their matrices.

    Args:
        Q_TxE: ``(..., H, T, E)``, queries of H heads.
        K_TxE: ``(..., K, S, E)``, keys; where K is less than H, every key-value head serves H / K
            query heads that follow each other.

    Returns:
        Float64 ``(..., H, min(T, S, E))``, largest first: the rest of the T x S matrix's are zero.

    Raises:
        BadParameter: the shapes do not fit, or entries are not finite.
    """
    _check_product(Q_TxE, K_TxE)
    R_HxLxE = triangle(Q_TxE)
    S_HxMxE = shared_heads(triangle(K_TxE), Q_TxE.shape[-3], axis=-3)
    return torch.linalg.svdvals(R_HxLxE @ S_HxMxE.mT)


def shared_heads(of_kv_heads: Tensor, heads: int, axis: int) -> Tensor:
    """What belongs to key-value heads along an axis, repeated for the query heads they serve."""
    return of_kv_heads.repeat_interleave(heads // of_kv_heads.shape[axis], dim=axis)


def product_floor(
    left: Values, right: Values, product: Values, left_floor: ArrayLike, right_floor: ArrayLike
) -> Floats:
    """The relative floor (see :func:`condition_number`) of a product ``A B`` of two matrices.

    Where both factors have full rank, small changes multiply the product's singular values, which
    are then known nearly as well as the factors' own, however small: the floor is float64's. Where
    the smallest of a factor is rounding, so is the product's, as it is at most ``s_min(A)`` times
    ``s_max(B)``.

    Args:
        left: singular values of A, ``(..., n)``.
        right: singular values of B, ``(..., n)``.
        product: singular values of A B, ``(..., k)``.
        left_floor: relative floor of A's.
        right_floor: relative floor of B's.
    """
    values = [_checked(one) for one in (left, right, product)]
    tops = [one.max(axis=-1) for one in values]
    additive = np.zeros_like(tops[2])
    for factor, top, floor in zip(values[:2], tops[:2], (left_floor, right_floor), strict=True):
        lost = factor.min(axis=-1) <= np.asarray(floor) * top
        additive = np.where(lost, np.maximum(additive, floor), additive)
    room = np.divide(tops[0] * tops[1], tops[2], out=np.ones_like(tops[2]), where=tops[2] > 0)
    own = rounding_floor(values[2].shape[-1], values[2].shape[-1], torch.float64)
    return np.maximum(additive * room, own)


def _checked(singular_values: Values) -> Floats:
    """As float64 on the CPU, refused where these cannot be singular values."""
    if isinstance(singular_values, Tensor):
        singular_values = singular_values.detach().cpu().numpy()
    values = np.asarray(singular_values, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] == 0:
        raise BadParameter(f"shape {values.shape}: at least one singular value is needed")
    if not (np.isfinite(values).all() and (values >= 0).all()):
        raise BadParameter("singular values must be finite and not negative")
    return values


def _relative(values: Floats) -> Floats:
    """As shares of the largest, so that no square overflows or vanishes; zeros stay zeros."""
    largest = values.max(axis=-1, keepdims=True)
    return np.divide(values, largest, out=np.zeros_like(values), where=largest > 0)


def _ratio(values: Floats) -> Floats:
    squares = (values**2).sum(axis=-1)
    totals = values.sum(axis=-1) ** 2
    return np.divide(totals, squares, out=np.full_like(squares, np.nan), where=squares > 0)


def _check_product(Q_TxE: Tensor, K_TxE: Tensor) -> None:
    shapes = f"queries {tuple(Q_TxE.shape)} and keys {tuple(K_TxE.shape)}"
    if Q_TxE.ndim < 3 or K_TxE.ndim < 3:
        raise BadParameter(f"{shapes}: both need (..., heads, tokens, width)")
    if Q_TxE.shape[-1] != K_TxE.shape[-1]:
        raise BadParameter(f"{shapes}: the widths of their heads differ")
    if Q_TxE.shape[-3] % K_TxE.shape[-3]:
        raise BadParameter(f"{shapes}: query heads must be a multiple of key-value heads")
