"""The figures of ranks (R5.6): trajectory, waterfall, simple against complex; see `curves`, too."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from analysis.comparisons.words import numbers
from analysis.figures import Plate
from analysis.ranks.caveats import fall_doubts
from analysis.ranks.chains import chain_losses, chain_ranks, layer_ranks
from analysis.ranks.findings import RankFindings
from analysis.ranks.formats import tokens_in_words
from analysis.ranks.words import fall_title, lead_with_size
from analysis.statistics import LEAST_FOR_INTERVAL, t_interval
from collapse.figures.style import (
    MARKERS,
    PALETTE,
    SOFT,
    dress,
    legend_below,
    new_figure,
)

_ROLES = (
    *("qknorm_muon", "plain_muon", "qknorm_adamw", "plain_adamw"),
    *("frozen_muon", "simple", "complex"),
)
_IN_TRAJECTORY = _ROLES[:5]
_MIDDLE = (10, 90)
_LINE: dict[str, Any] = {"lw": 2.0, "ms": 6, "mec": "white", "mew": 0.8}
_TICK_RATIO = 1.75
"""Of neighbouring ticks, so that their labels have room."""


def trajectory_plate(found: RankFindings) -> Plate | None:
    """K's participation ratio and the held-out loss against tokens; None without checkpoints."""
    ranks, losses = chain_ranks(found.tables), chain_losses(found.tables)
    arms = _present(found, ranks, [getattr(found.roles, role) for role in _IN_TRAJECTORY])
    arms = arms or _present(found, ranks, found.arms)
    if not arms or len(found.schedule) < 2:
        return None
    title = fall_title(found, arms)
    with_losses = _present(found, losses, arms)
    figure = new_figure(title, 6.6 if with_losses else 4.6)
    ratios = [1.7, 1.0] if with_losses else [1.0]
    grid = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    for arm in arms:
        draw_band(grid[0], found, ranks, arm)
        if arm in with_losses:
            draw_band(grid[1], found, losses, arm)
    handles = [handle(found, arm) for arm in arms]
    start = ranks[ranks.index.get_level_values("tokens") == 0]
    if len(start):
        grid[0].axhline(float(start.mean()), color=SOFT, lw=1.2, ls=":")
        handles.append(Line2D([], [], color=SOFT, lw=1.2, ls=":", label="random weights"))
    grid[0].set_ylabel("participation ratio of K\n(directions)")
    if with_losses:
        grid[1].set_ylabel("held-out loss\n(nats a token)")
    for axes in grid:
        dress(axes)
    _token_axis(grid[-1], found.schedule)
    legend_below(figure, handles)
    caption = (
        "Means over seeds of K's participation ratio at the site projection, heads and layers "
        f"averaged within a chain. {_bands(found)} The axis is logarithmic from the first "
        "checkpoint on and has a place for 0 tokens; below it the loss on the same human text."
    )
    caption = " ".join([caption, *fall_doubts(found)])
    return Plate("rank_trajectory", title, caption, figure)


def waterfall_plate(found: RankFindings) -> Plate | None:
    """Singular values of K over the largest, with and without QK-norm; None without either."""
    rows = found.tables.singular_values
    rows = rows[rows["which"] == "K"]
    arms = [found.roles.qknorm_muon, found.roles.plain_muon]
    last = rows["tokens"].max() if len(rows) else 0
    ends = {arm: _relative(rows[(rows["arm"] == arm) & (rows["tokens"] == last)]) for arm in arms}
    ends = {arm: values for arm, values in ends.items() if len(values)}
    if not ends:
        return None
    title = lead_with_size(found, "cause")
    figure = new_figure(title, 4.6)
    axes = figure.subplots()
    for arm, values in ends.items():
        _draw_waterfall(axes, found, arm, values)
    start = _relative(rows[rows["arm"].isin(arms) & (rows["tokens"] == 0)])
    handles = [handle(found, arm, marker=False) for arm in ends]
    if len(start) and last > 0:
        axes.plot(start.median(axis=0), color=SOFT, lw=1.2, ls=":")
        handles.append(Line2D([], [], color=SOFT, lw=1.2, ls=":", label="random weights"))
    axes.set_yscale("log")
    axes.set_xlabel("rank of the singular value")
    axes.set_ylabel("singular value of K over the largest")
    dress(axes)
    legend_below(figure, handles)
    caption = (
        "Lines are medians and bands the middle 80 % over all heads, layers and seeds, after "
        f"{tokens_in_words(float(last))} tokens: a description of shapes. The test is on the "
        f"participation ratio: {numbers(found.answer('cause'))}."
    )
    return Plate("rank_waterfall", title, caption, figure)


