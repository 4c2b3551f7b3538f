"""A figure's parts stay inside it."""

import pytest
from matplotlib.lines import Line2D

from collapse.figures.style import legend_below, new_figure


@pytest.mark.parametrize("label", ["a", "replace_many_steps_of_many", "x" * 70])
@pytest.mark.parametrize("columns", [1, 3, 5])
def test_a_legend_has_no_more_columns_than_have_room(label: str, columns: int) -> None:
    figure = new_figure("title", 4.0)
    figure.subplots().plot([0, 1], [0, 1])
    handles = [Line2D([], [], label=f"{label} {number}") for number in range(13)]
    legend_below(figure, handles, columns=columns)
    figure.canvas.draw()
    (legend,) = figure.legends

    assert len(legend.get_texts()) == 13
    for text in legend.get_texts():
        extent = text.get_window_extent()
        assert 0 <= extent.x0 < extent.x1 <= figure.bbox.width
        assert 0 <= extent.y0 < extent.y1 <= figure.bbox.height
