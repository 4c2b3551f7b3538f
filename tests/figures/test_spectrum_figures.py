from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from scipy.stats import norm

from collapse.errors import BadParameter
from collapse.figures import (
    Mark,
    SpectrumView,
    evolution_figure,
    png_bytes,
    side_by_side_figure,
    spectrum_figure,
)
from collapse.figures.scale import choose_scale, curve
from collapse.figures.style import PALETTE
from collapse.figures.view import common_title, finding, percent, written

NAN = float("nan")


def broad(**changes: Any) -> SpectrumView:
    """A bulk of width 1 beside eigenvalues of -2.4 and 26: a linear axis will do."""
    fields: dict[str, Any] = {
        "title": "Generation 3 (replace, seed 0)",
        "nodes": [[-2.4, -0.5, 0.5, 26.0], [-2.3, -0.4, 0.6, 26.0]],
        "weights": [[0.01, 0.5, 0.48, 0.01], [0.02, 0.5, 0.47, 0.01]],
        "outliers": [(26.0, 0.5, True), (-2.4, 0.9, False)],
        "lambda_min": (-2.4, 0.9, False),
        "bulk_center": 0.1,
        "bulk_width": 1.0,
        "lambda_max": (26.0, 0.5, True),
    }
    return SpectrumView(**(fields | changes))


def needle(**changes: Any) -> SpectrumView:
    """The same with a bulk a thousandth of the range wide."""
    nodes = [[-2.4, -0.02, 0.03, 26.0], [-2.3, -0.01, 0.02, 26.0]]
    return broad(**({"nodes": nodes, "bulk_center": 0.001, "bulk_width": 0.026} | changes))


def circles(axes: Axes, marker: str) -> list[tuple[float, str]]:
    """Places of the marks of one kind, and the colours of their faces."""
    return [
        (float(np.asarray(line.get_xdata())[0]), to_hex(line.get_markerfacecolor()).upper())
        for line in axes.lines
        if line.get_marker() == marker and len(np.asarray(line.get_xdata())) == 1
    ]


def test_title_tells_both_ends_and_the_negative_share() -> None:
    view = broad(outliers=[(26.0, 0.5, True)], weights=[[0.01, 0.5, 0.48, 0.01]] * 2)
    below = (0.01 * 2.4 + 0.5 * 0.5 + 0.01 * 2.3 + 0.5 * 0.4) / 2
    above = (0.48 * 0.5 + 0.26 + 0.48 * 0.6 + 0.26) / 2
    share = percent(below / (below + above))
    assert share == "32\N{NO-BREAK SPACE}%"
    assert finding([view]) == (
        "Generation 3 (replace, seed 0): largest eigenvalue 26.0, smallest \N{MINUS SIGN}2.40; "
        f"{share} of the curvature is negative"
    )
    assert finding([broad()]).endswith("(not all outliers certified)")


