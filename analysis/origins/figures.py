"""The parts stacked over generations, and what was read against what was added."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures import Plate
from analysis.origins.findings import OriginFindings, parts_table
from analysis.origins.words import parts_title, passed_title
from analysis.statistics import LEAST_FOR_INTERVAL, drawn_spread
from collapse.figures.style import (
    INK,
    LABEL_PT,
    PALETTE,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)

_GREY = "#B3B3B3"


@dataclass(frozen=True)
class Layer:
    """One part of a stack.

    Attributes:
        column: of the findings' chains.
        label: in the legend.
        colour: of its bars.
    """

    column: str
    label: str
    colour: str


SAMPLING = Layer("sampling", "sampling: not in the stories it read", PALETTE[1])
FITTING = Layer("fitting", "fitting: not learnt, or made up", PALETTE[0])
NOT_LEARNED = Layer("not_learned", "fitting: not learnt among stories", PALETTE[0])
MADE_UP = Layer("made_up", "fitting: texts that are no stories", PALETTE[5])
DECODING = Layer("decoding", "decoding", PALETTE[2])
PASSED = Layer("passed", "in the text it read", _GREY)
ADDED = Layer("added", "added by the generation", PALETTE[0])


def origin_plates(found: OriginFindings) -> tuple[Plate, ...]:
    """All figures that there are data for."""
    plates = [_plate(found, "origins", parts_title(found), _parts(found), "")]
    if found.means(found.told, found.last)[["passed", "added"]].notna().all():
        note = "What it read is the mixture of people and earlier generations that wrote its text."
        plates.append(
            _plate(found, "origins_passed_on", passed_title(found), (PASSED, ADDED), note)
        )
    return tuple(plates)


def _parts(found: OriginFindings) -> tuple[Layer, ...]:
    """Fitting in two where that is known everywhere; decoding where there is any."""
    fitting = (NOT_LEARNED, MADE_UP) if found.has("not_learned") else (FITTING,)
    return (SAMPLING, *fitting, *(() if found.decodes_plainly else (DECODING,)))


def _plate(
    found: OriginFindings, name: str, title: str, layers: tuple[Layer, ...], note: str
) -> Plate:
    caption = " ".join(
        part
        for part in (
            "Bars are means over seeds, those below 0 hang down; points are the whole distance.",
            _errors_in_words(found),
            note,
        )
        if part
    )
    return Plate(name, title, caption, stacks(found, title, layers), parts_table(found))


def stacks(found: OriginFindings, title: str, layers: tuple[Layer, ...]) -> Figure:
    """One panel an arm on one scale: a bar of stacked parts a generation, and their sum."""
    arms = found.shown
    columns = min(len(arms), 2 if len(arms) in (2, 4) else 3)
    rows = -(-len(arms) // columns)
    figure = new_figure(title, 1.5 + 2.3 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(grid.flat):
        if place >= len(arms):
            axes.set_axis_off()
            continue
        _draw_arm(axes, found, arms[place], layers)
        axes.tick_params(labelbottom=place + columns >= len(arms))
        if place + columns >= len(arms):
            axes.set_xlabel("generation")
    figure.supylabel("nats a story from the truth", fontsize=LABEL_PT, color=INK)
    handles = [Patch(color=layer.colour, label=layer.label) for layer in layers]
    point = Line2D([], [], color=INK, marker="o", ms=4, lw=1.2, label="the whole, as it writes")
    legend_below(figure, [*handles, point], columns=2)
    return figure


def _draw_arm(axes: Axes, found: OriginFindings, arm: str, layers: tuple[Layer, ...]) -> None:
    generations = found.generations_of(arm)
    means = pd.DataFrame([found.means(arm, g) for g in generations])
    above, below = np.zeros(len(generations)), np.zeros(len(generations))
    for layer in layers:
        heights = means[layer.column].fillna(0.0).to_numpy()
        bottoms = np.where(heights >= 0, above, below)
        axes.bar(generations, heights, 0.8, bottom=bottoms, color=layer.colour, lw=0)
        above += np.clip(heights, 0, None)
        below += np.clip(heights, None, 0)
    for generation in generations:
        values = found.at(arm, "total", generation)
        low, high = drawn_spread(values)
        axes.plot([generation] * 2, [low, high], color=INK, lw=1.2)
        axes.plot(generation, values.mean(), "o", ms=4, color=INK)
    is_control = arm == found.record.control
    label = f"{arm} (control)" if is_control else arm
    axes.set_title(label, loc="left", fontsize=SMALL_PT, color=INK)
    axes.axhline(0, color=SOFT, lw=0.8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    dress(axes)


def _errors_in_words(found: OriginFindings) -> str:
    counts = found.chains["total"].groupby(level=["arm", "generation"]).count()
    if counts.max() < 2:
        return "There is one seed, so there is no interval."
    if counts.max() < LEAST_FOR_INTERVAL:
        return "Error bars span two seeds."
    note = "Error bars are 95 % t-intervals of its mean over seeds"
    is_sure = counts.min() >= LEAST_FOR_INTERVAL
    return f"{note}." if is_sure else f"{note}, or span what fewer than three have."
