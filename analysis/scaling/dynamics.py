"""What each doubling of the steps of one training brings, and where it brings nothing certain."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.metrics import metric_info
from analysis.scaling.laws import Law, power_law
from analysis.statistics import t_interval
from analysis.study import is_measured
from collapse.numerics.streams import numpy_stream

DYNAMICS_COLUMNS = ("arm", "seed", "step", "metric", "value")


@dataclass(frozen=True)
class Doubling:
    """One doubling of the steps.

    Attributes:
        start: steps before it.
        end: twice as many.
        gain: mean over seeds of what it brings, better being positive, in the metric's unit.
        interval: its 95 % t-interval over seeds; None for one seed.
    """

    start: float
    end: float
    gain: float
    interval: tuple[float, float] | None

    @property
    def is_told(self) -> bool:
        """Whether it is told from no gain."""
        return self.interval is not None and self.interval[0] > 0


@dataclass(frozen=True, eq=False)
class Returns:
    """The diminishing returns of one metric in one arm.

    Attributes:
        arm: the arm.
        metric: its metric.
        values: index step, a column a seed with all steps.
        doublings: by steps, the last one ending at the last step.
        law: the loss over steps; None for a score.
    """

    arm: str
    metric: str
    values: pd.DataFrame
    doublings: tuple[Doubling, ...]
    law: Law | None

    @property
    def stalls_at(self) -> float | None:
        """The steps from which no further doubling is told from no gain; None without such."""
        silent = None
        for one in reversed(self.doublings):
            if one.is_told:
                break
            silent = one.start
        return silent


def returns(rows: pd.DataFrame, arm: str, metric: str) -> Returns | None:
    """What doublings bring, counted back from the last step by halves.

    A half that was not measured is read from the line between its neighbours over the logarithm
    of steps, seed by seed.

    Args:
        rows: columns ``DYNAMICS_COLUMNS``.
        arm: the arm.
        metric: a loss, or a score from 0 to 1.

    Returns:
        None for fewer than two steps, or no seed with all of them.
    """
    own = rows[(rows["arm"] == arm) & (rows["metric"] == metric) & (rows["step"] > 0)]
    own = own[is_measured(own["value"])]
    values = own.pivot(index="step", columns="seed", values="value").sort_index()
    values = values.dropna(axis=1)
    if len(values) < 2 or values.shape[1] == 0:
        return None
    steps = values.index.to_numpy(float)
    law = None
    if not is_score(metric):
        rng = numpy_stream(0, "law over steps", arm, metric)
        law = power_law("loss", "steps", steps, values.to_numpy(float).T, rng)
    return Returns(arm, metric, values, _doublings(values, is_score(metric)), law)


def is_score(metric: str) -> bool:
    """Whether more is better."""
    return metric.startswith("benchmark/") and metric_info(metric).change != "ratio"


def _doublings(values: pd.DataFrame, rising: bool) -> tuple[Doubling, ...]:
    steps = values.index.to_numpy(float)
    ends, end = [], float(steps[-1])
    while end / 2 >= steps[0]:
        ends.append(end)
        end /= 2
    sign = 1.0 if rising else -1.0
    found = []
    for end in reversed(ends):
        gains_S = sign * (_at(values, end) - _at(values, end / 2))
        found.append(Doubling(end / 2, end, float(gains_S.mean()), t_interval(gains_S)))
    return tuple(found)


def _at(values: pd.DataFrame, step: float) -> np.ndarray:
    """Values at a step, one a seed."""
    logs = np.log(values.index.to_numpy(float))
    return np.array([np.interp(np.log(step), logs, values[seed]) for seed in values.columns])
