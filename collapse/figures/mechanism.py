"""What became of a generation's layers, and the loss around it."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

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

Floats = NDArray[np.float64]

RISE_LEVELS_NATS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""One scale of colours for every slice there is, whatever the generation or the study."""
_FIRST, _PREVIOUS = PALETTE[0], PALETTE[1]
_MOST_LABELS, _MOST_LEVEL = 12, 4
"""Labels of an axis, and how many of them can stand level."""


def layer_in_words(layer: object) -> str:
    """A layer, as `parameter_blocks` names it, for a person."""
    known = {"all": "all weights", "embed_tokens": "embedding", "norm": "final norm"}
    return known.get(str(layer), str(layer).replace("_", " "))


def mechanism_figure(
    layers: pd.DataFrame, landscape: tuple[Floats, Floats] | None, chain: str
) -> Figure:
    """Drift, likeness and rank of the layers, and a slice of the loss where there is one.

    Args:
        layers: a row a layer: layer, participation_ratio, norm, and where a generation has been
            compared drift, drift_from_previous and cka; errors as ``.._se``.
        landscape: steps along either direction (S,), and by how many nats the loss is higher than
            at the model (S, S), the first direction down the rows.
        chain: which model, for the title.

    Returns:
        A figure 8 inches wide.
    """
    drawers = [_draw_drift, _draw_likeness] if "drift" in layers else []
    drawers.append(_draw_rank)
    panels = len(drawers) + (landscape is not None)
    across = min(2, panels)
    down = -(-panels // across)
    figure = new_figure(_finding(layers, landscape, chain), 0.9 + 3.1 * down)
    grid = figure.subplots(down, across, squeeze=False)
    for axes in grid.flat[panels:]:
        axes.remove()
    for axes, draw in zip(grid.flat, drawers, strict=False):
        draw(axes, layers)
        dress(axes)
    if landscape is not None:
        _draw_landscape(figure, grid.flat[panels - 1], *landscape)
    legend_below(figure, _legend(has_reference="drift" in layers))
    return figure


def _finding(layers: pd.DataFrame, landscape: tuple[Floats, Floats] | None, chain: str) -> str:
    """How far it moved and where least is left of the old activations, in the figure's numbers."""
    rows = layers.set_index("layer")
    if "drift" in layers:
        least = str(rows["cka"].idxmin())
        return (
            f"The weights moved {100 * rows['drift']['all']:.1f} % of their length away from "
            f"generation 0; activations are least like its own in {layer_in_words(least)}, CKA "
            f"{rows['cka'][least]:.3f} ({chain})"
        )
    ranks = rows["participation_ratio"].dropna()
    told = f"Activations use {ranks.min():.0f} to {ranks.max():.0f} directions"
    if landscape is not None:
        _, rises_SxS = landscape
        edge = np.concatenate([rises_SxS[[0, -1]].ravel(), rises_SxS[:, [0, -1]].ravel()])
        told += f"; the loss is {np.median(edge):.2g} nats higher at the edge of its slice"
    return f"{told} ({chain})"


def _draw_drift(axes: Axes, layers: pd.DataFrame) -> None:
    rows = layers[layers["drift"].notna()]
    places = np.arange(len(rows))
    for column, colour, shift in (
        ("drift", _FIRST, -0.19),
        ("drift_from_previous", _PREVIOUS, 0.19),
    ):
        axes.bar(places + shift, 100 * rows[column], 0.36, color=colour)
    _name_layers(axes, rows["layer"])
    axes.set_ylabel("relative drift of the weights\n(% of their length)", fontsize=LABEL_PT)


def _draw_likeness(axes: Axes, layers: pd.DataFrame) -> None:
    rows = layers[layers["cka"].notna()]
    _draw_points(axes, rows, "cka")
    axes.axhline(1, color=SOFT, lw=1, ls=":")
    axes.set_ylabel("CKA of the activations\nwith generation 0's", fontsize=LABEL_PT)


def _draw_rank(axes: Axes, layers: pd.DataFrame) -> None:
    rows = layers[layers["participation_ratio"].notna()]
    _draw_points(axes, rows, "participation_ratio", INK)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("participation ratio of\nthe activations (directions)", fontsize=LABEL_PT)


def _draw_points(axes: Axes, rows: pd.DataFrame, column: str, colour: str = _FIRST) -> None:
    """A point a layer with two standard errors either way."""
    errors = 2 * rows[f"{column}_se"] if f"{column}_se" in rows else None
    places = np.arange(len(rows))
    axes.errorbar(places, rows[column], errors, fmt="o", ms=6, capsize=3, lw=1.4, color=colour)
    axes.set_xlim(-0.5, len(rows) - 0.5)
    _name_layers(axes, rows["layer"])


def _name_layers(axes: Axes, names: pd.Series) -> None:
    every = max(1, -(-len(names) // _MOST_LABELS))
    axes.set_xticks(range(0, len(names), every))
    labels = axes.set_xticklabels([layer_in_words(name) for name in names[::every]])
    for label in labels if len(names) > _MOST_LEVEL else ():
        label.set(rotation=40, ha="right", rotation_mode="anchor")


def _draw_landscape(figure: Figure, axes: Axes, offsets_S: Floats, rises_SxS: Floats) -> None:
    """Contours of the rise, on levels that all figures share; below the model's loss in white."""
    norm = BoundaryNorm(RISE_LEVELS_NATS, 256, extend="both")
    shown = np.where(np.isfinite(rises_SxS), rises_SxS, 2 * RISE_LEVELS_NATS[-1])
    axes.contourf(
        offsets_S,
        offsets_S,
        shown.T,
        levels=RISE_LEVELS_NATS,
        norm=norm,
        cmap="cividis",
        extend="both",
    )
    if shown.min() < 0:
        axes.contour(offsets_S, offsets_S, shown.T, levels=[0.0], colors="white", linestyles="--")
    axes.plot(0, 0, "+", color="white", ms=10, mew=2)
    axes.set_aspect("equal")
    ticks = offsets_S[-1] * np.array([-1, -0.5, 0, 0.5, 1])
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    axes.set_xlabel("first direction (filter lengths)")
    axes.set_ylabel("second direction\n(filter lengths)", fontsize=LABEL_PT)
    dress(axes)
    axes.grid(False)
    bar = figure.colorbar(ScalarMappable(norm, "cividis"), ax=axes, extend="both")
    bar.set_ticks(list(RISE_LEVELS_NATS), labels=[f"{level:g}" for level in RISE_LEVELS_NATS])
    bar.set_label("loss above the model's (nats a token)", fontsize=SMALL_PT, color=INK)
    bar.ax.tick_params(labelsize=SMALL_PT, colors=INK)


def _legend(*, has_reference: bool) -> list[Line2D]:
    error = Line2D(
        *([], []), color=INK, lw=0, marker="|", ms=12, label="two standard errors over the batch"
    )
    if not has_reference:
        return [error]
    return [
        Line2D([], [], color=_FIRST, lw=0, marker="s", ms=9, label="against generation 0"),
        Line2D([], [], color=_PREVIOUS, lw=0, marker="s", ms=9, label="against the parent"),
        error,
    ]
