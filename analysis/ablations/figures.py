"""What recursion costs under changed settings: a forest, and curves over those that are numbers."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from analysis.ablations import words
from analysis.ablations.findings import METRIC, Ablation, AblationFindings
from analysis.ablations.settings import is_number, said_alone, usual_in_words, written
from analysis.claims.effects import Effect
from analysis.figures import Plate
from analysis.metrics import metric_info
from collapse.figures.style import (
    FAINT,
    INK,
    PALETTE,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)

Curve = tuple[tuple[float, Ablation], ...]
"""Values of one setting, rising, with the arm that has it."""

_ROW_IN = 0.34
_LABEL_CHARACTERS = 30
_LEAST_VALUES = 3
_LOGARITHMIC = 4
"""Times the least value that the greatest is, for an axis to be logarithmic."""
_MORE, _LESS, _UNTOLD = PALETTE[0], PALETTE[1], INK
_LOOKS = {"costs more": (_MORE, "o"), "costs less": (_LESS, "s"), "not told": (_UNTOLD, "o")}


def ablation_plates(found: AblationFindings) -> tuple[Plate, ...]:
    """The forest of all changes, and curves where a setting has three values or more."""
    said = words.title(found)
    bars = "t-intervals of the mean over seeds (95 %), thin dots single seeds"
    forest = Plate(
        "ablations",
        said,
        f"Left: loss on human text at generation {found.record.generations} beyond the control "
        "that was trained alike; right: the same, less that of the arm in which nothing is "
        f"changed, with its mean as a number. Bars are {bars}. Filled: p at most 0.05 after "
        "correction over all changes.",
        draw_forest(found, said),
    )
    curves = numbers_by_setting(found)
    if not curves:
        return (forest,)
    told = curves_title(curves)
    caption = (
        "What recursion costs beyond the control that was trained alike, against the value of one "
        f"setting; the ring is the study's own. Bars are {bars}."
    )
    return (forest, Plate("ablation_curves", told, caption, draw_curves(found, told, curves)))


def numbers_by_setting(found: AblationFindings) -> Mapping[str, Curve]:
    """Settings that were changed alone, to numbers: value and arm, with the study's own among them.

    Only those of three values or more, in rising order.
    """
    curves: dict[str, dict[float, Ablation]] = {}
    for one in found.ablations:
        (name, value), *others = one.changes.items()
        if not others and is_number(value):
            curves.setdefault(name, {})[float(value)] = one
    for name, points in curves.items():
        usual = found.record.settings.get(name)
        if is_number(usual):
            points.setdefault(float(usual), found.reference)
    return {
        name: tuple(sorted(points.items()))
        for name, points in curves.items()
        if len(points) >= _LEAST_VALUES
    }


def curves_title(curves: Mapping[str, Curve]) -> str:
    """What the cost is at both ends of each setting, without a full stop."""
    info, told = metric_info(METRIC), []
    for name, points in curves.items():
        (low, least), (high, most) = points[0], points[-1]
        costs = [info.write_bare(one.cost.mean or 0.0) for one in (least, most)]
        told.append(f"{costs[0]} at {name} {written(low)}, {costs[1]} at {written(high)}")
    return f"What recursion costs, in {info.unit}: {'; '.join(told)}"


def draw_forest(found: AblationFindings, said: str) -> Figure:
    """Costs at the left, changes of the cost at the right, a row an arm."""
    rows = (found.reference, *found.ablations)
    labels = [_label(found, one) for one in rows]
    heights = np.array([max(1.0, 0.62 * (label.count("\n") + 1)) for label in labels])
    places = np.cumsum(heights) - heights / 2
    figure = new_figure(said, 1.5 + _ROW_IN * heights.sum())
    left, right = figure.subplots(1, 2, sharey=True)
    for place, one in zip(places, rows, strict=True):
        _bar(left, place, one.cost, one.cost_N, "not told", is_filled=True)
        if one is not found.reference:
            looks = words.status(one)
            _bar(right, place, one.change, one.change_N, looks, is_filled=one.holds)
    if found.reference.cost.mean is not None:
        left.axvline(found.reference.cost.mean, color=SOFT, lw=1.0, ls=(0, (4, 3)))
    unit = metric_info(METRIC).unit
    for axes, label in ((left, "cost of recursion"), (right, "change of that cost")):
        axes.axvline(0, color=INK, lw=1.0)
        axes.set_xlabel(f"{label} ({unit})")
        dress(axes)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color=FAINT, lw=0.7)
    left.set_ylim(heights.sum(), 0)
    left.set_yticks(places, labels)
    _numbers_beside(right, places[1:], [one.change for one in found.ablations])
    legend_below(figure, _legend(found))
    return figure


def _numbers_beside(axes: Axes, places: NDArray[np.float64], changes: Sequence[Effect]) -> None:
    """The mean changes as numbers: beside a large one small ones are hard to see."""
    info = metric_info(METRIC)
    told = ["" if one.mean is None else info.write_bare(one.mean, "+") for one in changes]
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(places, told)
    beside.tick_params(labelsize=SMALL_PT, colors=INK, length=0)
    beside.spines["right"].set_visible(False)


def _label(found: AblationFindings, one: Ablation) -> str:
    """A change, and in a line of its own what the study has instead."""
    usual = usual_in_words(one.changes, found.record.settings)
    parts = (said_alone(one.changes) or words.NOTHING, usual)
    return "\n".join(
        fill(part, _LABEL_CHARACTERS, break_long_words=False) for part in parts if part
    )


def _legend(found: AblationFindings) -> list[Line2D]:
    """What the marks of the changes that are there mean."""
    told = {words.status(one) for one in found.ablations}
    return [
        Line2D(
            *([], []),
            ls="",
            ms=6.5,
            mew=1.3,
            color=colour,
            marker=marker,
            mfc="white" if name == "not told" else colour,
            label=f"change: {name}",
        )
        for name, (colour, marker) in _LOOKS.items()
        if name in told
    ]


def draw_curves(
    found: AblationFindings,
    said: str,
    curves: Mapping[str, Curve],
) -> Figure:
    """One panel a setting, all with one axis of costs."""
    columns = min(2, len(curves))
    rows = -(-len(curves) // columns)
    figure = new_figure(said, 0.4 + 3.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(curves) :]:
        axes.remove()
    for axes, (name, points) in zip(grid.flat, curves.items(), strict=False):
        _curve(axes, found, points)
        axes.set_xlabel(name)
    for axes in grid[:, 0]:
        axes.set_ylabel(f"cost of recursion\n({metric_info(METRIC).unit})")
    return figure


def _curve(axes: Axes, found: AblationFindings, points: Curve) -> None:
    x = [value for value, _ in points]
    means = [np.nan if one.cost.mean is None else one.cost.mean for _, one in points]
    for value, one in points:
        axes.plot(np.full(one.cost_N.size, value), one.cost_N, ".", color=SOFT, ms=4, alpha=0.6)
        if one.cost.interval:
            axes.plot((value, value), one.cost.interval, color=_LESS, lw=2.0)
    axes.plot(x, means, "o-", color=_LESS, lw=1.6, ms=6.5)
    own = [place for place, (_, one) in enumerate(points) if one is found.reference]
    axes.plot([x[p] for p in own], [means[p] for p in own], "o", ms=12, mfc="none", mec=INK)
    if x[0] > 0 and x[-1] / x[0] >= _LOGARITHMIC:
        axes.set_xscale("log")
    axes.set_xticks(x, [written(value) for value in x])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.12)
    axes.axhline(0, color=INK, lw=1.0)
    dress(axes)


def _bar(
    axes: Axes, place: float, what: Effect, values: np.ndarray, looks: str, *, is_filled: bool
) -> None:
    """One arm's mean, interval and seeds."""
    if what.mean is None:
        return
    colour, marker = _LOOKS[looks]
    axes.plot(values, np.full(values.size, place + 0.24), ".", color=SOFT, ms=3.5, alpha=0.6)
    if what.interval:
        axes.plot(what.interval, (place, place), color=colour, lw=1.8, solid_capstyle="butt")
    face = colour if is_filled else "white"
    axes.plot(what.mean, place, marker=marker, ms=6.5, mfc=face, mec=colour, mew=1.3)
