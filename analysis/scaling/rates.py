"""Where the loss is least over learning rates, and how well that is known."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.scaling.tables import ScalingTables, rate_curves
from analysis.statistics import t_interval


@dataclass(frozen=True, eq=False)
class RateCurve:
    """Arms that differ in nothing but their learning rate.

    Attributes:
        arms: by rising rate.
        size: their parameters, mean over arms.
        values: the loss, a row a seed, a column a rate.
        best: the rate of least loss; where it is the least or greatest tried, that rate itself.
        is_inside: whether the least mean loss lies between other rates.
        interval: 95 % of the best rate, by a t-interval of its logarithm over seeds; None for one
            seed, or where some seed's least loss is at an end.
    """

    arms: tuple[str, ...]
    size: float
    values: pd.DataFrame
    best: float
    is_inside: bool
    interval: tuple[float, float] | None


def best_rates(tables: ScalingTables) -> tuple[RateCurve, ...]:
    """Every curve of at least three rates, by size."""
    sizes = tables.means(tables.sizes)
    found = []
    for arms in rate_curves(tables):
        values = tables.by_seed(tables.loss, arms)
        if len(values) and all(arm in sizes for arm in arms):
            rates = [tables.number(arm, "learning_rate") for arm in arms]
            values = values.set_axis(pd.Index(rates, dtype=float), axis=1)
            found.append(_curve(arms, float(sizes[list(arms)].mean()), values))
    return tuple(sorted(found, key=lambda one: one.size))


def _curve(arms: tuple[str, ...], size: float, values: pd.DataFrame) -> RateCurve:
    logs = np.log(values.columns.to_numpy(float))
    best, is_inside = _least(logs, values.mean().to_numpy(float))
    of_seeds = [_least(logs, row) for row in values.to_numpy(float)]
    interval = None
    if is_inside and all(inside for _, inside in of_seeds):
        ends = t_interval([place for place, _ in of_seeds])
        interval = (float(np.exp(ends[0])), float(np.exp(ends[1]))) if ends else None
    return RateCurve(arms, size, values, float(np.exp(best)), is_inside, interval)


def _least(logs: np.ndarray, losses: np.ndarray) -> tuple[float, bool]:
    """Bottom of the parabola through the least loss and its neighbours; else the end itself."""
    place = int(losses.argmin())
    if place in {0, len(losses) - 1}:
        return float(logs[place]), False
    near = slice(place - 1, place + 2)
    bend, slope, _ = np.polyfit(logs[near] - logs[place], losses[near], 2)
    return float(logs[place] - slope / (2 * bend)) if bend > 0 else float(logs[place]), True
