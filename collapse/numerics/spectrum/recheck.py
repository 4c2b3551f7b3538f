"""What another probe vector's run says about the outliers that one run has found.

A run from one vector sees an eigenvalue of any multiplicity once, and misses one whose eigenvector
the start had no part of. Another random vector has other parts in an eigenspace of several
dimensions, and hardly ever misses the same vector: its short run tells, without a product more.
Near-equal ends of opposite sign need no such check, as both ends are certified for themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.errors import BadParameter
from collapse.numerics.spectrum.outliers import Outlier

Floats = NDArray[np.float64]

# Above this ratio of bound to gap a Ritz vector is too mixed for its weight to say anything.
_MIXED = 0.05
# Within this part of the gap two eigenvalues are one, to the resolution of the runs: the bounds
# alone know nothing of the rounding in products.
_NEAR = 0.25
# A random vector's part of any direction is below this, in units of its mean square root length.
_LIKELY_PART = 4.0


@dataclass(frozen=True)
class Recheck:
    """What another run says about outliers.

    Attributes:
        missed: Ritz values of the other run beyond the smallest outlier in magnitude, bound
            included, which are not among the outliers: eigenvalues that the first run missed.
        repeated: for each outlier whether its eigenvalue has, to the resolution of the runs, more
            than one dimension; None where the other run cannot tell.
    """

    missed: tuple[float, ...]
    repeated: tuple[bool | None, ...]

    @property
    def contradicts(self) -> bool:
        """Whether the outliers are not the whole upper part of the spectrum."""
        return bool(self.missed) or any(self.repeated)


def recheck(
    outliers: Sequence[Outlier],
    overlaps: ArrayLike,
    squared_length: float,
    ritz_values: ArrayLike,
    weights: ArrayLike,
    residual_bounds: ArrayLike,
) -> Recheck:
    """Compare outliers with the run of another probe vector z.

    Of a simple eigenvalue that run's quadrature weight is (u . z)^2 / |z|^2 with the first run's
    vector u; of a repeated one it is larger, by the parts of z in the rest of the eigenspace. One
    further vector overlooks a repetition about once in six times (a chi-square of one degree
    that falls below the errors), and several rarely. For a vector that was projected off the
    outliers all overlaps are 0, and the same comparison holds.

    Args:
        outliers: from `certify_outliers`.
        overlaps: u . z with each outlier's unit vector u, (K,).
        squared_length: z . z; z of independent entries with mean 0 and variance 1.
        ritz_values: of the other run, (m,).
        weights: their quadrature weights, (m,).
        residual_bounds: with their rounding, (m,).

    Raises:
        BadParameter: overlaps that do not fit the outliers, or bounds and weights the values.
    """
    parts = np.asarray(overlaps, dtype=np.float64)
    values, masses, bounds = (
        np.asarray(part, dtype=np.float64) for part in (ritz_values, weights, residual_bounds)
    )
    if parts.shape != (len(outliers),) or not values.shape == masses.shape == bounds.shape:
        raise BadParameter(
            f"{len(outliers)} outliers with {parts.size} overlaps, {values.size} Ritz values with "
            f"{masses.size} weights and {bounds.size} bounds: one of each"
        )
    known = np.zeros(len(values), dtype=bool)
    repeated = []
    for outlier, part in zip(outliers, parts, strict=True):
        distance = np.abs(values - outlier.value)
        near = distance <= _NEAR * outlier.gap
        known |= near | (distance <= bounds + outlier.residual_bound)
        clear = near & (bounds + outlier.residual_bound <= _MIXED * outlier.gap)
        seen = float(masses[clear].sum()) * squared_length
        repeated.append(_is_repeated(outlier, part, seen, bounds[clear]))
    least = min((abs(one.value) + one.residual_bound for one in outliers), default=np.inf)
    missed = values[~known & (np.abs(values) - bounds > least)]
    return Recheck(tuple(missed.tolist()), tuple(repeated))


def _is_repeated(outlier: Outlier, part: float, seen: float, bounds: Floats) -> bool | None:
    """Whether more of a probe lies at an outlier than its one vector accounts for."""
    if len(bounds) == 0 or outlier.gap == 0:
        return None
    mixed = (float(bounds.max()) + outlier.residual_bound) / outlier.gap
    # Each run's vector leans by at most `mixed` towards directions of which z has a random part.
    lean = 2 * mixed * _LIKELY_PART
    error = 2 * max(abs(part), 1.0) * lean + lean**2
    return bool(seen - part**2 > error)
