"""Thresholds at which all indicators raise equally many false alarms, and how sure that is.

The threshold is an order statistic of the scores of n control seeds: with m of them above it, the
true false-alarm rate p of a new seed has the distribution Beta(m + 1, n - m) whatever the scores'
own distribution is (Wilks, "Determination of sample sizes for setting tolerance limits", 1941), so
that ``P(p > x) = P(Binomial(n, x) <= m)``: exactly the tail that the bound of Clopper and Pearson
(1934) is made of. The bound therefore stays valid although the threshold was set by looking at the
same scores. It is exact for exchangeable scores of seeds that were drawn independently; leaving
each seed out of its own interval makes scores weakly dependent, so that here it is near exact:
`tests/analysis/early_warning/test_threshold.py` shows by simulation what that is worth.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

RATE = 0.10
"""Largest share of control seeds that may raise a false alarm."""
MOST_RATE = 0.25
"""Largest upper bound of the false-alarm rate at which a lead may be called supported."""
SURENESS = 0.95
"""Of the one-sided bounds on the false-alarm rate."""


@dataclass(frozen=True)
class Threshold:
    """What an indicator's z has to exceed twice in a row.

    Attributes:
        value: the threshold, in standard deviations, at least 0.
        n_seeds: control seeds that it was set on.
        allowed: of them, how many it was set to leave above it.
        false_alarms: how many are above it; fewer than allowed where scores tie or the threshold
            is 0.
        bound: one-sided 95 % Clopper-Pearson bound of the false-alarm rate of a new seed.
    """

    value: float
    n_seeds: int
    allowed: int
    false_alarms: int
    bound: float

    @property
    def is_sure(self) -> bool:
        """Whether the bound is low enough for a lead to be claimed."""
        return self.bound <= MOST_RATE

    @property
    def leaves_all_allowed(self) -> bool:
        """Whether as many seeds as allowed are above it: with fewer it is stricter than was meant.

        The upper bound holds all the same, what `lax_alarms` promises does not.
        """
        return self.false_alarms == self.allowed


def upper_bound(alarms: int, n: int) -> float:
    """One-sided 95 % upper bound of a rate after ``alarms`` of ``n`` (Clopper and Pearson)."""
    return 1.0 if alarms >= n else float(stats.beta.ppf(SURENESS, alarms + 1, n - alarms))


def allowed_alarms(n: int) -> int:
    """How many of n control seeds may lie above a threshold, one number for all indicators.

    The largest m with m/n at most ``RATE`` and an upper bound of at most ``MOST_RATE``; where no m
    has such a bound (fewer than 11 seeds), the largest with m/n at most ``RATE``, and no lead can
    be supported.
    """
    counts = [m for m in range(n) if m <= RATE * n + 1e-9]
    sure = [m for m in counts if upper_bound(m, n) <= MOST_RATE]
    return max(sure or counts, default=0)


def lax_alarms(n: int) -> int:
    """How many of n control seeds lie above a threshold that is surely not too strict.

    The least m at which the true false-alarm rate is below ``RATE`` with a chance of at most 5 %:
    ``P(Binomial(n, RATE) > m) <= 0.05``, by the same argument as the bound. A lead that is missing
    at such a threshold is missing at every stricter one, too: alarms only come later there. That
    is so of a threshold which does leave m seeds above it: ties may prevent it.
    """
    return min(int(stats.binom.ppf(SURENESS, n, RATE)), n - 1)


def threshold_at(scores: ArrayLike, allowed: int) -> Threshold:
    """The threshold that leaves so many control seeds above it.

    Args:
        scores: of the control seeds, (S,), nan for those that do not count.
        allowed: how many may lie above it, fewer than there are.

    Returns:
        The (allowed + 1)-th largest score, or 0 where that is negative: within what the other seeds
        do on average nothing exceeds anything.
    """
    falling_N = _falling(scores)
    value = max(float(falling_N[allowed]), 0.0)
    above = int((falling_N > value).sum())
    return Threshold(value, falling_N.size, allowed, above, upper_bound(allowed, falling_N.size))


def all_thresholds(scores: ArrayLike) -> tuple[Threshold, ...]:
    """The threshold for every number of false alarms, none first."""
    return tuple(threshold_at(scores, m) for m in range(_falling(scores).size))


def _falling(scores: ArrayLike) -> np.ndarray:
    values = np.asarray(scores, dtype=float)
    return np.sort(values[np.isfinite(values)])[::-1]
