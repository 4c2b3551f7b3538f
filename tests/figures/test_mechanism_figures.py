"""The picture of one run of the stage `mechanism`."""

import numpy as np
import pandas as pd
import pytest

from collapse.figures import mechanism_figure, png_bytes
from collapse.figures.mechanism import RISE_LEVELS_NATS

LAYERS = pd.DataFrame(
    {
        "layer": ["all", "embed_tokens", "layer_0", "layer_1", "norm"],
        "drift": [0.05, 0.04, 0.06, 0.03, 0.01],
        "drift_from_previous": [0.03, 0.02, 0.04, 0.01, 0.0],
        "cka": [np.nan, 0.999, 0.95, 0.9, np.nan],
        "cka_se": [np.nan, 0.001, 0.01, 0.01, np.nan],
        "participation_ratio": [np.nan, 80.0, 70.0, 60.0, np.nan],
        "participation_ratio_se": [np.nan, 1.0, 1.0, 1.0, np.nan],
    }
)
OFFSETS = np.linspace(-1, 1, 5)
RISES = 4 * (OFFSETS[:, None] ** 2 + OFFSETS[None, :] ** 2) + 0.5 * OFFSETS[:, None]


def test_the_title_tells_the_figures_own_numbers() -> None:
    figure = mechanism_figure(LAYERS, None, "gen. 2, replace, seed 0")
    title = figure.get_suptitle().replace("\n", " ")
    assert "moved 5.0 %" in title
    assert "in layer 1, CKA 0.900 (gen. 2, replace, seed 0)" in title
    assert len(figure.axes) == 3
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_generation_0_has_ranks_and_a_slice_alone() -> None:
    first = LAYERS.drop(columns=["drift", "drift_from_previous", "cka", "cka_se"])
    figure = mechanism_figure(first, (OFFSETS, RISES), "gen. 0, replace, seed 0")
    assert figure.get_suptitle().startswith("Activations use 60 to 80 directions")
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert len(labels) == 3  # ranks, slice, scale of colours
    assert not any("drift" in label or "CKA" in label for label in labels)


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_all_slices_share_one_scale_of_colours(scale: float) -> None:
    figure = mechanism_figure(LAYERS, (OFFSETS, scale * RISES), "gen. 2, replace, seed 0")
    bar = figure.axes[-1]
    assert [float(tick.get_text()) for tick in bar.get_yticklabels()] == list(RISE_LEVELS_NATS)


def test_the_first_direction_goes_across() -> None:
    wall = 100 * np.maximum(OFFSETS, 0)[:, None] * np.ones(5)
    figure = mechanism_figure(LAYERS, (OFFSETS, wall), "gen. 2, replace, seed 0")
    plane = next(axes for axes in figure.axes if axes.get_xlabel().startswith("first"))
    (filled,) = [one for one in plane.collections if len(one.get_paths()) > 1]
    highest_Nx2 = filled.get_paths()[-1].vertices
    assert highest_Nx2[:, 0].min() > 0
    assert (highest_Nx2[:, 1].min(), highest_Nx2[:, 1].max()) == (-1, 1)
