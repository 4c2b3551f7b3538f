"""Intervals and exact tests for a handful of independent values.

With few seeds an exact test is worth more than a powerful one, and the least p it can reach is
worth knowing before a computer is paid for.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from collapse.errors import BadParameter

ALPHA = 0.05
CONFIDENCE = 0.95
_MOST_PAIRS = 40


def t_interval(values: ArrayLike, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """Student's t-interval of a mean.

    Args:
        values: independent values, shape (n,).
        confidence: the coverage, between 0 and 1.

    Returns:
        Lower and upper end; None for fewer than two values.
    """
    values_N = np.asarray(values, dtype=float)
    if values_N.size < 2:
        return None
    half = float(stats.t.ppf((1 + confidence) / 2, values_N.size - 1) * stats.sem(values_N))
    return float(values_N.mean()) - half, float(values_N.mean()) + half


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
    n = differences_N.size
    if not 1 <= n <= _MOST_PAIRS:
        raise BadParameter(f"{n} differences; the sign-flip test takes 1 to {_MOST_PAIRS}")
    # Sums that are equal in exact arithmetic must count as equal.
    threshold = abs(differences_N.sum()) - 1e-12 * np.abs(differences_N).sum()
    if threshold <= 0:
        return 1.0
    left, right = (_signed_sums(half) for half in np.array_split(differences_N, 2))
    as_large = left.size - np.searchsorted(np.sort(left), threshold - right, side="left")
    return float(2 * as_large.sum() / 2.0**n)


def _signed_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums under all patterns of signs, shape (2^n,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def least_sign_flip_p(n_pairs: int) -> float:
    """The least two-sided p that a sign-flip test of so many pairs can reach; 1 without pairs."""
    return min(1.0, 2.0 ** (1 - n_pairs))


def least_pairs(alpha: float = ALPHA) -> int:
    """The least number of pairs whose sign-flip test can reach ``alpha``."""
    return next(n for n in range(1, 64) if least_sign_flip_p(n) <= alpha)
