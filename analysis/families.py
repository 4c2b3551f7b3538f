"""P values of many comparisons at once, corrected for their number."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.statistics import least_sign_flip_p, sign_flip_p
from collapse.errors import BadParameter

MOST_JOINT_PAIRS = 16
"""More have too many joint patterns of signs to count."""


def max_t_p(differences_NxM: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p of M comparisons on the same pairs, corrected for their number.

    The step-down max-T of Westfall and Young (1993, algorithm 4.1) with joint sign flips: a pair
    (a seed) turns its sign in all comparisons at once, so that what they share stays shared. All
    2^n patterns are counted.

    A comparison's statistic is ``|sum d| / sqrt(sum d^2)``. Where all have the same pairs it
    orders as Student's t does. Its variance under flips is 1 for any number of pairs n, so that a
    comparison with few pairs does not drown the others; but it is sqrt(n) at most, which others of
    more pairs pass by chance: beside them few pairs may never reach a small p, however large the
    effect (see :func:`least_family_p`).

    Args:
        differences_NxM: one row a pair, one column a comparison; nan where it lacks the pair.

    Returns:
        (M,), at least 2 / 2^n; nan for a comparison without pairs.

    Raises:
        BadParameter: not two axes, no pairs, or more than 16.
    """
    values_NxM = np.asarray(differences_NxM, dtype=float)
    if values_NxM.ndim != 2 or not 1 <= len(values_NxM) <= MOST_JOINT_PAIRS:
        raise BadParameter(
            f"differences have the shape {values_NxM.shape}: (pairs, comparisons) is due, "
            f"1 to {MOST_JOINT_PAIRS} pairs"
        )
    known_NxM = np.isfinite(values_NxM)
    filled_NxM = np.where(known_NxM, values_NxM, 0.0)
    lengths_M = np.sqrt((filled_NxM**2).sum(axis=0))
    unit_NxM = np.divide(filled_NxM, lengths_M, out=np.zeros_like(filled_NxM), where=lengths_M > 0)
    # A pattern and its opposite have the same |sum|: half of all patterns stand for all.
    flipped_PxM = np.abs(_sign_patterns(len(values_NxM)) @ unit_NxM)
    p_M = step_down_p(np.abs(unit_NxM.sum(axis=0)), flipped_PxM)
    return np.where(known_NxM.any(axis=0), p_M, np.nan)


def family_p(differences_NxM: ArrayLike) -> NDArray[np.float64]:
    """Two-sided p of M comparisons corrected for their number: max-T, or Holm where it is too much.

    Args:
        differences_NxM: one row a pair, one column a comparison; nan where it lacks the pair.

    Returns:
        (M,), by :func:`max_t_p` up to 16 pairs, beyond by :func:`holm` of sign-flip p's; nan for a
        comparison without pairs.

    Raises:
        BadParameter: no pairs, or more than 40 in a comparison.
    """
    values_NxM = np.asarray(differences_NxM, dtype=float)
    return max_t_p(values_NxM) if _is_joint(values_NxM) else holm(_own_p(values_NxM))


def least_family_p(differences_NxM: ArrayLike) -> NDArray[np.float64]:
    """The :func:`family_p` that each comparison would have were all its differences alike.

    No effect is larger, seen by so many pairs. The others stay as they are: one that is weaker and
    tested after another that holds can, in a narrow gap, get a little less.

    Args:
        differences_NxM: one row a pair, one column a comparison; nan where it lacks the pair.

    Returns:
        (M,); nan for a comparison without pairs.

    Raises:
        BadParameter: no pairs, or more than 40 in a comparison.
    """
    values_NxM = np.asarray(differences_NxM, dtype=float)
    least = _least_joint_p if _is_joint(values_NxM) else _least_holm_p
    return least(values_NxM, np.isfinite(values_NxM).sum(axis=0))


def _is_joint(values_NxM: NDArray[np.float64]) -> bool:
    return len(values_NxM) <= MOST_JOINT_PAIRS


def _own_p(values_NxM: NDArray[np.float64]) -> NDArray[np.float64]:
    known = [column[np.isfinite(column)] for column in values_NxM.T]
    return np.array([sign_flip_p(some) if some.size else np.nan for some in known])


def _least_joint_p(
    values_NxM: NDArray[np.float64], pairs_M: NDArray[np.intp]
) -> NDArray[np.float64]:
    filled_NxM = np.nan_to_num(values_NxM)
    lengths_M = np.sqrt((filled_NxM**2).sum(axis=0))
    # The largest statistic that a comparison has under any flips: only those that can reach the
    # one of differences that are all alike, sqrt(n), stand in its way.
    farthest_M = np.abs(filled_NxM).sum(axis=0) / np.where(lengths_M > 0, lengths_M, 1.0)
    least_M = np.full(len(pairs_M), np.nan)
    for place in np.flatnonzero(pairs_M):
        rivals_M = farthest_M >= np.sqrt(pairs_M[place]) - 1e-9
        rivals_M[place] = False
        alike_N = np.where(np.isfinite(values_NxM[:, place]), 1.0, np.nan)
        least_M[place] = max_t_p(np.column_stack([values_NxM[:, rivals_M], alike_N]))[-1]
    return least_M


def _least_holm_p(
    values_NxM: NDArray[np.float64], pairs_M: NDArray[np.intp]
) -> NDArray[np.float64]:
    own_M = _own_p(values_NxM)
    least_M = np.full(len(pairs_M), np.nan)
    for place in np.flatnonzero(pairs_M):
        alike_M = own_M.copy()
        alike_M[place] = least_sign_flip_p(int(pairs_M[place]))
        least_M[place] = holm(alike_M)[place]
    return least_M


def step_down_p(observed_M: ArrayLike, null_PxM: ArrayLike) -> NDArray[np.float64]:
    """P values of M statistics, corrected for their number.

    Westfall and Young (1993, algorithm 4.1): the largest statistic is compared with the largest
    of all under every rearrangement, the next one with the largest of those that are left.

    Args:
        observed_M: the statistics, finite, larger the stronger, all on one scale.
        null_PxM: the same under P rearrangements of the data, that which was observed among them.

    Returns:
        (M,), at least 1 / P.
    """
    observed_M, null_PxM = np.asarray(observed_M, float), np.asarray(null_PxM, float)
    falling = np.argsort(-observed_M, kind="stable")
    # The largest of each comparison and all that are weaker, rearrangement by rearrangement.
    largest_PxM = np.maximum.accumulate(null_PxM[:, falling[::-1]], axis=1)[:, ::-1]
    p_M = np.empty(len(falling))
    p_M[falling] = np.maximum.accumulate((largest_PxM >= observed_M[falling] - 1e-12).mean(axis=0))
    return p_M


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Holm's (1979) step-down correction of p values for their number.

    Args:
        p: (M,); nan is left out and stays nan.
    """
    p_M = np.asarray(p, dtype=float)
    corrected_M = np.full(p_M.shape, np.nan)
    rising = np.argsort(p_M)[: int(np.isfinite(p_M).sum())]
    factors = np.arange(len(rising), 0, -1)
    corrected_M[rising] = np.minimum(np.maximum.accumulate(p_M[rising] * factors), 1.0)
    return corrected_M


def _sign_patterns(n: int) -> NDArray[np.float64]:
    """All patterns of n signs of which the first is plus, shape (2^(n - 1), n)."""
    bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)[::-1]) & 1
    return np.asarray(1.0 - 2.0 * bits, dtype=np.float64)
