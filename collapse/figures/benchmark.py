"""Tasks: what a model gets right beside what chance would."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse.figures.style import (
    FAINT,
    INK,
    LABEL_PT,
    PALETTE,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)

_ABOVE, _NOT_ABOVE = PALETTE[1], PALETTE[0]
_TWO_SIDED_95 = 1.96
_METRICS = {"acc": "", "em": " (exact match)"}


def benchmark_figure(
    table: pd.DataFrame, chain: str, overall: float, overall_error: float | None
) -> Figure:
    """Share of right answers of every task, with its error, beside its floor.

    Args:
        table: a row a task: task, metric (acc or em), value, error (standard, nan where there is
            none), floor, random (what one guess an item got right), items.
        chain: which model, for the title.
        overall: mean of the tasks, each rescaled so that 0 is its floor and 1 all right.
        overall_error: its standard error; None where there is none.

    Returns:
        A figure 8 inches wide.
    """
    table = table.reset_index(drop=True)
    above = table["value"] - _TWO_SIDED_95 * table["error"].fillna(np.inf) > table["floor"]
    spread = "" if overall_error is None else f" ± {100 * _TWO_SIDED_95 * overall_error:.0f}"
    share = f"{100 * overall:.0f}".replace("-", "\N{MINUS SIGN}")
    title = (
        f"Above chance on {int(above.sum())} of {len(table)} tasks; overall "
        f"{share}{spread} % of the way from chance to all right ({chain})"
    )
    figure = new_figure(title, 1.6 + 0.36 * len(table))
    axes = figure.subplots()
    places = np.arange(len(table))[::-1]
    for is_above, colour, marker in ((True, _ABOVE, "o"), (False, _NOT_ABOVE, "s")):
        _draw_scores(axes, table[above == is_above], places[above == is_above], colour, marker)
    axes.plot(100 * table["floor"], places, "|", color=INK, ms=17, mew=2.2)
    axes.plot(100 * table["random"], places, "x", color=SOFT, ms=6, mew=1.4)
    _label(axes, table, places)
    legend_below(figure, _keys(), columns=2)
    return figure


def _draw_scores(
    axes: Axes, rows: pd.DataFrame, places: np.ndarray, colour: str, marker: str
) -> None:
    axes.errorbar(
        100 * rows["value"],
        places,
        xerr=100 * _TWO_SIDED_95 * rows["error"].fillna(0),
        fmt=marker,
        ms=7,
        color=colour,
        elinewidth=1.8,
        capsize=3,
    )


def _label(axes: Axes, table: pd.DataFrame, places: np.ndarray) -> None:
    names = [
        f"{task.replace('_', ' ')}{_METRICS[metric]}"
        for task, metric in zip(table["task"], table["metric"], strict=True)
    ]
    axes.set_yticks(places, names)
    axes.set_ylim(-0.6, len(table) - 0.4)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("right answers, % of items")
    for place, count in zip(places, table["items"], strict=True):
        axes.annotate(
            f"{count:,} items",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=SMALL_PT,
            color=SOFT,
        )
    dress(axes)
    axes.grid(axis="x", color=FAINT, lw=0.7)
    axes.yaxis.label.set(fontsize=LABEL_PT)


def _keys() -> list[Line2D]:
    return [
        Line2D(
            [], [], color=_ABOVE, marker="o", ms=7, lw=1.8, label="above chance (95 % interval)"
        ),
        Line2D([], [], color=_NOT_ABOVE, marker="s", ms=7, lw=1.8, label="not above chance"),
        Line2D([], [], color=INK, marker="|", ms=14, mew=2.2, lw=0, label="chance (floor)"),
        Line2D([], [], color=SOFT, marker="x", ms=6, mew=1.4, lw=0, label="guessed once an item"),
    ]