def test_title_of_two_spectra_tells_them_apart() -> None:
    pair = [broad(title=f"Generation 3, {text} text") for text in ("human", "own")]
    assert common_title(pair) == ("Generation 3", ("human text", "own text"))
    assert finding(pair).startswith(
        "Generation 3: largest eigenvalue 26.0 on human text and 26.0 on own text, smallest "
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(39.04, "39.0"), (-123.9, "−124"), (0.02345, "0.0234"), (0, "0"), (2.5e-7, "2.50e−07")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert written(value) == text


def test_largest_eigenvalue_is_the_certified_one_where_there_is_one() -> None:
    assert broad(lambda_max=None).top == Mark(26.0, 0.5, True)
    only_negative = broad(lambda_max=None, outliers=[(-2.4, 0.9, False)])
    assert only_negative.top.value == 26.0
    assert not only_negative.top.certified
    assert np.isnan(only_negative.top.residual_bound)


def test_density_is_drawn_as_the_mean_over_probes_with_its_error() -> None:
    view = broad()
    axes = spectrum_figure(view).axes[0]
    line = max(axes.lines, key=lambda one: len(np.asarray(one.get_xdata())))
    places, drawn = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    made = curve(view, choose_scale([view]))
    width = 0.01 * (choose_scale([view]).right - choose_scale([view]).left)
    probes = [
        sum(w * norm.pdf(places, t, width) for t, w in zip(*pair, strict=True))
        for pair in zip(view.nodes, view.weights, strict=True)
    ]
    visible = drawn > 2 * axes.get_ylim()[0]
    assert visible.sum() > 50
    assert np.allclose(drawn[visible], np.mean(probes, axis=0)[visible], rtol=1e-6)
    assert np.allclose(made.standard_error, np.abs(probes[0] - probes[1]) / 2, atol=1e-9)
    assert axes.get_yscale() == "log"
    band = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
    assert band.max() == pytest.approx((made.density + made.standard_error).max())


def test_certified_marks_are_filled_and_whiskers_as_long_as_their_bounds() -> None:
    strip = spectrum_figure(broad()).axes[1]
    assert circles(strip, "o") == [(26.0, PALETTE[1]), (-2.4, "#FFFFFF")]
    assert circles(strip, "D") == [(-2.4, "#FFFFFF")]
    whiskers = {
        tuple(np.round(np.asarray(line.get_xdata()), 6))
        for line in strip.lines
        if line.get_marker() == "|" and len(np.asarray(line.get_xdata())) == 2
    }
    assert whiskers == {(25.5, 26.5), (-3.3, -1.5)}
    unknown = broad(outliers=[], lambda_min=(-2.4, NAN, False), lambda_max=(26.0, NAN, False))
    assert not any(
        line.get_marker() == "|" and len(np.asarray(line.get_xdata())) == 2
        for line in spectrum_figure(unknown).axes[1].lines
    )


def test_bulk_is_a_bar_and_the_ends_have_their_numbers() -> None:
    strip = spectrum_figure(broad()).axes[1]
    (bar,) = [line for line in strip.lines if line.get_linewidth() == 8]
    assert list(np.asarray(bar.get_xdata())) == pytest.approx([-0.9, 1.1])
    assert {text.get_text() for text in strip.texts} == {"26.0", "−2.40"}


def test_a_narrow_bulk_stretches_the_axis_and_ticks_stay_eigenvalues() -> None:
    assert choose_scale([broad()]).unit is None
    assert choose_scale([broad(bulk_width=None)]).unit is None
    scale = choose_scale([needle()])
    assert scale.unit == 0.026
    assert scale.place([0.026 * np.sinh(np.log(10))])[0] == pytest.approx(1.0)
    assert scale.eigenvalue(float(scale.place([-2.4])[0])) == pytest.approx(-2.4)
    # A factor of 10 takes the same room wherever it is, and mass is neither lost nor made.
    far, near = scale.place([20.0, 2.0]) - scale.place([2.0, 0.2])
    assert far == pytest.approx(near, abs=0.01)
    made = curve(needle(), scale)
    assert np.trapezoid(made.density, made.places) == pytest.approx(1.0)

    figure = spectrum_figure(needle())
    axes = figure.axes[1]
    figure.draw_without_rendering()
    ticks = {
        label.get_text(): float(place)
        for place, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    }
    assert list(ticks) == ["−1", "−0.1", "0", "0.1", "1", "10"]
    assert ticks["10"] == pytest.approx(float(scale.place([10.0])[0]))
    assert "linear within ±0.0260, logarithmic beyond" in axes.get_xlabel()
    assert "nats per squared unit of a parameter" in axes.get_xlabel()


def test_the_same_spectrum_gives_the_same_bytes() -> None:
    first, again = (png_bytes(spectrum_figure(needle())) for _ in range(2))
    assert first == again
    assert first[:8] == b"\x89PNG\r\n\x1a\n"


def test_two_spectra_share_the_axes_and_a_third_is_refused() -> None:
    pair = [needle(title="G, human text"), needle(title="G, own text")]
    figure = spectrum_figure(*pair)
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == [
        "human text",
        "own text",
    ]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["human text", "own text"]
    for views in ([], [*pair, pair[0]]):
        with pytest.raises(BadParameter, match="1 or 2"):
            spectrum_figure(*views)


def test_legend_names_only_what_is_drawn() -> None:
    def names(view: SpectrumView) -> list[str]:
        return [text.get_text() for text in spectrum_figure(view).legends[0].get_texts()]

    assert "not certified" in names(broad())
    sure = broad(outliers=[(26.0, 0.1, True)], lambda_min=(-2.4, 0.1, True))
    assert "not certified" not in names(sure)
    alone = replace(sure, nodes=sure.nodes[:1], weights=sure.weights[:1], bulk_center=None)
    assert names(alone) == ["outlier, certified", "smallest eigenvalue", "negative curvature"]


def test_a_spectrum_of_one_eigenvalue_is_drawn() -> None:
    flat = broad(
        nodes=[[2.0]],
        weights=[[1.0]],
        outliers=[(2.0, 0.0, True)],
        lambda_min=(2.0, 0.0, True),
        lambda_max=(2.0, 0.0, True),
        bulk_center=None,
        bulk_width=None,
    )
    assert len(png_bytes(spectrum_figure(flat))) > 1000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": [], "weights": []}, "no Ritz values"),
        ({"nodes": [[]], "weights": [[]]}, "no Ritz values"),
        ({"weights": [[0.5, 0.5]] * 2}, "one weight"),
        ({"weights": [[0.25] * 4]}, "one weight"),
    ],
)
def test_what_cannot_be_drawn_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        broad(**changes)


