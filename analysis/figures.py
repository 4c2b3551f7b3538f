"""Trajectories over generations: one line an arm, a band over seeds, every chain thin behind it.

Figures are built without pyplot, so that nothing global is touched, and saved apart from that.
"""

from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy import stats

from analysis.metrics import Metric, metric_info
from analysis.statistics import CONFIDENCE, LEAST_FOR_INTERVAL
from analysis.study import StudyRecord, chain_values, metric_values
from analysis.tables import over_seeds
from analysis.titles import finding
from collapse.figures.style import (
    INK,
    LABEL_PT,
    MARKERS,
    PALETTE,
    PANEL_CHARACTERS,
    SMALL_PT,
    dress,
    legend_below,
    new_figure,
)

_DISTINCT = tuple(f"quality/distinct_{order}" for order in (1, 2, 3, 4))
_SINGLES = (
    ("kl_per_story", "truth/kl_nats_per_story"),
    ("kl_per_token", "truth/kl_nats_per_token"),
    ("valid_stories", "truth/valid_fraction"),
    ("rare_choices", "truth/tail_coverage"),
    ("human_loss", "human/nll_nats"),
)
_OVERVIEW = (
    "truth/kl_nats_per_story",
    "truth/valid_fraction",
    "truth/tail_coverage",
    "human/nll_nats",
    "human/entropy_nats",
    "quality/distinct_2",
)


