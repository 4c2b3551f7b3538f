"""The figures of surgery and of gains (R5.6), and all figures of ranks in their order."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.comparisons.words import numbers
from analysis.figures import Plate
from analysis.ranks.figures import layers_plate, trajectory_plate, waterfall_plate
from analysis.ranks.findings import RankFindings
from analysis.ranks.surgery import PRESET_PERCENT
from analysis.ranks.words import gains_in_words, gains_title, proxy_lead
from analysis.study import is_measured
from collapse.figures.style import PALETTE, SMALL_PT, SOFT, dress, legend_below, new_figure

_STRATEGIES = {
    ("svd", ""): ("weakest singular directions", PALETTE[1], "-"),
    ("gamma", ""): ("smallest gains", PALETTE[0], "-"),
    ("random", "coordinate"): ("random coordinates", PALETTE[2], "-"),
    ("random", "rotated"): ("random directions, rotated basis", PALETTE[3], "--"),
}
_MIDDLE = (0.05, 0.95)
_MOST_POINTS = 6000


def rank_plates(found: RankFindings) -> tuple[Plate, ...]:
    """All figures that there are data for."""
    drawn = (
        trajectory_plate(found),
        waterfall_plate(found),
        layers_plate(found),
        surgery_plate(found),
        gains_plate(found),
    )
    return tuple(plate for plate in drawn if plate is not None)


def surgery_plate(found: RankFindings) -> Plate | None:
    """Held-out loss against the share of K's directions that is pruned; None without surgery."""
    arm = found.roles.qknorm_muon
    rows = found.tables.surgery
    rows = rows[(rows["arm"] == arm) & is_measured(rows["nll_nats"])]
    if rows.empty:
        return None
    title = proxy_lead(found)
    figure = new_figure(title, 4.8)
    axes = figure.subplots()
    handles = []
    for (strategy, basis), (label, colour, dash) in _STRATEGIES.items():
        some = rows[(rows["strategy"] == strategy) & (rows["basis"] == basis)]
        if len(some):
            _draw_curve(axes, some, colour, dash)
            handles.append(Line2D([], [], color=colour, lw=2.2, ls=dash, label=label))
    axes.axvline(PRESET_PERCENT, color=SOFT, lw=1, ls=":")
    axes.set_xlabel("pruned (% of each head's key directions)")
    axes.set_ylabel("held-out loss (nats a token)")
    dress(axes)
    legend_below(figure, handles, columns=2)
    caption = (
        f"{found.roles.label(arm)}, {rows['seed'].nunique()} seeds. Lines are means, bands the "
        "middle 90 % over seeds and, at random, over draws. The text of the losses was used for no "
        f"probe. Compared at the dotted line; gain less SVD: "
        f"{numbers(found.answer('gain_as_svd'))}."
    )
    return Plate("rank_surgery", title, caption, figure)


def gains_plate(found: RankFindings) -> Plate | None:
    """Gain of a key norm against what its coordinate of K carries; None without gains."""
    rows = found.tables.gains
    rows = rows[rows["arm"] == found.roles.qknorm_muon]
    if found.gains is None or rows.empty:
        return None
    title = gains_title(found.gains)
    figure = new_figure(title, 4.6)
    axes = figure.subplots(1, 2, sharex=True)
    shown = rows.iloc[:: max(1, -(-len(rows) // _MOST_POINTS))]
    panels = (
        ("key_rms", "root mean square of K's coordinate,\nafter norm and gain"),
        ("unit_rms", "the same before the gain"),
    )
    for one, (column, label) in zip(axes, panels, strict=True):
        one.plot(
            *(shown["gain"], shown[column], "o"),
            **{"ms": 3, "mew": 0, "alpha": 0.25, "color": PALETTE[0], "rasterized": True},
        )
        one.set_xlabel("absolute gain of the key norm")
        one.set_title(label, loc="left", fontsize=SMALL_PT)
        one.set_ylim(bottom=0)
        dress(one)
    cut = f", {len(shown)} of {len(rows)} drawn" if len(shown) < len(rows) else ""
    caption = f"A dot a coordinate, head, layer and seed{cut}. {gains_in_words(found)}"
    return Plate("rank_gains", title, caption, figure)


def _draw_curve(axes: Axes, rows: pd.DataFrame, colour: str, dash: str) -> None:
    by_percent = rows.groupby("percent")["nll_nats"]
    means = rows.groupby(["seed", "percent"])["nll_nats"].mean().groupby(level="percent").mean()
    if by_percent.count().min() > 1:
        low, high = (by_percent.quantile(end) for end in _MIDDLE)
        axes.fill_between(means.index, low, high, color=colour, alpha=0.15, lw=0)
    axes.plot(means.index, means, color=colour, lw=2.2, ls=dash, marker="o", ms=4.5)
