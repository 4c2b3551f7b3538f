"""A watched run: its indicators, the healthy runs' range, and the evidence with its threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from collapse.figures.style import (
    INK,
    PALETTE,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)

Floats = NDArray[np.float64]

_ALARM, _SEEN = PALETTE[0], PALETTE[1]
_ACROSS = 3
_WIDE = 50.0  # largest over smallest value above which an axis is logarithmic


@dataclass(frozen=True, eq=False)
class IndicatorView:
    """One indicator.

    Attributes:
        name: as in metrics.
        label: with its unit.
        steps_T: of the looks.
        values_T: nan where it was not measured.
        healthy_steps_S: of the healthy runs' looks; none without healthy runs.
        healthy_RxS: their values.
    """

    name: str
    label: str
    steps_T: NDArray[np.int64]
    values_T: Floats
    healthy_steps_S: Sequence[int]
    healthy_RxS: Floats


@dataclass(frozen=True, eq=False)
class WarningView:
    """What is drawn.

    Attributes:
        indicators: at least one.
        evidence_T: after each look.
        judged: how many looks could have raised an alarm.
        threshold: of the evidence.
        rule: ``runs`` or ``looks``.
        alarm: its step and indicator, or None.
    """

    indicators: Sequence[IndicatorView]
    evidence_T: Floats
    judged: int
    threshold: float
    rule: str
    alarm: tuple[int, str] | None


def warning_figure(view: WarningView) -> Figure:
    """Indicators three abreast, and below them the evidence on a logarithmic axis.

    Args:
        view: a watched run.

    Returns:
        A figure 8 inches wide.
    """
    down = -(-len(view.indicators) // _ACROSS)
    figure = new_figure(_title(view), 2.4 + 1.6 * down)
    grid = figure.add_gridspec(down + 1, _ACROSS, height_ratios=[1.0] * down + [1.1])
    below = figure.add_subplot(grid[down, :])
    for place, one in enumerate(view.indicators):
        axes = figure.add_subplot(grid[place // _ACROSS, place % _ACROSS], sharex=below)
        _draw_indicator(axes, one)
        _mark_alarm(axes, view)
        axes.tick_params(labelbottom=False)
    _draw_evidence(below, view)
    _mark_alarm(below, view)
    legend_below(figure, _legend(view))
    return figure


def _title(view: WarningView) -> str:
    steps = view.indicators[0].steps_T
    if view.alarm is None:
        if not view.judged:
            return f"No look in {int(steps[-1]):,} steps could be judged: no alarm says nothing"
        looks = f"{view.judged} judged look{'s' * (view.judged != 1)}"
        return (
            f"No alarm in {int(steps[-1]):,} steps, {looks}: the evidence stays below its threshold"
        )
    step, name = view.alarm
    return f"Alarm at step {step:,} of {int(steps[-1]):,}, by {name}"


def _draw_indicator(axes: Axes, one: IndicatorView) -> None:
    if len(one.healthy_steps_S):
        low, high = one.healthy_RxS.min(axis=0), one.healthy_RxS.max(axis=0)
        axes.fill_between(one.healthy_steps_S, low, high, color=SOFT, alpha=0.3, lw=0)
    known = np.isfinite(one.values_T)
    axes.plot(one.steps_T[known], one.values_T[known], color=_SEEN, lw=1.4, marker="o", ms=2.4)
    if known.any() and one.values_T[known].max() > _WIDE * one.values_T[known].min() > 0:
        axes.set_yscale("log")
    axes.set_title(one.label, loc="left", fontsize=SMALL_PT, color=INK)
    dress(axes)


def _draw_evidence(axes: Axes, view: WarningView) -> None:
    steps, finite = view.indicators[0].steps_T, np.isfinite(view.evidence_T)
    top = max(view.threshold, float(view.evidence_T[finite].max(initial=1.0)))
    shown = np.where(finite, np.maximum(view.evidence_T, 1e-3), 10 * top)
    axes.plot(steps, shown, color=_SEEN, lw=1.4, marker="o", ms=2.4)
    axes.axhline(view.threshold, color=INK, lw=1.0, ls=(0, (5, 3)))
    axes.set_yscale("log")
    axes.set_ylim(min(0.5, float(shown.min())) / 1.5, 4 * max(top, float(shown.max())))
    axes.set_ylabel("evidence")
    axes.set_xlabel("optimizer step")
    dress(axes)


def _mark_alarm(axes: Axes, view: WarningView) -> None:
    if view.alarm is not None:
        axes.axvline(view.alarm[0], color=_ALARM, lw=1.3)


def _legend(view: WarningView) -> list[Artist]:
    runs = len(view.indicators[0].healthy_RxS)
    made: list[Artist] = [Line2D([], [], color=_SEEN, marker="o", ms=3, label="watched run")]
    if runs:
        label = f"range of {runs} healthy runs" if runs > 1 else "a healthy run"
        made.append(Patch(color=SOFT, alpha=0.3, lw=0, label=label))
    text = f"threshold {view.threshold:g} (rule: {view.rule})"
    made.append(Line2D([], [], color=INK, lw=1.0, ls=(0, (5, 3)), label=text))
    if view.alarm is not None:
        made.append(Line2D([], [], color=_ALARM, label="alarm"))
    return made
