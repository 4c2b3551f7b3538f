"""The spectrum of one checkpoint: its density, its ends and their certificates."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from collapse.errors import BadParameter
from collapse.figures.scale import Scale, choose_scale, curve, dress_eigenvalues, floor_of
from collapse.figures.style import (
    FAINT,
    INK,
    LABEL_PT,
    PALETTE,
    SMALL_PT,
    SOFT,
    dress,
    legend_below,
    new_figure,
)
from collapse.figures.view import Mark, SpectrumView, common_title, finding, written

_COLOURS = (PALETTE[1], PALETTE[0])
NEGATIVE = "#F3F0EA"


def spectrum_figure(*views: SpectrumView) -> Figure:
    """Log density over eigenvalues, with certified ends below; the title says the finding.

    Where the bulk is narrower than a fiftieth of the range, the axis is stretched around zero, so
    that bulk, negative side and outliers can be seen in one picture.

    Args:
        views: one spectrum, or two of one checkpoint to compare, on human and on its own text;
            their titles begin alike and end in what tells them apart.

    Returns:
        A figure 8 inches wide.

    Raises:
        BadParameter: no spectrum, or more than two.
    """
    if not 1 <= len(views) <= len(_COLOURS):
        raise BadParameter(f"{len(views)} spectra in one figure: it holds 1 or {len(_COLOURS)}")
    scale = choose_scale(views)
    figure = new_figure(finding(views), 4.8 + 0.3 * len(views))
    top, strip = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [3.6, 0.5 + 0.4 * len(views)]}
    )
    _draw_densities(top, views, scale)
    _draw_strip(strip, views, scale)
    dress_eigenvalues(strip, scale)
    strip.set_xlabel(scale.axis_label, fontsize=LABEL_PT, color=INK)
    legend_below(figure, _legend(views))
    return figure


def _draw_densities(axes: Axes, views: Sequence[SpectrumView], scale: Scale) -> None:
    """Curves with their error bands; the negative side is tinted."""
    shade_negative(axes, scale)
    drawn = {i: curve(view, scale) for i, view in enumerate(views) if len(view.weights)}
    lowest = floor_of(list(drawn.values())) if drawn else 0.0
    for i, (view, colour) in enumerate(zip(views, _COLOURS, strict=False)):
        if i not in drawn:
            nodes = scale.place(np.concatenate([np.ravel(nodes) for nodes in view.nodes]))
            axes.vlines(nodes, 0, 0.25, colour, lw=1.1, transform=axes.get_xaxis_transform())
            continue
        made = drawn[i]
        below, above = (
            np.maximum(made.density + side * made.standard_error, lowest / 10) for side in (-1, 1)
        )
        axes.fill_between(made.places, below, above, color=colour, alpha=0.22, lw=0)
        axes.plot(made.places, np.maximum(made.density, lowest / 10), color=colour, lw=1.8)
    dress(axes)
    axes.set_ylabel(scale.density_label if drawn else "Ritz values, without weights")
    axes.set_yticks([])
    if drawn:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(lowest, 3 * max(float(made.density.max()) for made in drawn.values()))


def shade_negative(axes: Axes, scale: Scale) -> None:
    """Tint the side of negative curvature and draw the zero."""
    axes.axvspan(min(scale.left, 0.0), 0.0, color=NEGATIVE, lw=0, zorder=0)
    axes.axvline(0.0, color=SOFT, lw=0.8, zorder=1)


def _draw_strip(axes: Axes, views: Sequence[SpectrumView], scale: Scale) -> None:
    """One row a spectrum: its bulk as a bar, its outliers and its smallest eigenvalue as marks."""
    shade_negative(axes, scale)
    for row, (view, colour) in enumerate(zip(views, _COLOURS, strict=False)):
        draw_bulk(axes, view, scale, row, colour)
        for outlier in view.outliers:
            draw_mark(axes, Mark(*outlier), scale, row, colour, "o")
        if all(Mark(*outlier).value != view.top.value for outlier in view.outliers):
            draw_mark(axes, view.top, scale, row, colour, "o")
        draw_mark(axes, view.bottom, scale, row, colour, "D")
        write_end(axes, view.top, scale, row, colour, is_top=True)
        write_end(axes, view.bottom, scale, row, colour, is_top=False)
    axes.set_ylim(len(views) - 0.5, -0.5)
    axes.set_yticks(range(len(views)), common_title(views)[1])
    dress(axes)
    axes.grid(visible=False)


def draw_bulk(axes: Axes, view: SpectrumView, scale: Scale, row: float, colour: str) -> None:
    """The bulk's centre and its standard deviation to both sides."""
    if view.bulk_center is None:
        return
    width = view.bulk_width or 0.0
    ends = scale.place([view.bulk_center - width, view.bulk_center + width])
    axes.plot(ends, [row, row], color=colour, alpha=0.35, lw=8, solid_capstyle="butt", zorder=2)
    axes.plot(scale.place([view.bulk_center]), [row], "|", color=colour, ms=13, mew=2, zorder=3)


