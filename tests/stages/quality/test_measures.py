import json

import numpy as np
import pytest

from collapse.stages.quality.measures import Measures


def measures(**changes):
    return Measures(np.random.default_rng(0), **changes)


def test_what_is_not_a_number_was_not_measured():
    found = measures()
    found.add({"a": 1, "b": None, "c": float("nan"), "d": float("inf")})
    assert found.values == {"a": 1.0}


def test_a_mean_has_its_textbook_error_and_leaves_out_what_is_missing():
    found = measures()
    values = [1.0, 2.0, 4.0, float("nan"), 9.0]
    found.mean("m", values)
    known = np.array([1.0, 2.0, 4.0, 9.0])
    assert found.values["m"] == known.mean()
    assert found.values["m_se"] == pytest.approx(known.std(ddof=1) / 2)
    assert found.intervals["m"].low < 4.0 < found.intervals["m"].high


def test_a_rate_that_is_everywhere_the_same_is_no_certainty():
    found = measures()
    found.rate("all", [1.0] * 52)
    found.rate("none", [0.0] * 51 + [float("nan")])
    found.rate("some", [0.0, 0.5, 1.0, 1.0])
    assert found.values["all"] == 1.0
    # Wilson: 1 / (1 + z^2 / n) of 52 prompts.
    assert found.intervals["all"].low == pytest.approx(1 / (1 + 1.959964**2 / 52), abs=1e-6)
    assert found.intervals["none"].high == pytest.approx(1 - 1 / (1 + 1.959964**2 / 51), abs=1e-6)
    assert found.values["some"] == 0.625


def test_nothing_to_measure_leaves_nothing():
    found = measures()
    found.mean("m", [float("nan")])
    found.mean("n", [])
    found.share("s", [])
    found.of_set(lambda _: {"t": None}, 5)
    assert found.values == {}
    assert found.intervals == {}


def test_without_intervals_values_are_the_same_and_nothing_is_drawn():
    with_them, without = measures(), measures(has_intervals=False)
    before = without.generator.bit_generator.state
    for found in (with_them, without):
        found.mean("m", [1.0, float("nan"), 4.0])
        found.mean("n", [float("nan")])
        found.share("s", [True, False, False])
        found.of_set(lambda chosen: {"count": float(len(chosen)), "none": None}, 7)
    plain = {name: value for name, value in with_them.values.items() if not name.endswith("_se")}
    assert {n: v for n, v in without.values.items() if n != "s_se"} == plain
    assert without.generator.bit_generator.state == before
    assert without.values["s_se"] == with_them.values["s_se"]  # a closed form


def test_a_statistic_of_the_set_is_that_of_the_whole_set():
    found = measures()
    found.of_set(lambda chosen: {"mean": float(chosen.mean())}, 40)
    assert found.values["mean"] == 19.5
    true_error = np.arange(40).std(ddof=1) / np.sqrt(40)
    assert found.values["mean_se"] == pytest.approx(true_error, rel=0.3)


def test_the_file_tells_values_intervals_and_what_is_missing(tmp_path):
    found = measures()
    found.share("s", [True] * 3 + [False])
    found.left_out["x"] = "no text has two sentences"
    found.write(tmp_path / "quality.json")
    content = json.loads((tmp_path / "quality.json").read_text())
    assert content["values"]["s"] == 0.75
    interval = content["intervals_95"]["s"]
    assert interval["low"] < 0.75 < interval["high"]
    assert content["not_measured"] == {"x": "no text has two sentences"}