def chain(growth: float) -> dict[int, SpectrumView]:
    return {
        g: needle(lambda_max=(26.0 + growth * g, 0.1, True), lambda_min=(-2.4 - g, 0.1, g < 2))
        for g in range(4)
    }


def test_evolution_joins_the_ends_and_writes_the_first_and_the_last() -> None:
    views = chain(5.0)
    (axes,) = evolution_figure(views, "Title").axes
    scale = choose_scale(list(views.values()))
    joined = [line for line in axes.lines if list(np.asarray(line.get_ydata())) == [0, 1, 2, 3]]
    assert len(joined) == 2
    tops, bottoms = (np.asarray(line.get_xdata()) for line in joined)
    assert tops == pytest.approx(scale.place([26.0, 31.0, 36.0, 41.0]))
    assert bottoms == pytest.approx(scale.place([-2.4, -3.4, -4.4, -5.4]))
    assert [text.get_text() for text in axes.texts] == ["26.0", "41.0", "−2.40", "−5.40"]
    faces = [face for _, face in circles(axes, "D")]
    assert faces == [PALETTE[1], PALETTE[1], "#FFFFFF", "#FFFFFF"]
    assert axes.get_ylim()[0] > 3 > 0 > axes.get_ylim()[1]


def test_without_weights_every_ritz_value_is_a_tick() -> None:
    ritz = [[-2.0, 0.5, 1.0, 26.0]]
    views = {g: broad(nodes=ritz, weights=()) for g in range(3)}
    figure = evolution_figure(views, "Title")
    ticks = [
        len(group.get_segments())  # type: ignore[attr-defined]
        for group in figure.axes[0].collections
        if hasattr(group, "get_segments")
    ]
    assert ticks == [4, 4, 4]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "Ritz value" in names
    assert not any("density" in name for name in names)
    alone = spectrum_figure(views[0]).axes[0]
    assert len(alone.collections[0].get_segments()) == 4  # type: ignore[attr-defined]
    assert alone.get_ylabel() == "Ritz values, without weights"


def test_chains_stand_side_by_side_on_the_same_axes() -> None:
    chains = {"replace": chain(5.0), "fresh (control)": chain(0.0), "mixed": chain(1.0)}
    figure = side_by_side_figure(chains, "Title")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == list(chains)
    assert len({axes.get_xlim() for axes in shown}) == 1
    assert len({axes.get_ylim() for axes in shown}) == 1
    # Every column says what its axis is, the incomplete row's too.
    assert [bool(axes.get_xlabel()) for axes in shown] == [False, True, True]


@pytest.mark.parametrize("width", [0.0004, 0.004, 0.026, 0.09, 0.5])
def test_tick_labels_do_not_touch_where_two_chains_share_the_width(width: float) -> None:
    views = {g: needle(bulk_width=width, lambda_max=(26.0 + g, 0.1, True)) for g in range(2)}
    figure = side_by_side_figure({"replace": views, "fresh": views}, "Title")
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = [label for label in axes.get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent() for label in labels]
        assert all(left.x1 + 3 < right.x0 for left, right in pairwise(boxes))
        assert "0" in [label.get_text() for label in labels]
        assert len(labels) >= 4