def draw_mark(axes: Axes, mark: Mark, scale: Scale, row: float, colour: str, marker: str) -> None:
    """An eigenvalue, hollow where it is not certified, with its residual bound as a whisker."""
    if np.isfinite(mark.residual_bound):
        ends = scale.place([mark.value - mark.residual_bound, mark.value + mark.residual_bound])
        axes.plot(ends, [row, row], color=colour, lw=1.4, marker="|", ms=7, zorder=3)
    axes.plot(
        scale.place([mark.value]),
        [row],
        marker,
        ms=7.5 if mark.certified else 7,
        mec="white" if mark.certified else colour,
        mew=0.8 if mark.certified else 1.5,
        mfc=colour if mark.certified else "white",
        zorder=4,
    )


def write_end(
    axes: Axes, mark: Mark, scale: Scale, row: float, colour: str, *, is_top: bool
) -> None:
    """The number of an end of the spectrum, on its outer side."""
    axes.annotate(
        written(mark.value),
        (float(scale.place(mark.value)), row),
        xytext=(8 if is_top else -8, 0),
        textcoords="offset points",
        ha="left" if is_top else "right",
        va="center",
        fontsize=SMALL_PT,
        color=colour,
    )


def _legend(views: Sequence[SpectrumView]) -> list[Line2D | Patch]:
    """Only what is in the picture."""
    entries: list[Line2D | Patch] = []
    if len(views) > 1:
        names = common_title(views)[1]
        entries += [
            Line2D([], [], color=colour, lw=1.8, label=name)
            for name, colour in zip(names, _COLOURS, strict=True)
        ]
    marks = [Mark(*o) for view in views for o in (*view.outliers, view.top, view.bottom)]
    if any(mark.certified for mark in marks):
        entries.append(legend_mark("o", "outlier, certified"))
    if not all(mark.certified for mark in marks):
        entries.append(legend_mark("o", "not certified", is_hollow=True))
    entries.append(legend_mark("D", "smallest eigenvalue"))
    if any(view.bulk_center is not None for view in views):
        entries.append(legend_bulk())
    if any(len(view.weights) > 1 for view in views):
        entries.append(Patch(color=FAINT, lw=0, label="standard error over probes"))
    entries.append(Patch(color=NEGATIVE, lw=0, label="negative curvature"))
    return entries


def legend_mark(marker: str, label: str, *, is_hollow: bool = False) -> Line2D:
    """A mark for a legend, in no spectrum's colour."""
    face = "white" if is_hollow else INK
    return Line2D(
        [], [], color=INK, ls="", marker=marker, ms=7, mew=1.5, mec=INK, mfc=face, label=label
    )


def legend_bulk() -> Line2D:
    """The bar of a bulk for a legend."""
    return Line2D([], [], color=SOFT, alpha=0.5, lw=8, label="bulk: centre ± width")
