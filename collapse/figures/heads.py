"""Heads of attention: how many directions they use, and what pruning these costs."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from collapse.figures.style import (
    INK,
    LABEL_PT,
    MARKERS,
    PALETTE,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)

_KEYS, _QUERIES = PALETTE[0], PALETTE[1]
_STRATEGIES = {
    "svd": "weakest singular directions",
    "gamma": "smallest gains",
    "random": "random directions (mean and all draws)",
}


def head_rank_figure(ranks: pd.DataFrame, chain: str, *, width: int) -> Figure:
    """The participation ratio of every head's keys and queries, layer by layer.

    Args:
        ranks: columns layer, head, which, site, participation_ratio.
        chain: which model, for the title.
        width: directions that a head has, the most that there can be.

    Returns:
        A figure 8 inches wide.
    """
    kinds = {"K": ("keys", _KEYS, -0.12), "Q": ("queries", _QUERIES, 0.12)}
    means = ranks.groupby("which")["participation_ratio"].mean()
    title = (
        f"Keys use {means['K']:.1f} and queries {means['Q']:.1f} of a head's {width} directions "
        f"({chain})"
    )
    figure = new_figure(title, 3.9)
    axes = figure.subplots()
    for which, (_, colour, shift) in kinds.items():
        _draw_heads(axes, ranks[ranks["which"] == which], colour, shift)
    axes.axhline(width, color=SOFT, lw=1, ls=":")
    layers = np.unique(ranks["layer"])
    axes.set_xticks(layers[:: max(1, len(layers) // 12)])
    axes.set_ylim(0, 1.05 * width)
    axes.set_xlabel("layer")
    site = str(ranks["site"].iloc[0]).replace("_", " ")
    axes.set_ylabel(f"participation ratio\n(directions, at {site})", fontsize=LABEL_PT)
    dress(axes)
    handles = [_key(label, colour) for label, colour, _ in kinds.values()]
    limit = Line2D([], [], color=SOFT, lw=1, ls=":", label=f"all {width} directions")
    legend_below(figure, [*handles, limit])
    return figure


def _draw_heads(axes: Axes, rows: pd.DataFrame, colour: str, shift: float) -> None:
    """A dot a head and a bar at the mean of each layer."""
    axes.plot(
        rows["layer"] + shift, rows["participation_ratio"], "o", ms=4, alpha=0.55, mew=0, c=colour
    )
    means = rows.groupby("layer")["participation_ratio"].mean()
    axes.plot(means.index + shift, means, "_", ms=16, mew=2.2, c=colour)


def _key(label: str, colour: str) -> Line2D:
    return Line2D(
        [], [], color=colour, marker="o", ms=4, lw=0, label=f"{label} (dots: heads, bar: mean)"
    )


def surgery_figure(table: pd.DataFrame, chain: str) -> Figure:
    """Held-out loss against the share of each head's key directions that is pruned.

    Args:
        table: columns strategy, basis, draw, percent, nll_nats.
        chain: which model, for the title.

    Returns:
        A figure 8 inches wide.
    """
    figure = new_figure(_surgery_finding(table, chain), 4.0)
    axes = figure.subplots()
    handles = []
    for place, (strategy, label) in enumerate(_STRATEGIES.items()):
        rows = table[table["strategy"] == strategy]
        if rows.empty:
            continue
        colour = PALETTE[place]
        if strategy == "random":
            for _, one in rows.groupby(["basis", "draw"]):
                axes.plot(one["percent"], one["nll_nats"], color=colour, lw=0.6, alpha=0.35)
        means = rows.groupby("percent")["nll_nats"].mean()
        (line,) = axes.plot(
            means.index, means, color=colour, marker=MARKERS[place], ms=5, lw=1.8, label=label
        )
        handles.append(line)
    axes.set_xlabel("key directions pruned in every head (per cent)")
    axes.set_ylabel("loss on held-out human text\n(nats a token)", fontsize=LABEL_PT)
    dress(axes)
    axes.tick_params(labelsize=SMALL_PT, colors=INK)
    legend_below(figure, handles)
    return figure


def _surgery_finding(table: pd.DataFrame, chain: str) -> str:
    """What pruning half of the directions costs, each way, in the figure's own numbers."""
    percents = table["percent"].unique()
    half = percents[np.abs(percents - 50).argmin()]
    means = table.groupby(["percent", "strategy"])["nll_nats"].mean()
    whole = means[percents.min()]
    told = [
        f"{means[half][strategy] - whole[strategy]:.3f} by {strategy}"
        for strategy in _STRATEGIES
        if strategy in means[half]
    ]
    return f"Pruning {half:g} % of key directions costs {', '.join(told)} nats a token ({chain})"
