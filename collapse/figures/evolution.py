"""The spectra of chains over their generations, as ridges below one another."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from collapse.figures.scale import Curve, Scale, choose_scale, curve, dress_eigenvalues, floor_of
from collapse.figures.spectrum import (
    NEGATIVE,
    draw_bulk,
    draw_mark,
    legend_bulk,
    legend_mark,
    shade_negative,
    write_end,
)
from collapse.figures.style import INK, LABEL_PT, PALETTE, SOFT, dress, legend_below, new_figure
from collapse.figures.view import SpectrumView

_HIGH, _LOW = PALETTE[0], PALETTE[1]
_RIDGE = "#8A8A8A"
# Of the distance between two generations.
_RIDGE_HEIGHT = 0.78
_TICK_HEIGHT = 0.3
_MOST_ABREAST = 2
_LABEL_CHARACTERS = 84


def evolution_figure(views: Mapping[int, SpectrumView], title: str) -> Figure:
    """The spectra of one chain by generation, its largest and smallest eigenvalue joined.

    Args:
        views: by generation, at least one.
        title: the finding.

    Returns:
        A figure 8 inches wide.
    """
    return side_by_side_figure({"": views}, title)


def side_by_side_figure(chains: Mapping[str, Mapping[int, SpectrumView]], title: str) -> Figure:
    """The spectra of several chains by generation, on the same axes.

    Args:
        chains: the name above each column, and its views by generation; at least one each.
        title: the finding.

    Returns:
        A figure 8 inches wide.
    """
    every = [view for views in chains.values() for view in views.values()]
    generations = sorted({g for views in chains.values() for g in views})
    across = min(_MOST_ABREAST, len(chains))
    down = -(-len(chains) // across)
    scale = choose_scale(every, margin=0.02 + 0.13 * across)
    curves = {id(view): curve(view, scale) for view in every if len(view.weights)}
    figure = new_figure(title, 1.2 + down * (0.75 + 0.75 * len(generations)))
    grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    for place, axes in enumerate(grid.flat):
        axes.set_visible(place < len(chains))
    for place, (axes, (name, views)) in enumerate(zip(grid.flat, chains.items(), strict=False)):
        _draw_chain(axes, name, views, scale, curves)
        dress_eigenvalues(axes, scale, across)
        if place >= len(chains) - across:
            axes.set_xlabel(_wrapped(scale.axis_label, _LABEL_CHARACTERS // across))
            axes.tick_params(labelbottom=True)
        if place % across == 0:
            axes.set_ylabel("generation")
    grid[0, 0].set_ylim(max(generations) + 0.35, min(generations) - 0.95)
    grid[0, 0].set_yticks(generations)
    legend_below(figure, _legend(every))
    return figure


def _draw_chain(
    axes: Axes,
    name: str,
    views: Mapping[int, SpectrumView],
    scale: Scale,
    curves: Mapping[int, Curve],
) -> None:
    """The ridges of one chain, with its ends."""
    shade_negative(axes, scale)
    _draw_ridges(axes, views, scale, curves)
    _draw_ends(axes, views, scale)
    axes.set_title(name, loc="left", fontsize=LABEL_PT, color=INK)
    dress(axes)
    axes.spines["bottom"].set_visible(False)


def _draw_ridges(
    axes: Axes, views: Mapping[int, SpectrumView], scale: Scale, curves: Mapping[int, Curve]
) -> None:
    """Log densities on one height scale; Ritz values as ticks where there are no weights."""
    floor = floor_of(list(curves.values())) if curves else 1.0
    peak = max((float(made.density.max()) for made in curves.values()), default=10.0)
    for generation, view in sorted(views.items()):
        draw_bulk(axes, view, scale, generation, SOFT)
        if id(view) not in curves:
            places = scale.place(np.concatenate([np.ravel(nodes) for nodes in view.nodes]))
            axes.vlines(places, generation - _TICK_HEIGHT, generation, color=_RIDGE, lw=1.1)
            continue
        made = curves[id(view)]
        height = np.log(np.maximum(made.density, floor) / floor) / np.log(peak / floor)
        height[made.density <= floor] = np.nan
        ridge = generation - _RIDGE_HEIGHT * height
        axes.fill_between(made.places, ridge, generation, color=_RIDGE, alpha=0.55, lw=0, zorder=2)
        axes.plot(made.places, ridge, color=INK, lw=0.7, zorder=2)


def _draw_ends(axes: Axes, views: Mapping[int, SpectrumView], scale: Scale) -> None:
    """Largest and smallest eigenvalue of every generation, joined; first and last in numbers."""
    generations = sorted(views)
    for end, colour, marker in (("top", _HIGH, "o"), ("bottom", _LOW, "D")):
        marks = [getattr(views[generation], end) for generation in generations]
        axes.plot(scale.place([m.value for m in marks]), generations, color=colour, lw=1.6)
        for generation, mark in zip(generations, marks, strict=True):
            draw_mark(axes, mark, scale, generation, colour, marker)
        for place in {0, len(generations) - 1}:
            write_end(axes, marks[place], scale, generations[place], colour, is_top=end == "top")


def _wrapped(label: str, characters: int) -> str:
    return "\n".join(part for line in label.splitlines() for part in wrap(line, characters))


def _legend(views: Sequence[SpectrumView]) -> list[Line2D | Patch]:
    """Only what is in the picture."""
    entries: list[Line2D | Patch] = [
        Line2D([], [], color=colour, marker=marker, mew=1.5, ms=7, lw=1.6, label=label)
        for colour, marker, label in (
            (_HIGH, "o", "largest eigenvalue"),
            (_LOW, "D", "smallest eigenvalue"),
        )
    ]
    if not all(mark.certified for view in views for mark in (view.top, view.bottom)):
        entries.append(legend_mark("o", "hollow: not certified", is_hollow=True))
    if any(len(view.weights) for view in views):
        entries.append(Patch(color=_RIDGE, alpha=0.55, lw=0, label="log density (same heights)"))
    if not all(len(view.weights) for view in views):
        entries.append(Line2D([], [], color=_RIDGE, marker="|", ls="", ms=9, label="Ritz value"))
    if any(view.bulk_center is not None for view in views):
        entries.append(legend_bulk())
    entries.append(Patch(color=NEGATIVE, lw=0, label="negative curvature"))
    return entries
