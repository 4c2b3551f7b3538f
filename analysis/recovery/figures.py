"""The excess over the control before and after chains went back to human text."""

from collections.abc import Iterable
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.figures import Plate, arm_style
from analysis.metrics import metric_info
from analysis.recovery.findings import RecoveryFindings, excess_by_generation
from analysis.recovery.words import title
from analysis.statistics import LEAST_FOR_INTERVAL, t_interval
from collapse.figures.style import (
    INK,
    PANEL_CHARACTERS,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)

RING: dict[str, Any] = {"marker": "o", "ms": 12, "mfc": "none", "mec": INK}


def recovery_plates(found: RecoveryFindings) -> tuple[Plate, ...]:
    """The one figure of a section on recovery."""
    said = title(found)
    table = courses(found)
    bands = (
        "95 % t-intervals of the mean over seeds"
        if _has_intervals(table["n_seeds"])
        else "the least and the greatest seed"
    )
    caption = (
        f"Differences from {found.record.named_control} of the same seed; bands are {bands}. A "
        "ring is the last generation on own text: from there a chain goes on with human text."
    )
    return (Plate("recovery", said, caption, draw(found, said, table), table),)


def courses(found: RecoveryFindings) -> pd.DataFrame:
    """Means over seeds of the difference from the control, by metric, arm and generation.

    Returns:
        Columns metric, arm, generation, mean, lower, upper and n_seeds: the ends of a band, all
        of which are of one kind.
    """
    points = [
        ((metric, arm, generation), np.asarray(values, dtype=float))
        for metric in found.metrics
        for arm in found.arms
        for generation, values in excess_by_generation(found.record, metric, arm).items()
    ]
    is_interval = _has_intervals(values_N.size for _, values_N in points)
    rows = []
    for place, values_N in points:
        interval = t_interval(values_N) if is_interval else None
        low, high = interval or (values_N.min(), values_N.max())
        rows.append((*place, values_N.mean(), low, high, values_N.size))
    columns = ["metric", "arm", "generation", "mean", "lower", "upper", "n_seeds"]
    return pd.DataFrame(rows, columns=columns)


def _has_intervals(n_seeds: Iterable[int]) -> bool:
    """Whether every point has seeds enough: bands of two kinds in one figure nobody could read."""
    return min(n_seeds) >= LEAST_FOR_INTERVAL


def draw(found: RecoveryFindings, said: str, table: pd.DataFrame) -> Figure:
    """One panel a metric, at most two abreast."""
    metrics = found.metrics
    columns = min(2, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = new_figure(said, (4.0 if rows == 1 else 2.8 * rows) + 0.75)
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(metrics):
            axes.remove()
            continue
        _panel(axes, found, metrics[place], table[table["metric"] == metrics[place]])
        if place + columns >= len(metrics):
            axes.set_xlabel("generation")
    styles = {arm: arm_style(found.record, arm) for arm in found.arms}
    lines = [Line2D([], [], lw=2.2, ms=6.5, label=arm, **style) for arm, style in styles.items()]
    lines.append(Line2D([], [], lw=0, label="its last on own text", **RING))
    legend_below(figure, lines, columns=min(len(lines), 4))
    return figure


def _panel(axes: Axes, found: RecoveryFindings, metric: str, table: pd.DataFrame) -> None:
    info = metric_info(metric)
    scale, unit = (100.0, "points") if info.is_share else (1.0, info.unit)
    switched = {one.arm: one for one in found.of(metric)}
    for arm in found.arms:
        style, line = arm_style(found.record, arm), table[table["arm"] == arm]
        if arm in switched and switched[arm].gone_on:  # which draws what they have in common
            line = line[line["generation"] >= switched[arm].switch - 1]
        ends = (scale * line["lower"], scale * line["upper"])
        axes.fill_between(line["generation"], *ends, color=style["color"], alpha=0.15, lw=0)
        axes.plot(line["generation"], scale * line["mean"], lw=2.0, ms=5.5, **style)
        if arm in switched:
            turn = line[line["generation"] == switched[arm].switch - 1]
            axes.plot(turn["generation"], scale * turn["mean"], **RING)
    label = f"{info.label}, minus {found.record.named_control}" + (f" ({unit})" if unit else "")
    axes.set_title(fill(label, PANEL_CHARACTERS), loc="left", fontsize=SMALL_PT, color=INK)
    axes.axhline(0, color=SOFT, lw=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    dress(axes)
