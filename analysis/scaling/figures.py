"""The figures of a scaling study: benchmark, task heat map, scaling curves; see `curves`, too."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy import stats

from analysis.figures import Plate
from analysis.metrics import MINUS, metric_info
from analysis.metrics.tasks import TASKS
from analysis.scaling.findings import ScalingFindings
from analysis.scaling.laws import Fits, Law, size_in_words
from analysis.scaling.tables import OVERALL, ScalingTables, score_of
from analysis.scaling.tasks import TaskLinks
from analysis.scaling.words import best_title, law_in_words, law_title, tasks_title
from analysis.statistics import CONFIDENCE, drawn_spread
from collapse.figures.style import (
    FAINT,
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

_ROW_IN, _MARGIN_IN = 0.2, 2.0
_DARK = 0.7
_TIGHT_PT = 8.5


def style_of(tables: ScalingTables, arm: str) -> dict[str, Any]:
    """An arm's look, as `analysis.figures.arm_style` has it."""
    turn, colour = divmod(tables.arms.index(arm), len(PALETTE))
    return {"color": PALETTE[colour], "marker": MARKERS[(colour + turn) % len(MARKERS)]}


def spread_in_words(n_seeds: Iterable[int]) -> str:
    """What the error bars span, for a caption.

    Args:
        n_seeds: of every point that is drawn.
    """
    numbers = sorted(set(n_seeds))
    many = [str(n) for n in numbers if n > 2]
    if not many:
        return (
            "Bars span two seeds." if 2 in numbers else "There is one seed, so there are no bars."
        )
    few = {1: "of one seed there is none", 2: "of two seeds they span both"}
    rest = "".join(f"; {few[n]}" for n in numbers if n in few)
    over = " to ".join(dict.fromkeys((many[0], many[-1])))
    return f"Bars are 95 % t-intervals of the mean over {over} seeds{rest}."


def benchmark_plate(found: ScalingFindings) -> Plate | None:
    """Every task and the overall score, a point an arm, with the floors; None without a best."""
    tables = found.tables
    best = next((one for one in found.best if one.metric == OVERALL), None)
    if best is None:
        return None
    title = best_title(best)
    rows = {"All tasks, from chance": OVERALL} | {TASKS[t]: score_of(t) for t in tables.tasks}
    arms = tables.with_metric(OVERALL)
    step = 0.8 / max(len(arms), 1)
    height = max(0.4, _ROW_IN * len(arms) * 0.75) * len(rows) + _MARGIN_IN
    figure = new_figure(title, min(height, 11.0))
    axes = figure.subplots()
    n_seeds = []
    for row, metric in enumerate(rows.values()):
        for place, arm in enumerate(arms):
            values = 100 * tables.of_arm(metric, arm)
            if len(values):
                n_seeds.append(len(values))
                _point(axes, tables, arm, values, row - 0.4 + step * (place + 0.5))
        floor = tables.means(metric.rsplit("/", 1)[0] + "/floor") if metric != OVERALL else None
        level = 0.0 if floor is None else 100 * float(floor.mean()) if len(floor) else np.nan
        axes.plot([level, level], [row - 0.45, row + 0.45], color=INK, lw=1.6, ls=(0, (2, 1.2)))
    for row in range(1, len(rows)):
        axes.axhline(row - 0.5, color=SOFT, lw=0.5)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("items right (%); all tasks: % of the way from chance to all right")
    dress(axes)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=FAINT, lw=0.7)
    handles = [
        Line2D([], [], ls="", ms=6, label=_arm_label(tables, a), **style_of(tables, a))
        for a in arms
    ]
    handles.append(Line2D([], [], color=INK, lw=1.6, ls=(0, (2, 1.2)), label="chance"))
    legend_below(figure, handles, columns=4)
    caption = (
        f"Means over seeds, arms from above in the order of the legend. "
        f"{spread_in_words(n_seeds)} Broken lines are what chance gets right; of SQuAD "
        "exact matches count."
    )
    return Plate("scaling_benchmark", title, caption, figure)


def _point(axes: Axes, tables: ScalingTables, arm: str, values: pd.Series, place: float) -> None:
    style = style_of(tables, arm)
    axes.plot(drawn_spread(values), [place, place], color=style["color"], lw=1.2)
    axes.plot(float(values.mean()), place, ls="", ms=5, mec="white", mew=0.5, **style)


def _arm_label(tables: ScalingTables, arm: str) -> str:
    return f"{arm} (control)" if arm == tables.control else arm


def scaling_plate(found: ScalingFindings) -> Plate | None:
    """The loss, and the score's distance to full, over size; None for fewer than two sizes."""
    laws = [law for law in found.laws if law.y_SxA.size and len(law.x_A) > 1]
    if not laws:
        return None
    title = law_title(laws[0])
    figure = new_figure(title, 4.6)
    grid = figure.subplots(1, len(laws), squeeze=False)[0]
    for axes, law in zip(grid, laws, strict=True):
        draw_law(axes, law)
        of = metric_info(found.tables.loss)
        unit = f" ({of.unit})" if law.of == "loss" else " (share)"
        axes.set_title(f"{law.of}{unit}", loc="left", fontsize=SMALL_PT, color=INK)
        axes.set_xlabel(law.over)
    legend_below(figure, _law_handles(laws), columns=3)
    rest = " ".join(law_in_words(law) for law in laws[1:])
    caption = (
        f"Arms that differ in shape alone: {', '.join(found.sizes)}. {_LAW_CAPTION} {rest}"
    ).rstrip()
    return Plate("scaling_laws", title, caption, figure)


