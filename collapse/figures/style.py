"""One look for all figures: colours, sizes, an empty figure with its title, and its bytes."""

import io
import textwrap
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe and Ito, "Color Universal Design" (2008): told apart with any kind of colour vision. Its
# yellow is left out, as lines in it vanish on white.
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, SOFT, FAINT = "#222222", "#666666", "#D9D9D9"

# Inches and points: at 100 pixels an inch a figure is 800 pixels wide and its text 14 to 18 high.
WIDTH_IN = 8.0
DPI = 150
TITLE_PT, LABEL_PT, SMALL_PT = 12.5, 11.0, 10.0
TITLE_CHARACTERS, PANEL_CHARACTERS = 64, 44
"""Of a figure's title, and of the label over one of two panels beside each other, in a line."""
_TITLE_LINE_IN = 0.25


def new_figure(title: str, height_in: float) -> Figure:
    """An empty figure 8 inches wide, with its finding in bold at the top left.

    Args:
        title: wrapped where it is long; each further line makes the figure higher.
        height_in: height with a title of one line, in inches.
    """
    wrapped = textwrap.fill(title, TITLE_CHARACTERS)
    layout = ConstrainedLayoutEngine(h_pad=0.06, w_pad=0.06, hspace=0.06, wspace=0.04)
    figure = Figure(
        figsize=(WIDTH_IN, height_in + _TITLE_LINE_IN * wrapped.count("\n")),
        dpi=DPI,
        layout=layout,
        facecolor="white",
    )
    FigureCanvasAgg(figure)
    figure.suptitle(wrapped, x=0.012, ha="left", fontsize=TITLE_PT, fontweight="bold", color=INK)
    return figure


def dress(axes: Axes) -> None:
    """Axes of the house: a line below, a light grid, readable labels, and no frame."""
    axes.grid(axis="y", color=FAINT, lw=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL_PT, colors=INK, length=0)
    axes.xaxis.label.set(fontsize=LABEL_PT, color=INK)
    axes.yaxis.label.set(fontsize=LABEL_PT, color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(INK)


def legend_below(
    figure: Figure, handles: Sequence[Artist], columns: int = 3, size_pt: float = SMALL_PT
) -> None:
    """One legend for the whole figure, below everything, in no more columns than have room."""
    for many in range(columns, 0, -1):
        legend = figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=many,
            frameon=False,
            fontsize=size_pt,
            labelcolor=INK,
            borderaxespad=0.4,
        )
        if many == 1 or legend.get_window_extent().width <= figure.bbox.width:
            return
        legend.remove()


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG, the same bytes for the same data: no date, no program's name."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
