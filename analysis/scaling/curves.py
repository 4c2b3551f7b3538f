"""The figures of dynamics and of learning rates, and all figures of scaling in their order."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.figures import Plate
from analysis.metrics import metric_info
from analysis.scaling.dynamics import Returns, is_score
from analysis.scaling.figures import (
    benchmark_plate,
    scaling_plate,
    spread_in_words,
    tasks_plate,
)
from analysis.scaling.findings import OVER, ScalingFindings
from analysis.scaling.laws import size_in_words
from analysis.scaling.rates import RateCurve, best_rates
from analysis.scaling.words import returns_in_words, returns_title
from analysis.statistics import drawn_spread
from collapse.figures.style import (
    INK,
    MARKERS,
    PALETTE,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)


def scaling_plates(found: ScalingFindings) -> tuple[Plate, ...]:
    """All figures that there are data for."""
    drawn = (
        benchmark_plate(found),
        scaling_plate(found),
        tasks_plate(found),
        dynamics_plate(found),
        rates_plate(found),
    )
    return tuple(plate for plate in drawn if plate is not None)


def dynamics_plate(found: ScalingFindings) -> Plate | None:
    """Loss and overall score over the steps of one training; None without a dynamics run."""
    if not found.returns:
        return None
    arm = found.returns[0].arm
    shown = [one for one in found.returns if one.arm == arm]
    title = returns_title(shown[0])
    figure = new_figure(title, 4.2)
    grid = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, one in zip(grid, shown, strict=True):
        _draw_returns(axes, one)
    n_seeds = [one.values.shape[1] for one in shown]
    caption = (
        f"{arm}, steps on a logarithmic axis. {spread_in_words(n_seeds)} Thin lines are single "
        "trainings. The shaded part is where no doubling is told to bring anything. "
        + " ".join(returns_in_words(one) for one in shown)
    )
    return Plate("scaling_dynamics", title, caption, figure)


def _draw_returns(axes: Axes, one: Returns) -> None:
    scale = 100.0 if is_score(one.metric) else 1.0
    values = scale * one.values
    steps = values.index.to_numpy(float)
    if one.stalls_at is not None:
        axes.axvspan(one.stalls_at, steps[-1], color=SOFT, alpha=0.12, lw=0)
    for seed in values.columns:
        axes.plot(steps, values[seed], color=PALETTE[1], lw=0.8, alpha=0.45)
    ends = np.array([drawn_spread(row) for _, row in values.iterrows()])
    means = values.mean(axis=1)
    axes.vlines(steps, ends[:, 0], ends[:, 1], color=PALETTE[1], lw=1.4)
    axes.plot(steps, means, color=PALETTE[1], marker="o", lw=2, ms=6, mec="white", mew=0.8)
    info = metric_info(one.metric)
    axes.set_title(f"{info.label} ({info.unit})", loc="left", fontsize=SMALL_PT, color=INK)
    axes.set_xscale("log")
    ticks = [end for end in (steps[-1] / 2**k for k in range(12)) if end >= 0.99 * steps[0]]
    axes.xaxis.set_major_locator(FixedLocator(ticks[:5]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: size_in_words(x)))
    axes.set_xlabel("training steps")
    dress(axes)


def rates_plate(found: ScalingFindings) -> Plate | None:
    """Loss against learning rate, a line a size; None for fewer than three rates."""
    curves = best_rates(found.tables)
    if not curves:
        return None
    title = _rates_title(curves)
    figure = new_figure(title, 4.6)
    axes = figure.subplots()
    handles = []
    for place, curve in enumerate(curves):
        colour, marker = PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)]
        _draw_rates(axes, curve, colour, marker, place)
        label = f"{size_in_words(curve.size)} {OVER[found.tables.sizes]}"
        handles.append(Line2D([], [], color=colour, marker=marker, lw=2, ms=6, label=label))
    rates = sorted({float(rate) for curve in curves for rate in curve.values.columns})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(rates))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:.3g}"))
    axes.set_xlabel("learning rate")
    info = metric_info(found.tables.loss)
    axes.set_ylabel(f"{info.label} ({info.unit})")
    dress(axes)
    if any(not curve.is_inside for curve in curves):
        label = "best, at the end of what was tried"
        handles.append(_best(False, label))
    if any(curve.is_inside for curve in curves):
        handles.append(_best(True, "best"))
    legend_below(figure, handles, columns=2)
    caption = (
        "Arms that differ in nothing but learning rates. "
        f"{spread_in_words(len(curve.values) for curve in curves)} Below: the bottom of the "
        "parabola through the least loss and its neighbours, its bar the 95 % t-interval of the "
        "rate's logarithm over seeds; a hollow mark is a least loss at the end of the rates tried, "
        "and no minimum."
    )
    return Plate("scaling_rates", title, caption, figure)


def _best(is_inside: bool, label: str) -> Line2D:
    """The marks of the strip below the curves, in a legend."""
    face = SOFT if is_inside else "white"
    return Line2D([], [], ls="", marker="o", ms=7, mfc=face, mec=SOFT, label=label)


def _draw_rates(axes: Axes, curve: RateCurve, colour: str, marker: str, place: int) -> None:
    rates = curve.values.columns.to_numpy(float)
    ends = np.array([drawn_spread(curve.values[rate]) for rate in rates])
    axes.vlines(rates, ends[:, 0], ends[:, 1], color=colour, lw=1.4)
    axes.plot(rates, curve.values.mean(), color=colour, marker=marker, lw=2, ms=6, mec="white")
    # Marks stand below the curves, in their own strip of the axes.
    strip = axes.get_xaxis_transform()
    height = 0.03 + 0.04 * place
    if curve.interval:
        axes.plot(curve.interval, [height, height], color=colour, lw=2, transform=strip)
    face = colour if curve.is_inside else "white"
    mark: dict[str, Any] = {
        "marker": marker,
        "ms": 7,
        "mfc": face,
        "mec": colour,
        "ls": "",
        "transform": strip,
    }
    axes.plot([curve.best], [height], **mark)
    axes.margins(y=0.2)


def _rates_title(curves: tuple[RateCurve, ...]) -> str:
    ends = {f"{curve.values.columns.max():.3g}" for curve in curves}
    if len(curves) > 1 and {f"{curve.best:.3g}" for curve in curves} == ends and len(ends) == 1:
        rate = ends.pop()
        return f"Loss is least at the highest learning rate that was tried, {rate}, at every size"
    told = []
    for curve in curves:
        rate = f"{curve.best:.3g}"
        if curve.interval:
            rate += f" ({curve.interval[0]:.3g} to {curve.interval[1]:.3g})"
        if not curve.is_inside:
            rate += ", at the end of what was tried"
        told.append(f"{rate} at {size_in_words(curve.size)}")
    return f"Loss is least at a learning rate of {'; '.join(told)}"
