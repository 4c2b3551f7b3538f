"""The figures of tests over seeds: effects as a forest, links as a heat map."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.figures import Plate, arm_style
from analysis.inference.family import Contrast
from analysis.inference.findings import InferenceFindings
from analysis.inference.heat import links_plate
from analysis.inference.words import correction_in_words, least_in_words
from analysis.metrics import MINUS, metric_info
from analysis.statistics import ALPHA, least_sign_flip_p
from collapse.figures.style import (
    FAINT,
    INK,
    dress,
    legend_below,
    new_figure,
)

_TICKS = (1, 3, 10, 30, 100, 300)
_ROW_IN = 0.17
_NAMED = 5
_TOO_FEW = (0, (1.0, 1.0))


def inference_plates(found: InferenceFindings) -> tuple[Plate, ...]:
    """The forest and the heat map, as far as there is something to draw."""
    drawn = (forest_plate(found), links_plate(found.links) if found.links else None)
    return tuple(plate for plate in drawn if plate)


def forest_plate(found: InferenceFindings) -> Plate | None:
    """Effects of every arm against its control in the leading metrics, in standard deviations."""
    metrics = [metric for metric in found.leading if _rows_of(found, metric)]
    if not metrics:
        return None
    control = found.record.named_control
    drawn = {one.arm for metric in metrics for one in _rows_of(found, metric)}
    arms = [arm for arm in found.record.arms if arm in drawn]
    title = _title(found, metrics)
    figure = new_figure(title, 1.6 + _ROW_IN * len(metrics) * (len(arms) + 1.5))
    axes = figure.subplots()
    for place, metric in enumerate(metrics):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color=FAINT, alpha=0.35, lw=0)
        for one in _rows_of(found, metric):
            offset = (arms.index(one.arm) + 1) / (len(arms) + 1) - 0.5
            _draw(axes, found, one, place + offset)
    axes.axvline(0.0, color=INK, lw=1.0)
    axes.set_ylim(len(metrics) - 0.5, -0.5)
    axes.set_yticks(range(len(metrics)), [metric_info(metric).label for metric in metrics])
    _sd_axis(axes)
    axes.set_xlabel(f"arm {MINUS} {control}, in sd of the paired differences")
    dress(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=FAINT, lw=0.7)
    handles = [_handle(found, arm) for arm in arms]
    shown = [one for metric in metrics for one in _rows_of(found, metric)]
    legend_below(figure, [*handles, *_notes(shown)])
    return Plate("effects_forest", title, _caption(found, shown), figure)


def _rows_of(found: InferenceFindings, metric: str) -> list[Contrast]:
    """The contrasts with the control at the last generation that have a size."""
    return [
        one
        for one in found.contrasts
        if one.metric == metric
        and one.control == found.record.control_of(one.arm)
        and one.generation == found.record.generations
        and one.in_differences
    ]


def _draw(axes: Axes, found: InferenceFindings, one: Contrast, y: float) -> None:
    assert one.in_differences is not None
    colour, marker = arm_style(found.record, one.arm).values()
    line = {"color": colour, "lw": 1.8, "ls": _TOO_FEW if one.has_too_few else "-"}
    axes.plot(one.in_differences.interval, (y, y), solid_capstyle="butt", **line)
    face = colour if one.holds else "white"
    axes.plot(one.in_differences.g, y, marker=marker, ms=6.5, mfc=face, mec=colour, mew=1.3)


def _notes(shown: Sequence[Contrast]) -> list[Line2D]:
    """What open marks mean, and dotted lines where there are any."""
    like: dict[str, Any] = {"color": INK, "marker": "o", "mfc": "white", "mew": 1.3}
    notes = [Line2D([], [], **like | {"ls": ""}, label="open: does not hold")]
    if any(one.has_too_few for one in shown):
        notes.append(
            Line2D([], [], **like, ls=_TOO_FEW, lw=1.8, label="dotted: too few seeds to hold")
        )
    return notes


def _sd_axis(axes: Axes) -> None:
    """Linear to one standard deviation, logarithmic beyond: effects of 0.5 and of 30 both show."""
    axes.set_xscale("symlog", linthresh=1.0, linscale=1.0)
    axes.margins(x=0.04)
    low, high = axes.get_xlim()
    # Only as many as have room.
    ticks = [tick for tick in _TICKS if tick <= 10 or max(-low, high) < 3_000]
    every = [*(-tick for tick in reversed(ticks)), 0, *ticks]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in every if low <= tick <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda sd, _: f"{sd:g}".replace("-", MINUS)))


def _handle(found: InferenceFindings, arm: str) -> Line2D:
    colour, marker = arm_style(found.record, arm).values()
    n = max(one.found.n_seeds for one in found.contrasts if one.arm == arm)
    return Line2D(*([], []), color=colour, marker=marker, ms=6.5, lw=1.8, label=f"{arm} (n = {n})")


def _title(found: InferenceFindings, metrics: Sequence[str]) -> str:
    """Which arms differ from the control, and in how many of the metrics that are drawn."""
    rows: dict[str, list[Contrast]] = {arm: [] for arm in found.record.arms}
    for metric in metrics:
        for one in _rows_of(found, metric):
            rows[one.arm].append(one)
    control = found.record.named_control
    held = {arm: sum(one.holds for one in own) for arm, own in rows.items()}
    apart = {arm: k for arm, k in held.items() if k}
    few = [arm for arm, own in rows.items() if own and all(one.has_too_few for one in own)]
    n = len(metrics)
    if apart:
        told = ", ".join(f"{arm} in {apart[arm]}" for arm in list(apart)[:_NAMED])
        if len(apart) > _NAMED:
            told += f", {len(apart) - _NAMED} more arms in some"
        rest = [arm for arm, own in rows.items() if own and arm not in (*apart, *few)]
        none = f"; {' and '.join(rest[:3])} in none" if 0 < len(rest) <= 3 else ""
        return f"Against {control}, of {n} leading metrics differ: {told}{none}{_unheard(few)}"
    most = max(one.found.n_seeds for one in found.contrasts)
    if least_sign_flip_p(most) > ALPHA:
        return f"{most} seeds are too few to tell any arm from {control}, however far apart"
    return f"No arm is told from {control} in any of {n} leading metrics{_unheard(few)}"


def _unheard(few: Sequence[str]) -> str:
    """The arms that could differ in nothing, for a title."""
    named = " and ".join(few) if len(few) <= 3 else f"{len(few)} arms"
    return f"; {named} {'has' if len(few) == 1 else 'have'} too few seeds" if few else ""


def _caption(found: InferenceFindings, shown: Sequence[Contrast]) -> str:
    few = any(one.has_too_few for one in shown)
    dotted = f"; dotted: it could not, as {least_in_words(shown)}" if few else ""
    return (
        f"Hedges' g of the paired differences at generation {found.record.generations}, with 95 % "
        "intervals (noncentral t). Filled: p at most 0.05 after correction over all arms and "
        f"metrics ({correction_in_words(found)}; the primary contrast by itself); open: not"
        f"{dotted}. The axis is linear to 1 and logarithmic beyond. Standard deviations are over "
        "seeds: a large effect may still be a small difference, and where seeds do not vary there "
        "is none to draw."
    )