@dataclass(frozen=True)
class Plate:
    """A figure with what belongs beside it.

    Attributes:
        name: stem of its file.
        title: the finding in words, as printed on it.
        caption: what is drawn, and how to read it.
        figure: the figure.
        data: the numbers that are drawn, where no table of the section holds them.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame | None = None


def plates(record: StudyRecord) -> tuple[Plate, ...]:
    """All figures of a study, the overview first; a metric that is absent gets none."""
    found = []
    overview = _measured(record, _OVERVIEW)
    if len(overview) > 1:
        title = f"{record.name}: {finding(record, overview[0])}"
        found.append(panels_plate(record, "overview", title, overview))
    for name, metric in _SINGLES:
        # Per token and per story are one shape twice: the first one there speaks for both.
        if metric == "truth/kl_nats_per_token" and _measured(record, ("truth/kl_nats_per_story",)):
            continue
        if _measured(record, (metric,)):
            found.append(panels_plate(record, name, finding(record, metric), (metric,)))
    distinct = _measured(record, _DISTINCT)
    if distinct:
        middle = "quality/distinct_2" if "quality/distinct_2" in distinct else distinct[0]
        found.append(panels_plate(record, "distinct", finding(record, middle), distinct))
    return tuple(found)


def trajectory_figure(record: StudyRecord, metric: str) -> Figure:
    """One metric against generation, with the finding as its title."""
    return panels_figure(record, (metric,), finding(record, metric))


def panels_figure(record: StudyRecord, metrics: tuple[str, ...], title: str) -> Figure:
    """One panel a metric, at most two abreast, with one legend for all.

    Args:
        record: the study.
        metrics: the metrics, at least one.
        title: printed above all panels; wrapped where it is long.

    Returns:
        A figure 8 inches wide.
    """
    columns = min(2, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = new_figure(title, (4.0 if rows == 1 else 2.8 * rows) + 0.75)
    grid = figure.subplots(rows, columns, squeeze=False)
    has_intervals = _has_intervals(record, metrics)
    for position, axes in enumerate(grid.flat):
        if position < len(metrics):
            is_alone = len(metrics) == 1
            _draw_panel(axes, record, metrics[position], is_alone, has_intervals)
            if position + columns < len(metrics):
                axes.set_xlabel("")
        else:
            axes.remove()
    _legend(figure, record, metrics)
    return figure


def band_in_words(record: StudyRecord, metrics: tuple[str, ...]) -> str:
    """What the band is, for a caption."""
    if not _most_seeds(record, metrics) > 1:
        return "There is one seed, so there is no band."
    if _has_intervals(record, metrics):
        return "Bands are 95 % t-intervals of the mean over seeds."
    return "Bands span the least and the greatest seed (too few seeds for an interval)."


def panels_plate(record: StudyRecord, name: str, title: str, metrics: tuple[str, ...]) -> Plate:
    """Panels of metrics over generations, with a caption that says how to read them."""
    readings = dict.fromkeys(metric_info(metric).reading for metric in metrics)
    caption = " ".join(
        part
        for part in (
            "Thick lines are means over seeds, thin lines single chains.",
            band_in_words(record, metrics),
            _missing_in_words(record, metrics),
            _unpictured_in_words(record),
            *(readings if len(readings) == 1 else ()),
        )
        if part
    )
    drawn = [over_seeds(record, metric).reset_index().assign(metric=metric) for metric in metrics]
    data = pd.concat(drawn, ignore_index=True)
    return Plate(name, title, caption, panels_figure(record, metrics, title), data)


def _missing_in_words(record: StudyRecord, metrics: tuple[str, ...]) -> str:
    """Says where a mean is over fewer seeds than planned, at the last generation measured."""
    planned = {(arm, seed) for arm in record.arms for seed in record.seeds_of(arm)}
    found = []
    for metric in metrics:
        values = metric_values(record, metric)
        last = int(values.index.get_level_values("generation").max())
        found.append((len(planned.difference(values.xs(last, level="generation").index)), last))
    missing, last = max(found)
    if not missing:
        return ""
    return (
        f"At generation {last}, {missing} of {len(planned)} chains have no value: the mean is "
        "over those that are left."
    )


def _unpictured_in_words(record: StudyRecord) -> str:
    """Says which arms are in tables alone."""
    rest = [arm for arm in record.arms if arm not in record.pictured_arms]
    return f"Controls of changed settings are in the tables: {', '.join(rest)}." if rest else ""


def _measured(record: StudyRecord, metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(metric for metric in metrics if len(metric_values(record, metric)))


def _arms_with(record: StudyRecord, metrics: tuple[str, ...]) -> tuple[str, ...]:
    found = {arm for m in metrics for arm in metric_values(record, m).index.get_level_values("arm")}
    return tuple(arm for arm in record.pictured_arms if arm in found)


def _most_seeds(record: StudyRecord, metrics: tuple[str, ...]) -> int:
    return max((int(over_seeds(record, metric)["n"].max()) for metric in metrics), default=0)


def _has_intervals(record: StudyRecord, metrics: tuple[str, ...]) -> bool:
    """Whether every point has three seeds; one kind of band per figure, or none could read it."""
    return all(
        int(over_seeds(record, metric)["n"].min()) >= LEAST_FOR_INTERVAL for metric in metrics
    )


def _draw_panel(
    axes: Axes, record: StudyRecord, metric: str, is_alone: bool, has_intervals: bool
) -> None:
    info, values = metric_info(metric), metric_values(record, metric)
    table = over_seeds(record, metric)
    scale = 100.0 if info.is_share else 1.0
    for arm in _arms_with(record, (metric,)):
        style = arm_style(record, arm)
        for seed in record.seeds:
            chain = chain_values(values, arm, seed)
            axes.plot(chain.index, scale * chain, color=style["color"], lw=0.8, alpha=0.45)
        mean = pd.DataFrame(table.xs(arm, level="arm"))
        low, high = _band(mean, has_intervals, info)
        axes.fill_between(
            mean.index, scale * low, scale * high, color=style["color"], alpha=0.15, lw=0
        )
        axes.plot(mean.index, scale * mean["mean"], lw=2.2, ms=6.5, mec="white", mew=0.8, **style)
    _dress(axes, record, info, is_alone)


def _band(table: pd.DataFrame, has_intervals: bool, info: Metric) -> tuple[pd.Series, pd.Series]:
    """Lower and upper edge, within what the metric can be."""
    if has_intervals:
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, table["n"] - 1)
        half = quantile * table["sd"] / np.sqrt(table["n"])
        low, high = table["mean"] - half, table["mean"] + half
    else:
        low, high = table["least"], table["greatest"]
    return low.clip(info.floor, info.ceiling), high.clip(info.floor, info.ceiling)


def arm_style(record: StudyRecord, arm: str) -> dict[str, Any]:
    """An arm looks the same in every figure of a study."""
    drawn = record.pictured_arms
    place = (*drawn, *(one for one in record.arms if one not in drawn)).index(arm)
    turn, colour = divmod(place, len(PALETTE))
    # Past the last colour the same colours come again, with other markers.
    return {"color": PALETTE[colour], "marker": MARKERS[(colour + turn) % len(MARKERS)]}


def _with_unit(info: Metric) -> str:
    """What an axis shows: in one line, or where that is too long with the unit in a second."""
    unit = f" ({info.unit})" if info.unit else ""
    if len(info.label + unit) <= PANEL_CHARACTERS:
        return info.label + unit
    return f"{fill(info.label, PANEL_CHARACTERS)}\n{unit.strip()}".rstrip()


def _dress(axes: Axes, record: StudyRecord, info: Metric, is_alone: bool) -> None:
    """Axes with units, whole generations, and nothing that is not data."""
    if is_alone:
        axes.set_ylabel(_with_unit(info))
    else:
        axes.set_title(_with_unit(info), loc="left", fontsize=SMALL_PT, color=INK)
    axes.set_xlabel("generation")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xlim(-0.15, max(record.generations, 1) + 0.15)
    if info.floor is not None:
        axes.set_ylim(bottom=info.floor)
    dress(axes)


def _legend(figure: Figure, record: StudyRecord, metrics: tuple[str, ...]) -> None:
    """One legend for all panels, below them."""
    arms = _arms_with(record, metrics)
    lines = [
        Line2D([], [], lw=2.2, ms=6.5, mec="white", mew=0.8, **arm_style(record, a)) for a in arms
    ]
    for line, arm in zip(lines, arms, strict=True):
        line.set_label(f"{arm} (control)" if arm == record.control else arm)
    legend_below(figure, lines, columns=min(len(arms), 5), size_pt=LABEL_PT)
