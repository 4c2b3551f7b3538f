from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from analysis.figures import Plate, panels_plate, plates, trajectory_figure
from analysis.study import StudyRecord, metric_values
from analysis.titles import finding
from collapse.figures.style import PALETTE, png_bytes
from tests.analysis.made_up_study import made_up_study, only

KL = "truth/kl_nats_per_story"


def scaled(record: StudyRecord, arm: str, metric: str, factor: float) -> StudyRecord:
    """The same study with one arm's metric after generation 0 multiplied."""
    rows = record.measurements
    chosen = (rows["arm"] == arm) & (rows["metric"] == metric) & (rows["generation"] > 0)
    return replace(
        record, measurements=rows.assign(value=rows["value"].mask(chosen, rows["value"] * factor))
    )


def constant(values: dict[str, list[float]], metric: str, **changes: Any) -> StudyRecord:
    rows = [
        (arm, seed, generation, metric, value)
        for arm, chain in values.items()
        for seed in (0, 1)
        for generation, value in enumerate(chain)
    ]
    columns = ["arm", "seed", "generation", "metric", "value"]
    return made_up_study(
        arms=tuple(values), measurements=pd.DataFrame(rows, columns=columns), **changes
    )


def test_titles_tell_the_numbers() -> None:
    kl = constant({"replace": [0.5, 1, 1.5, 2.05], "fresh": [0.5, 0.5, 0.5, 0.55]}, KL)
    assert finding(kl, KL) == "KL from the truth grows 4.1× under replace and 1.1× under fresh"
    valid = constant(
        {"fresh": [0.6, 0.6, 0.6, 0.595], "replace": [0.6, 0.3, 0.2, 0.07]}, "truth/valid_fraction"
    )
    assert finding(valid, "truth/valid_fraction") == (
        "Share of valid stories falls from 60 % to 7 % under replace and stays at 60 % under fresh"
    )
    loss = constant({"replace": [1, 1, 1, 1.25], "fresh": [1, 1, 1, 0.9]}, "human/nll_nats")
    assert finding(loss, "human/nll_nats") == (
        "Loss on human text rises 0.25 nats a token under replace "
        "and falls 0.10 nats a token under fresh"
    )


def test_titles_change_with_the_data() -> None:
    record = made_up_study()
    assert finding(record, KL) != finding(scaled(record, "replace", KL, 2.0), KL)


def test_titles_of_many_arms_name_the_one_that_moved_most_and_the_control() -> None:
    values = {
        "mixed": [1.0, 1, 1, 2],
        "replace": [1.0, 1, 1, 9],
        "fresh": [1.0] * 4,
        "static": [1.0] * 4,
    }
    assert finding(constant(values, KL), KL) == (
        "KL from the truth grows 9.0× under replace and stays level (1.00×) under fresh "
        "(2 more arms shown)"
    )
    alone = constant({"replace": [1.0, 1, 1, 3]}, KL)
    assert finding(alone, KL) == "KL from the truth grows 3.0× under replace"


def test_title_of_a_baseline_alone() -> None:
    record = constant({"replace": [0.5], "fresh": [0.5]}, KL, generations=0)
    assert finding(record, KL) == "KL from the truth is 0.500 nats a story at generation 0"


def test_every_measured_metric_has_its_figure_and_no_other() -> None:
    record = made_up_study()
    names = [plate.name for plate in plates(record)]
    expected = ["kl_per_story", "valid_stories", "rare_choices", "human_loss", "distinct"]
    assert names == ["overview", *expected]
    rows = record.measurements
    untrue = replace(record, measurements=rows[~rows["metric"].str.startswith("truth/")])
    assert [plate.name for plate in plates(untrue)] == ["overview", "human_loss", "distinct"]
    assert plates(replace(record, measurements=rows[:0])) == ()


def test_same_data_same_bytes_other_data_other_bytes() -> None:
    record = made_up_study()
    first, again = (png_bytes(trajectory_figure(record, KL)) for _ in range(2))
    assert first == again
    assert b"Software" not in first
    shuffled = replace(record, measurements=record.measurements.sample(frac=1, random_state=1))
    assert png_bytes(trajectory_figure(shuffled, KL)) == first
    assert png_bytes(trajectory_figure(scaled(record, "replace", KL, 1.3), KL)) != first


