"""Linear centred kernel alignment: how alike two sets of features of the same samples are.

Source: Kornblith, Norouzi, Lee and Hinton, Similarity of neural network representations revisited,
ICML 2019. It is 1 where one set is the other rotated and scaled, and does not change under either.
Most of it is decided by the directions of largest variance.

The estimator is the unbiased one. The plain ratio of norms, ``|X^T Y|^2 / (|X^T X| |Y^T Y|)``, is
inflated where samples are not many more than features: of two unrelated Gaussian sets of 256
samples with 128 features each it is a third, and 1 where features outnumber samples by far. So the
three dependences in it are estimated by HSIC_1 of Song, Smola, Gretton, Bedo and Borgwardt, Feature
selection via dependence maximization, JMLR 13 (2012), which is unbiased for any number of samples,
as Nguyen, Raghu and Kornblith (ICLR 2021) do. The ratio may then be a little below 0.

Samples are taken for independent. Tokens of one text are not: hence the errors over parts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.errors import BadParameter
from collapse.numerics.parts import OverParts, over_parts

Floats = NDArray[np.float64]

LEAST_SAMPLES = 4
"""Below this HSIC_1 does not exist."""


def linear_cka(
    features_NxD: ArrayLike, others_NxE: ArrayLike, part_rows: Sequence[int] = ()
) -> OverParts | None:
    """Debiased linear CKA of two sets of features of the same N samples.

    No N x N matrix is made: it takes ``N D E`` multiplications and ``D E`` numbers a part.

    Args:
        features_NxD: a row a sample.
        others_NxE: the other features of the same samples, in the same order.
        part_rows: how many rows each part of the batch has, in order; the error is over these.
            Without parts there is no error.

    Returns:
        None where either set has no variance beyond noise, so that nothing can be aligned.

    Raises:
        BadParameter: not two matrices of as many rows, fewer than 4 rows, entries that are not
            finite, or parts that do not add up to the rows.
    """
    one, other = _checked(features_NxD), _checked(others_NxE)
    rows = list(part_rows) or [len(one)]
    if len(one) != len(other) or sum(rows) != len(one):
        raise BadParameter(
            f"{len(one)} and {len(other)} rows in parts of {rows}: all must be equally many"
        )
    ends = np.cumsum(rows)
    parts = [slice(end - count, end) for end, count in zip(ends, rows, strict=True)]
    pairs = [_Pair.of(*pair, parts) for pair in ((one, other), (one, one), (other, other))]

    def alignment(left_out: int | None) -> float | None:
        if left_out is not None and len(one) - rows[left_out] < LEAST_SAMPLES:
            return None
        across, own_1, own_2 = (pair.dependence(left_out) for pair in pairs)
        return across / float(np.sqrt(own_1 * own_2)) if min(own_1, own_2) > 0 else None

    return over_parts(alignment, [count / len(one) for count in rows])


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two sets of features with what their dependence is made of.

    Attributes:
        features_NxD: centred, so that no digits are lost.
        others_NxE: likewise.
        parts: rows of each part.
        crosses_MxDxE: X^T Y of each part.
    """

    features_NxD: Floats
    others_NxE: Floats
    parts: Sequence[slice]
    crosses_MxDxE: Floats

    @classmethod
    def of(cls, one: Floats, other: Floats, parts: Sequence[slice]) -> "_Pair":
        crosses = np.stack([one[rows].T @ other[rows] for rows in parts])
        return cls(one, other, parts, crosses)

    def dependence(self, left_out: int | None) -> float:
        """HSIC_1 of all samples, or of those outside one part.

        With K and L the Gram matrices without their diagonals, k and l these diagonals, it is
        ``(tr(K L) + (1'K1)(1'L1) / ((n-1)(n-2)) - 2 (1'KL1) / (n-2)) / (n (n-3))``; every term of
        it can be had from X^T Y and from sums over samples.
        """
        kept = np.ones(len(self.features_NxD), dtype=bool)
        cross_DxE = self.crosses_MxDxE.sum(0)
        if left_out is not None:
            kept[self.parts[left_out]] = False
            cross_DxE = cross_DxE - self.crosses_MxDxE[left_out]
        x, y = self.features_NxD[kept], self.others_NxE[kept]
        n = len(x)
        k, l_ = ((z**2).sum(1) for z in (x, y))
        sums_x, sums_y = x.sum(0), y.sum(0)
        trace = (cross_DxE**2).sum() - k @ l_
        totals = (sums_x @ sums_x - k.sum()) * (sums_y @ sums_y - l_.sum())
        rows = (x @ sums_x - k) @ (y @ sums_y - l_)
        whole = trace + totals / ((n - 1) * (n - 2)) - 2 * rows / (n - 2)
        return float(whole / (n * (n - 3)))


def _checked(features: ArrayLike) -> Floats:
    """Float64 and centred: HSIC_1 does not change where a constant is added to all samples."""
    given = np.asarray(features, dtype=np.float64)
    if given.ndim != 2 or len(given) < LEAST_SAMPLES or given.shape[1] == 0:
        raise BadParameter(
            f"features of shape {given.shape}: (samples, features) is due, at least "
            f"{LEAST_SAMPLES} samples"
        )
    if not np.isfinite(given).all():
        raise BadParameter("features must be finite")
    return np.asarray(given - given.mean(0))
