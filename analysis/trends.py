"""Whether a metric rises or falls over the generations, chain by chain.

Generations are repeated measures of one chain and depend on each other: however many there are, a
chain counts once. Within a chain a trend is described, by a robust slope and a rank correlation;
over chains it is estimated, with an interval.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.statistics import CONFIDENCE, t_interval
from analysis.study import StudyRecord, chain_values, metric_values

LEAST_GENERATIONS = 3
"""Two points have a direction, but no trend."""
LEAST_TAU = 0.6
"""Of six generations, three pairs of fifteen may go the other way; of four, one pair of six."""
TREND_RULE = (
    "A metric rises or falls where every chain with three or more measured generations has a "
    f"Kendall tau of at least {LEAST_TAU} in that direction: this describes these chains and is "
    "no test."
)


@dataclass(frozen=True)
class ChainTrend:
    """The trend of one chain.

    Attributes:
        slope: median of the slopes between all pairs of generations (Theil and Sen), in the
            metric's unit a generation.
        interval: its 95 % interval by Kendall's statistic (Sen, 1968), as if the generations
            were independent, which they are not.
        tau: Kendall's rank correlation with the generation, -1 to 1; 0 for a constant.
    """

    slope: float
    interval: tuple[float, float]
    tau: float

    @property
    def word(self) -> str:
        """``rises``, ``falls`` or ``no trend``."""
        if abs(self.tau) < LEAST_TAU - 1e-9:
            return "no trend"
        return "rises" if self.tau > 0 else "falls"


@dataclass(frozen=True)
class ArmTrend:
    """The trend of an arm over its chains.

    Attributes:
        arm: the arm.
        n_chains: chains with enough generations.
        slope: mean of their slopes, in the metric's unit a generation; None without chains.
        interval: 95 % t-interval of that mean over chains; None for fewer than two.
        tau: mean of their rank correlations; None without chains.
        word: ``rises``, ``falls``, ``no trend`` or ``not measured``.
    """

    arm: str
    n_chains: int
    slope: float | None
    interval: tuple[float, float] | None
    tau: float | None
    word: str


def chain_trend(generations: ArrayLike, values: ArrayLike) -> ChainTrend | None:
    """The trend of one chain; None for fewer than three generations.

    Args:
        generations: (n,), different.
        values: (n,), the metric's.
    """
    order, measured = np.asarray(generations, dtype=float), np.asarray(values, dtype=float)
    if order.size < LEAST_GENERATIONS:
        return None
    found = stats.theilslopes(measured, order, alpha=CONFIDENCE)
    tau = float(stats.kendalltau(order, measured).statistic)
    return ChainTrend(
        float(found.slope),
        (float(found.low_slope), float(found.high_slope)),
        0.0 if np.isnan(tau) else tau,
    )


def arm_trend(record: StudyRecord, metric: str, arm: str) -> ArmTrend:
    """The trend of a metric over the chains of an arm."""
    values = metric_values(record, metric)
    chains = [chain_values(values, arm, seed) for seed in record.seeds]
    found = [chain_trend(chain.index.to_numpy(), chain.to_numpy()) for chain in chains]
    trends = [trend for trend in found if trend is not None]
    slopes = np.array([trend.slope for trend in trends])
    return ArmTrend(
        arm,
        len(trends),
        float(slopes.mean()) if trends else None,
        t_interval(slopes),
        float(np.mean([trend.tau for trend in trends])) if trends else None,
        _word(trends),
    )


def _word(trends: list[ChainTrend]) -> str:
    """One word for all chains; they must agree."""
    if not trends:
        return "not measured"
    words = {trend.word for trend in trends}
    return words.pop() if len(words) == 1 else "no trend"
