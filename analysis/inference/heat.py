"""The heat map of links: spectral against traditional metrics, within chains."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from analysis.figures import Plate
from analysis.inference.links import LinkTable
from analysis.inference.words import naive_count
from analysis.metrics import MINUS, metric_info
from analysis.statistics import ALPHA
from collapse.figures.style import INK, LABEL_PT, SMALL_PT, new_figure

_DARK = 0.6
# With more columns than this there is room for small numbers only, of the cells that matter.
_WIDE, _TIGHT_PT, _LEAST_WRITTEN = 9, 8.0, 0.3


def links_plate(found: LinkTable) -> Plate | None:
    """Correlations of residuals, one cell a pair; None where nothing could be correlated."""
    r_MxK = found.levels.r_MxK
    if not np.isfinite(r_MxK).any():
        return None
    title = _title(found)
    figure = new_figure(title, 2.6 + 0.42 * len(found.spectral))
    axes = figure.subplots()
    # Purple and orange are told apart with any kind of colour vision.
    image = axes.imshow(r_MxK, cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    for m, k in np.argwhere(np.isfinite(r_MxK)):
        _write(axes, found, int(m), int(k))
    labels = [metric_info(metric).label for metric in found.traditional]
    axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(found.spectral)), _short(found.spectral))
    axes.tick_params(labelsize=SMALL_PT, colors=INK, length=0)
    axes.spines[:].set_visible(False)
    _scale(figure, axes, image)
    return Plate("links", title, _caption(found), figure)


def _write(axes: Axes, found: LinkTable, m: int, k: int) -> None:
    """The correlation in its cell; framed where it holds."""
    r = found.levels.r_MxK[m, k]
    holds = found.levels.corrected_MxK[m, k] <= ALPHA
    tight = len(found.traditional) > _WIDE
    if tight and not holds and abs(r) < _LEAST_WRITTEN:
        return
    axes.text(
        *(k, m),
        _written(r).replace("0.", ".") if tight else _written(r),
        ha="center",
        va="center",
        fontsize=_TIGHT_PT if tight else SMALL_PT,
        color="white" if abs(r) > _DARK else INK,
        fontweight="bold" if holds and not tight else "normal",
    )
    if holds:
        corner = (k - 0.46, m - 0.46)
        axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, ec=INK, lw=1.8))


def _written(r: float) -> str:
    """Two digits, and no sign before a zero."""
    return f"{round(r, 2) + 0.0:.2f}".replace("-", MINUS)


def _scale(figure: Figure, axes: Axes, image: AxesImage) -> None:
    bar = figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_label("correlation of residuals", fontsize=LABEL_PT, color=INK)
    bar.ax.tick_params(labelsize=SMALL_PT, colors=INK, length=0)
    bar.outline.set_visible(False)


def _short(metrics: tuple[str, ...]) -> list[str]:
    """Labels; the text of a spectrum goes without saying where all have the same."""
    labels = [metric_info(metric).label for metric in metrics]
    texts = {label.rsplit(", ", 1)[1] for label in labels if label.endswith(" text")}
    return [
        label.removesuffix(f", {next(iter(texts))}") if len(texts) == 1 else label
        for label in labels
    ]


def _title(found: LinkTable) -> str:
    tested = int(np.isfinite(found.levels.r_MxK).sum())
    linked = int((found.levels.corrected_MxK <= ALPHA).sum())
    return (
        f"{linked} of {tested} pairs of a spectral and a traditional metric move together beyond "
        f"their arms' trends; trends make {naive_count(found)} look linked"
    )


def _caption(found: LinkTable) -> str:
    return (
        "Each value minus the mean of its arm and generation over seeds, correlated over "
        f"{found.n_seeds} seeds, {len(found.arms)} arms and the generations after 0: is a chain "
        "that is ahead of its siblings in one metric ahead in the other? Framed: p at most 0.05, "
        f"whole seeds permuted ({found.levels.rearrangements} orders), corrected over the table. "
        "Blank: seeds do not differ. Trends: repeated-measures correlation with p at most 0.05."
    )
