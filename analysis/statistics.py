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


def least_sign_flip_p(n_pairs: int) -> float:
    """The least two-sided p that a sign-flip test of so many pairs can reach; 1 without pairs."""
    return min(1.0, 2.0 ** (1 - n_pairs))


def least_pairs(alpha: float = ALPHA) -> int:
    """The least number of pairs whose sign-flip test can reach ``alpha``."""
    return next(n for n in range(1, 64) if least_sign_flip_p(n) <= alpha)
