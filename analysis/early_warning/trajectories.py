"""The figure of how far chains stand outside the healthy ones, generation by generation."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from analysis.early_warning.exceedance import prediction_z
from analysis.early_warning.findings import EventWarning
from analysis.early_warning.leads import ArmLeads
from analysis.early_warning.words import brief
from analysis.figures import Plate
from collapse.figures.style import INK, PALETTE, SMALL_PT, SOFT, dress, legend_below, new_figure

_Z_TICKS = (-100, -20, -5, -2, 0, 2, 5, 20, 100, 500, 2000)


def trajectory_plate(one: EventWarning) -> Plate:
    """How far the judged chains stand outside the healthy ones, generation by generation."""
    chosen = one.pictured
    title = _trajectory_title(one, chosen)
    columns = min(2, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(title, 2.7 * rows + 1.2)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
    for place, leads in enumerate(chosen):
        _draw_trajectories(grid[place], leads)
        grid[place].set_xlabel("generation" if place + columns >= len(chosen) else "")
    for axes in grid[len(chosen) :]:
        axes.remove()
    handles = [
        Line2D([], [], color=PALETTE[0], lw=1.2, label=f"chains of {one.events.arm}"),
        Line2D([], [], color=INK, marker="X", ls="", ms=8, mec="white", label="its event"),
        Line2D([], [], color=SOFT, lw=7, alpha=0.3, label="all healthy chains"),
        Line2D([], [], color=INK, lw=1.2, ls="--", label="threshold"),
    ]
    legend_below(figure, handles, columns=4)
    caption = (
        "Each line is a chain: how far its difference from the control of its seed lies outside "
        "that of healthy pairs of all other seeds, in standard deviations of a prediction "
        "interval, upwards in the direction that warns. Two generations in a row above the dashed "
        f"threshold are an alarm. Crosses mark {one.events.rule.short}; the band "
        "spans all healthy chains, fresh and static, judged the same way. The axis is linear to 5 "
        "and logarithmic beyond."
    )
    return Plate("warning_trajectories", title, caption, figure)


def _draw_trajectories(axes: Axes, leads: ArmLeads) -> None:
    calibration = leads.calibration
    generations = np.arange(1, leads.z_SxG.shape[1] + 1)
    every = [prediction_z(pair, pair, 1) for pair in calibration.healthy_AxSxG]
    healthy = np.concatenate([*every, *(-z for z in every)])
    known = np.isfinite(healthy).any(axis=0)
    low, high = np.nanmin(healthy[:, known], axis=0), np.nanmax(healthy[:, known], axis=0)
    axes.fill_between(generations[known], low, high, color=SOFT, alpha=0.3, lw=0)
    for place in np.flatnonzero(leads.judged):
        axes.plot(generations, leads.z_SxG[place], color=PALETTE[0], lw=1.1, alpha=0.75)
        came = leads.events.latest_S[place]
        if leads.events.seen[place]:
            height = leads.z_SxG[place, int(came) - 1]
            axes.plot([came], [height], color=INK, marker="X", ms=8, mec="white", mew=0.8, zorder=4)
    if calibration.threshold:
        axes.axhline(calibration.threshold.value, color=INK, lw=1.2, ls="--")
    axes.set_yscale("symlog", linthresh=5, linscale=1.5)
    low, high = axes.get_ylim()
    axes.set_yticks([tick for tick in _Z_TICKS if low <= tick <= high])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    way = "falling" if leads.indicator.sign < 0 else "rising"
    axes.set_title(
        f"{brief(leads.indicator.metric)}, {way}", loc="left", fontsize=SMALL_PT, color=INK
    )
    axes.set_xticks(generations)
    axes.set_ylabel("z (sd)")
    dress(axes)


def _trajectory_title(one: EventWarning, chosen: Sequence[ArmLeads]) -> str:
    told = []
    for leads in chosen:
        row = one.table[one.table["indicator"] == leads.indicator.metric].iloc[0]
        told.append(f"{row['alarms']:.0f} of {row['chains']} by {brief(leads.indicator.metric)}")
    return f"Chains of {one.events.arm} that alarm: {'; '.join(told)}"