def test_lines_carry_the_means_and_the_chains() -> None:
    record = made_up_study(seeds=(0, 1, 2))
    (axes,) = trajectory_figure(record, KL).axes
    thick = [line for line in axes.lines if line.get_linewidth() > 2]
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    assert (len(thick), len(thin)) == (2, 6)
    replaced = metric_values(record, KL)["replace"]
    assert list(np.asarray(thick[0].get_ydata())) == pytest.approx(
        list(replaced.groupby("generation").mean())
    )
    assert list(np.asarray(thin[1].get_ydata())) == pytest.approx(list(replaced[1]))
    assert [to_hex(line.get_color()).upper() for line in thick] == list(PALETTE[:2])
    assert len({line.get_marker() for line in thick}) == 2
    assert axes.get_ylabel() == "KL from the truth (nats a story)"
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


@pytest.mark.parametrize(
    ("n_seeds", "words"), [(1, "no band"), (2, "least and the greatest"), (3, "95 % t-intervals")]
)
def test_captions_say_what_the_band_is(n_seeds: int, words: str) -> None:
    (plate,) = plates(only(made_up_study(seeds=range(n_seeds)), KL))
    assert words in plate.caption


def test_band_is_the_t_interval() -> None:
    record = made_up_study(seeds=(0, 1, 2))
    (axes,) = trajectory_figure(record, KL).axes
    values = metric_values(record, KL).loc["replace", :, 3]
    half = 4.302652730 * values.std(ddof=1) / 3**0.5
    edge = np.asarray(axes.collections[0].get_paths()[0].vertices)
    at_last = edge[edge[:, 0] == 3.0, 1]
    assert at_last.min() == pytest.approx(values.mean() - half)
    assert at_last.max() == pytest.approx(values.mean() + half)


def edge(plate: Plate, panel: int, generation: float) -> list[float]:
    """The ends of the first arm's band."""
    band = np.asarray(plate.figure.axes[panel].collections[0].get_paths()[0].vertices)
    ends = band[band[:, 0] == generation, 1]
    return [float(ends.min()), float(ends.max())]


def test_a_figure_has_bands_of_one_kind_and_its_caption_names_it() -> None:
    record, metrics = made_up_study(seeds=range(4)), ("human/nll_nats", "human/entropy_nats")
    rows = record.measurements
    thin = (rows["metric"] == metrics[1]) & (rows["arm"] == "replace") & (rows["seed"] > 1)
    thin &= rows["generation"] == 3
    spans = panels_plate(replace(record, measurements=rows[~thin]), "x", "t", metrics)
    assert "least and the greatest seed" in spans.caption
    values = metric_values(record, metrics[0]).loc["replace", :, 2]
    assert edge(spans, 0, 2) == pytest.approx([values.min(), values.max()])
    whole = panels_plate(record, "x", "t", metrics)
    assert "95 % t-intervals" in whole.caption
    assert edge(whole, 0, 2)[1] > values.max()


def test_captions_count_planned_chains_at_the_last_generation_measured() -> None:
    record = only(made_up_study(seeds=range(3)), KL)
    rows = record.measurements
    running = rows["generation"] < 3
    (plate,) = plates(replace(record, measurements=rows[running]))
    assert "have no value" not in plate.caption
    behind = running & ~((rows["arm"] == "fresh") & (rows["seed"] == 2) & (rows["generation"] == 2))
    (plate,) = plates(replace(record, measurements=rows[behind]))
    assert "At generation 2, 1 of 6 chains have no value" in plate.caption
    # Measured or not, as in a larger study that was run before: seeds not planned do not count.
    fewer = rows[(rows["arm"] == "fresh") | (rows["seed"] == 0)]
    for kept in (rows, fewer):
        (plate,) = plates(replace(record, measurements=kept, arm_seeds={"replace": 1}))
        assert "have no value" not in plate.caption


def test_captions_say_where_chains_are_missing() -> None:
    record = only(made_up_study(), KL)
    rows = record.measurements
    stopped = (rows["arm"] == "replace") & (rows["seed"] == 1) & (rows["generation"] == 3)
    (plate,) = plates(replace(record, measurements=rows[~stopped]))
    assert "1 of 4 chains have no value" in plate.caption
    (whole,) = plates(record)
    assert "have no value" not in whole.caption