_LAW_CAPTION = (
    "Points are means over seeds, small ones single trainings, both axes logarithmic; a curve is "
    "drawn only where a law is told, its band 95 % over seeds."
)


def draw_law(axes: Axes, law: Law) -> None:
    """Points, and the curve with its band where the points support one."""
    means_A = law.y_SxA.mean(axis=0)
    for of_seed in law.y_SxA:
        axes.plot(law.x_A, of_seed, "o", ms=3, color=PALETTE[1], alpha=0.45, mew=0)
    axes.plot(law.x_A, means_A, "o", ms=7, color=PALETTE[1], mec="white", mew=0.8)
    if law.is_told and law.fits is not None:
        _draw_curve(axes, law, law.fits)
    axes.set_xscale("log")
    axes.set_yscale("log")
    places = _apart(law.x_A)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: size_in_words(x)))
    axes.yaxis.set_major_locator(FixedLocator(_round_ticks(law.y_SxA)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.3g}"))
    dress(axes)


def _draw_curve(axes: Axes, law: Law, fits: Fits) -> None:
    x_X = np.geomspace(law.x_A.min(), law.x_A.max(), 100)
    logs_DxX = np.log(fits.at(x_X))
    n_seeds = len(law.y_SxA)
    wide = stats.t.ppf((1 + CONFIDENCE) / 2, n_seeds - 1) * np.sqrt(n_seeds / (n_seeds - 1))
    half_X = wide * logs_DxX[1:].std(axis=0)
    low_X, high_X = np.exp(logs_DxX[0] - half_X), np.exp(logs_DxX[0] + half_X)
    axes.fill_between(x_X, low_X, high_X, color=PALETTE[0], alpha=0.18, lw=0)
    axes.plot(x_X, np.exp(logs_DxX[0]), color=PALETTE[0], lw=2)


def _apart(x_A: np.ndarray) -> list[float]:
    """Sizes far enough apart for their labels, the ends always among them."""
    least = (x_A[-1] / x_A[0]) ** 0.2
    kept = [float(x_A[0])]
    for x in x_A[1:-1]:
        if x >= least * kept[-1] and x_A[-1] >= least * x:
            kept.append(float(x))
    return [*kept, float(x_A[-1])]


def _round_ticks(y: np.ndarray) -> list[float]:
    """Four to six round values over the range; a logarithmic axis may have none of its own."""
    low, high = float(y.min()), float(y.max())
    if not high > low:
        return [low]
    rough = (high - low) / 4
    unit = 10.0 ** np.floor(np.log10(rough))
    step = unit * next(k for k in (1, 2, 2.5, 5, 10) if k * unit >= rough)
    return [float(tick) for tick in np.arange(np.floor(low / step), high / step + 1) * step if tick]


def _law_handles(laws: list[Law]) -> list[Line2D]:
    handles = [Line2D([], [], ls="", marker="o", ms=7, color=PALETTE[1], label="mean over seeds")]
    if any(law.is_told for law in laws):
        handles.append(Line2D([], [], color=PALETTE[0], lw=2, label="power law"))
    return handles


def tasks_plate(found: ScalingFindings) -> Plate | None:
    """Correlations between tasks, over arms and within them; None with too few."""
    links = found.tasks
    if links is None:
        return None
    title = tasks_title(links)
    figure = new_figure(title, 4.9)
    grid = figure.subplots(1, 2, sharey=True)
    _heat(grid[0], links, links.between_TxT, "over arms' means (Spearman)", marked=True)
    image = _heat(grid[1], links, links.within_TxT, "within arms and seeds (Pearson)", marked=False)
    grid[0].set_yticks(range(len(links.tasks)), [one.replace("_", " ") for one in links.tasks])
    bar = figure.colorbar(image, ax=list(grid), shrink=0.8, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_label("correlation", fontsize=LABEL_PT, color=INK)
    bar.ax.tick_params(labelsize=SMALL_PT, colors=INK, length=0)
    caption = (
        f"Left: whether two tasks rank {len(links.arms)} arms alike, each score from its floor; "
        "bold where the 95 % interval over draws of whole seeds, leaves 0 out and p over arms, "
        "corrected by Holm over the pairs, is at most 0.05. Right: "
        "whether a training that is ahead of its siblings in one task is ahead in the other, with "
        "arms' and seeds' means taken out, so that size does not make all tasks look linked; "
        f"{links.n_seeds} seeds. Blank: no differences."
    )
    return Plate("scaling_tasks", title, caption, figure)


def _heat(axes: Axes, links: TaskLinks, r_TxT: np.ndarray, head: str, marked: bool) -> Any:
    n_tasks = len(links.tasks)
    shown = np.where(np.eye(n_tasks, dtype=bool), np.nan, r_TxT)
    image = axes.imshow(shown, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    for i, j in np.argwhere(np.isfinite(shown)):
        holds = marked and links.holds_TxT[i, j]
        text = f"{round(float(shown[i, j]), 1) + 0.0:.1f}".replace("-", MINUS).replace("0.", ".")
        axes.text(
            *(j, i, text),
            ha="center",
            va="center",
            fontsize=_TIGHT_PT,
            color="white" if abs(shown[i, j]) > _DARK else INK,
            fontweight="bold" if holds else "normal",
        )
    names = [one.replace("_", " ") for one in links.tasks]
    axes.set_xticks(range(n_tasks), names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_title(head, loc="left", fontsize=SMALL_PT, color=INK)
    axes.tick_params(labelsize=SMALL_PT, colors=INK, length=0)
    axes.spines[:].set_visible(False)
    return image
