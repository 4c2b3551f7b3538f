"""Intervals and exact tests for a handful of independent values.

With few seeds an exact test is worth more than a powerful one.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from collapse.errors import BadParameter

ALPHA = 0.05
CONFIDENCE = 0.95
LEAST_FOR_INTERVAL = 3
"""Of two values an interval is so wide that a figure shows the values themselves."""
_MOST_PAIRS = 40
MOST_JOINT_PAIRS = 16
"""More have too many joint patterns of signs to count."""


def t_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Student's t-interval of a mean.

    Args:
        values: independent values, shape (n,).
        confidence: its coverage.

    Returns:
        Lower and upper end; None for fewer than two values.
    """
    values_N = np.asarray(values, dtype=float)
    if values_N.size < 2:
        return None
    half = float(stats.t.ppf((1 + confidence) / 2, values_N.size - 1) * stats.sem(values_N))
    return float(values_N.mean()) - half, float(values_N.mean()) + half


def drawn_spread(values: ArrayLike) -> tuple[float, float]:
    """What an error bar or a band shows: a 95 % t-interval, or all there is of fewer than three.

    Args:
        values: independent values, shape (n,), at least one.
    """
    values_N = np.asarray(values, dtype=float)
    interval = t_interval(values_N) if values_N.size >= LEAST_FOR_INTERVAL else None
    return interval or (float(values_N.min()), float(values_N.max()))


def t_p(differences: ArrayLike) -> float | None:
    """Two-sided p of Student's t-test of a mean of zero.

    Args:
        differences: independent values, or one difference a pair, shape (n,).

    Returns:
        None for fewer than two, or where all are equal: nothing then says how much chance does.
    """
    differences_N = np.asarray(differences, dtype=float)
    if differences_N.size < 2 or is_constant(differences_N):
        return None
    return float(stats.ttest_1samp(differences_N, 0.0).pvalue)


def is_constant(values_N: NDArray[np.float64]) -> bool:
    """Whether values are equal but for what rounding leaves."""
    return bool(np.ptp(values_N) <= 1e-10 * np.abs(values_N).max())


def sign_flip_p(differences: ArrayLike) -> float:
    """Exact two-sided p of the sign-flip test (Fisher's randomisation test for pairs).

    Under the null hypothesis every difference is as likely with its sign turned. All 2^n patterns
    of signs are counted: sums of either half of the pairs are listed and matched by sorting, which
    is exact and takes 2^(n/2) memory.

    Args:
        differences: one a pair, shape (n,).

    Returns:
        The share of sign patterns whose |sum| is at least the observed one, at least 2 / 2^n.

    Raises:
        BadParameter: without differences, or with more than 40.
    """
    differences_N = np.asarray(differences, dtype=float)
    _check_pairs(differences_N.size)
    # Sums that are equal in exact arithmetic must count as equal.
    threshold = abs(differences_N.sum()) - 1e-12 * np.abs(differences_N).sum()
    if threshold <= 0:
        return 1.0
    return 2 * _share_of_sums(differences_N, threshold)


def _check_pairs(n: int) -> None:
    if not 1 <= n <= _MOST_PAIRS:
        raise BadParameter(f"{n} differences; the sign-flip test takes 1 to {_MOST_PAIRS}")


def _share_of_sums(differences_N: NDArray[np.float64], threshold: float) -> float:
    """The share of all sign patterns whose sum is at least the threshold."""
    left, right = (_signed_sums(half) for half in np.array_split(differences_N, 2))
    as_large = left.size - np.searchsorted(np.sort(left), threshold - right, side="left")
    return float(as_large.sum() / 2.0**differences_N.size)


def _sign_patterns(n: int) -> NDArray[np.float64]:
    """All patterns of n signs of which the first is plus, shape (2^(n - 1), n)."""
    bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)[::-1]) & 1
    return np.asarray(1.0 - 2.0 * bits, dtype=np.float64)


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums under all patterns of signs, shape (2^n,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def one_sided_sign_flip_p(differences: ArrayLike) -> float:
    """Exact p of the sign-flip test against a mean of at most zero; see :func:`sign_flip_p`.

    Args:
        differences: one a pair, shape (n,).

    Returns:
        The share of sign patterns whose sum is at least the observed one, at least 1 / 2^n.

    Raises:
        BadParameter: without differences, or with more than 40.
    """
    differences_N = np.asarray(differences, dtype=float)
    _check_pairs(differences_N.size)
    threshold = float(differences_N.sum() - 1e-12 * np.abs(differences_N).sum())
    return _share_of_sums(differences_N, threshold)


def equivalence_p(differences: ArrayLike, margin: float) -> float:
    """Exact p against a mean difference of the margin or more, either way.

    Two one-sided tests (Schuirmann, 1987), by sign flips: the larger of the p's against "at least
    ``margin``" and "at most ``-margin``".

    Args:
        differences: one a pair, shape (n,).
        margin: the least difference that matters, positive, in the unit of the differences.

    Raises:
        BadParameter: without differences, or with more than 40.
    """
    differences_N = np.asarray(differences, dtype=float)
    below, above = (one_sided_sign_flip_p(margin + sign * differences_N) for sign in (-1, 1))
    return max(below, above)


def hedges_g(differences: ArrayLike) -> float | None:
    """Mean over standard deviation of paired differences, free of small-sample bias.

    The mean in standard deviations of the differences themselves, times `bias_correction`.

    Args:
        differences: one a pair, shape (n,).

    Returns:
        None for fewer than three pairs, or where all differences are equal.
    """
    differences_N = np.asarray(differences, dtype=float)
    if differences_N.size < 3 or is_constant(differences_N):
        return None
    correction = bias_correction(differences_N.size - 1)
    return float(correction * differences_N.mean() / differences_N.std(ddof=1))


def bias_correction(df: int) -> float:
    """Hedges' (1981) exact factor that frees Cohen's d of small-sample bias.

    It is ``Gamma(df / 2) / (sqrt(df / 2) Gamma((df - 1) / 2))``.

    Args:
        df: degrees of freedom of the standard deviation, at least 2.
    """
    return float(np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2))


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


def least_sign_flip_p(n_pairs: int) -> float:
    """The least two-sided p that a sign-flip test of so many pairs can reach; 1 without pairs."""
    return min(1.0, 2.0 ** (1 - n_pairs))


def least_pairs(alpha: float = ALPHA) -> int:
    """The least number of pairs whose sign-flip test can reach ``alpha``."""
    return next(n for n in range(1, 64) if least_sign_flip_p(n) <= alpha)