def layers_plate(found: RankFindings) -> Plate | None:
    """Simple against complex text, layer by layer; None where either is missing."""
    if not found.schedule:
        return None
    values = layer_ranks(found.tables, found.schedule[-1])
    pair = _present(found, values, [found.roles.simple, found.roles.complex])
    if len(pair) < 2:
        return None
    title = lead_with_size(found, "data")
    figure = new_figure(title, 4.4)
    axes = figure.subplots()
    standard = _present(found, values, [found.roles.qknorm_muon])
    for arm in standard:
        mean = values.xs(arm, level="arm").groupby(level="layer").mean()
        axes.plot(mean.index, mean, color=SOFT, lw=1.4, ls="--")
    for arm in pair:
        draw_band(axes, found, values, arm)
    layers = values.index.get_level_values("layer").unique().sort_values()
    axes.set_xticks(layers[:: max(1, len(layers) // 12)])
    axes.set_xlabel("layer")
    axes.set_ylabel("participation ratio of K\n(directions)")
    dress(axes)
    dashed = Line2D([], [], color=SOFT, lw=1.4, ls="--", label="standard text, mean")
    legend_below(figure, [*(handle(found, arm) for arm in pair), *([dashed] if standard else [])])
    caption = (
        f"Heads averaged within a layer, after {tokens_in_words(found.schedule[-1])} tokens. "
        f"{_bands(found)} The test is on the mean over layers: {numbers(found.answer('data'))}."
    )
    return Plate("rank_simple_complex", title, caption, figure)


def draw_band(axes: Axes, found: RankFindings, values: pd.Series, arm: str) -> None:
    """An arm's mean over seeds, its 95 % t-interval, and every chain thin behind it.

    Args:
        axes: where to.
        found: for the arm's looks.
        values: by (arm, seed, tokens) or (arm, seed, layer), whichever is the axis.
        arm: the arm.
    """
    of_arm = values[values.index.get_level_values("arm") == arm].droplevel("arm")
    chains = of_arm.unstack("seed").sort_index()
    colour, marker = looks(found, arm)
    axes.plot(chains.index, chains, color=colour, lw=0.7, alpha=0.35)
    spans = [_span(row[np.isfinite(row)]) for row in chains.to_numpy(float)]
    axes.fill_between(chains.index, *np.array(spans).T, color=colour, alpha=0.16, lw=0)
    axes.plot(
        chains.index,
        chains.mean(axis=1),
        color=colour,
        marker=marker,
        **_LINE,
    )


def looks(found: RankFindings, arm: str) -> tuple[str, str]:
    """An arm's colour and marker: those of its role, the same in every figure."""
    names = [getattr(found.roles, role) for role in _ROLES]
    place = names.index(arm) if arm in names else found.arms.index(arm)
    return PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)]


def handle(found: RankFindings, arm: str, marker: bool = True) -> Line2D:
    """What stands for an arm in a legend, with its number of seeds."""
    colour, shape = looks(found, arm)
    ranks = chain_ranks(found.tables)
    n = ranks[ranks.index.get_level_values("arm") == arm].index.get_level_values("seed").nunique()
    return Line2D(
        *([], []),
        color=colour,
        marker=shape if marker else "",
        label=f"{found.roles.label(arm)} (n = {n})",
        **_LINE,
    )


def _span(values_N: np.ndarray) -> tuple[float, float]:
    """The interval of a mean; a point where there are too few seeds for one."""
    interval = t_interval(values_N) if values_N.size >= LEAST_FOR_INTERVAL else None
    return interval or (float(np.mean(values_N)),) * 2


def _bands(found: RankFindings) -> str:
    if len(found.seeds) < LEAST_FOR_INTERVAL:
        return "Thin lines are single chains; there are too few seeds for a band."
    return "Bands are 95 % t-intervals over seeds, thin lines single chains."


def _present(found: RankFindings, values: pd.Series, arms: Sequence[str]) -> list[str]:
    here = set(values.index.get_level_values("arm"))
    return [arm for arm in arms if arm in here and arm in found.arms]


def _relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Singular values over the largest of their head; one row a head, columns ranks from 1."""
    if rows.empty:
        return pd.DataFrame()
    heads = rows.pivot_table(index=["arm", "seed", "layer", "head"], columns="rank", values="value")
    relative = heads.div(heads.max(axis=1), axis=0)
    return relative.where(relative > 0)


def _draw_waterfall(axes: Axes, found: RankFindings, arm: str, relative: pd.DataFrame) -> None:
    colour, _ = looks(found, arm)
    low, high = np.nanpercentile(relative.to_numpy(float), _MIDDLE, axis=0)
    axes.fill_between(relative.columns, low, high, color=colour, alpha=0.18, lw=0)
    axes.plot(relative.columns, relative.median(axis=0), color=colour, lw=2.2)


def _token_axis(axes: Axes, schedule: Sequence[float]) -> None:
    """Logarithmic, with a place for 0; ticks where one looked, as far as there is room."""
    first = min(tokens for tokens in schedule if tokens > 0)
    axes.set_xscale("symlog", linthresh=first, linscale=0.6)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.12 * first, 1.12 * schedule[-1])
    # From the last one back, as that is the one the answers are about.
    kept = [schedule[-1]]
    for tokens in reversed(schedule[:-1]):
        if tokens == 0 or tokens <= kept[-1] / _TICK_RATIO:
            kept.append(tokens)
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tokens, _: tokens_in_words(tokens)))
    axes.set_xlabel("training tokens")
