"""Lead = event - alarm, where either may never have been seen.

Shapes: S judged chains (seeds). A lead is known between two ends: they are equal where event and
alarm were both seen, and infinite where one of them never came (censoring). No chain is dropped for
having no alarm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics import CONFIDENCE

Array = NDArray[np.float64]

AHEAD = (1, 2, 3)
"""Generations ahead that the share of chains is counted at."""


@dataclass(frozen=True)
class MedianLead:
    """The median lead over chains, as far as censoring lets it be known.

    Attributes:
        n: chains it is over.
        least: the median were every lead as short as it can be; -inf where it has no lower end,
            None without chains.
        most: the median were every lead as long as it can be.
        interval: distribution-free interval of at least 95 %; None where so few chains have none.
        coverage: of that interval; None where there is none.
    """

    n: int
    least: float | None
    most: float | None
    interval: tuple[float, float] | None
    coverage: float | None

    @property
    def value(self) -> float | None:
        """The median where censoring does not touch it, else None."""
        return self.least if self.least == self.most else None


def lead_bounds(alarms: tuple[Array, Array], events: tuple[Array, Array]) -> tuple[Array, Array]:
    """The shortest and the longest that each lead can be, in generations.

    Event and alarm seen: exact. Alarm at a and no event by the last generation G: at least
    G + 1 - a. Event at e and no alarm: at most e - (G + 1). Neither: anything.

    Args:
        alarms: earliest and latest generation of each alarm, (S,) each.
        events: earliest and latest generation of each event, (S,) each.
    """
    return events[0] - alarms[1], events[1] - alarms[0]


def median_lead(shortest_S: Array, longest_S: Array) -> MedianLead:
    """The median and its order-statistic interval.

    The interval from the k-th smallest to the k-th largest of n values holds the median of their
    distribution with a chance of ``1 - 2 P(Binomial(n, 1/2) < k)`` at least, whatever the
    distribution, ties included. Its lower end is taken among the shortest that leads can be, its
    upper end among the longest: what censoring hides only widens it. k is the largest with 95 %;
    below 6 chains there is none, and 6 give the least and the greatest (96.9 %).

    Args:
        shortest_S: (S,), -inf where a lead has no lower end.
        longest_S: (S,), inf where it has no upper end.
    """
    n = len(shortest_S)
    if not n:
        return MedianLead(0, None, None, None, None)
    k = order_of_interval(n)
    interval, coverage = None, None
    if k:
        interval = float(np.sort(shortest_S)[k - 1]), float(np.sort(longest_S)[n - k])
        coverage = float(1 - 2 * stats.binom.cdf(k - 1, n, 0.5))
    return MedianLead(
        n, float(np.median(shortest_S)), float(np.median(longest_S)), interval, coverage
    )


def order_of_interval(n: int) -> int:
    """The largest k whose interval from k-th smallest to k-th largest has 95 %; 0 for none."""
    outside = 2 * stats.binom.cdf(np.arange(n), n, 0.5)
    return int((outside <= 1 - CONFIDENCE).sum())


def chains_ahead(ends_S: Array, generations: int) -> int:
    """How many leads are at least so many generations, by one of their ends."""
    return int((ends_S >= generations).sum())
