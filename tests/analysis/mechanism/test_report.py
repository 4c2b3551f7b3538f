"""What a study says of its mechanism, from planted numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.mechanism.figures import mechanism_plates, spread_out
from analysis.mechanism.findings import MechanismFindings, mechanism_findings
from analysis.mechanism.section import mechanism_files, mechanism_lines, mechanism_section
from analysis.metrics import metric_info
from analysis.study import StudyRecord
from tests.analysis.made_up_study import made_up_study

SEEDS, LAST = (0, 1, 2, 3), 3
# What a generation adds: drift, lost CKA of either layer, lost cosine, gradient signal.
STEPS = {"replace": (0.02, 0.03, 0.01, 0.1, 0.08), "fresh": (0.015, 0.004, 0.003, 0.03, 0.0)}


def values(arm: str, seed: int, generation: int) -> dict[str, float]:
    drift, first, second, turn, signal = (step * generation for step in STEPS[arm])
    found = {
        "gradient/norm": 0.2 + signal,
        "gradient/signal_share": -0.02 + signal + 0.001 * seed,
        "gradient/signal_share_se": 0.05,
        "activation/layer_0/participation_ratio": 88.0 - generation,
        "activation/layer_10/participation_ratio": 80.0,
        "activation/layer_2/participation_ratio": 84.0,
        "human/nll_nats": 1.3,
    }
    if generation:
        found |= {
            "drift/all": drift + 0.0001 * seed,
            "drift/layer_0": drift,
            "drift_from_previous/all": STEPS[arm][0],
            "cka/layer_0": 1 - first - 0.0004 * seed,
            "cka/layer_10": 1 - second,
            "gradient/cosine_to_g0": 1 - turn,
            "gradient/cosine_to_previous": 0.9,
        }
    return found


def record(**changes: Any) -> StudyRecord:
    rows = [
        (arm, seed, generation, metric, value)
        for arm in STEPS
        for seed in SEEDS
        for generation in range(LAST + 1)
        for metric, value in values(arm, seed, generation).items()
    ]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "generation", "metric", "value"])
    return replace(made_up_study(seeds=SEEDS, generations=LAST, measurements=frame), **changes)


@pytest.fixture(scope="module")
def found() -> MechanismFindings:
    findings = mechanism_findings(record())
    assert findings is not None
    return findings


def test_ends_are_means_over_seeds_and_differences_are_paired(found: MechanismFindings) -> None:
    one = found.end("drift/all", "replace")
    assert one is not None
    assert (one.mean, one.n_seeds) == (pytest.approx(0.06 + 0.00015), 4)
    # The seeds' own parts cancel: what is left is the arms' difference, with no spread at all.
    assert one.difference is not None
    assert one.difference.mean == pytest.approx(0.015)
    assert one.difference.interval == pytest.approx((0.015, 0.015))
    control = found.end("drift/all", "fresh")
    assert control is not None
    assert control.difference is None


def test_layers_stand_in_their_order_and_the_least_alike_is_named(found: MechanismFindings) -> None:
    assert found.similar_layers == ("cka/layer_0", "cka/layer_10")
    assert [name.split("/")[1] for name in found.rank_layers] == ["layer_0", "layer_2", "layer_10"]
    assert found.least_similar() == "cka/layer_0"


def test_sentences_tell_the_arm_its_control_and_the_difference(found: MechanismFindings) -> None:
    told = [one.replace("\N{NO-BREAK SPACE}", " ") for one in mechanism_section(found)["sentences"]]
    drift, likeness, gradient, signal = told
    assert drift.startswith(
        "By generation 3 weights move 6.0 % under replace and 4.5 % under fresh"
    )
    assert "difference +1.5 points, 95 % +1.5 to +1.5, n = 4" in drift
    assert "layer 0 with generation 0's is 0.909 under replace and 0.987 under fresh" in likeness
    assert "0.70 under replace and 0.91 under fresh" in gradient
    assert "22 % under replace and 0.0 % under fresh" in signal


def test_cautions_say_what_is_noise_and_what_starts_anew(found: MechanismFindings) -> None:
    assert any("is noise of the batch: 0.0" in one for one in mechanism_section(found)["cautions"])
    assert not any("initialisations" in one for one in mechanism_section(found)["cautions"])
    anew = mechanism_findings(record(settings={"start": "fresh"}))
    assert anew is not None
    assert any("initialisations" in one for one in mechanism_section(anew)["cautions"])


def test_the_table_has_every_metric_and_no_error_as_one(found: MechanismFindings) -> None:
    table = mechanism_files(found)["mechanism.csv"]
    assert set(table["metric"]) == {
        name for name in values("replace", 0, 1) if name != "human/nll_nats" and "_se" not in name
    }
    row = table[(table["metric"] == "cka/layer_0") & (table["arm"] == "replace")].iloc[0]
    assert row["difference"] == pytest.approx(-0.078)
    section = mechanism_section(found)
    drift = next(row for row in section["rows"] if row["label"].startswith("Drift from generation"))
    assert drift["cells"] == ["6.0 % [+1.5, +1.5]", "4.5 %"]
    assert mechanism_lines(found)[0] == "What changed inside the models:"


def test_figures_are_drawn_of_what_is_there(found: MechanismFindings) -> None:
    plates = mechanism_plates(found)
    assert [plate.name for plate in plates] == [
        f"mechanism_{name}" for name in ("drift", "similarity", "gradient", "activations")
    ]
    for plate in plates:
        assert plate.title.replace("\n", " ") in plate.figure.get_suptitle().replace("\n", " ")
    panels = plates[1].figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == [
        "CKA with generation 0, layer 0",
        "CKA with generation 0, layer 10",
    ]
    # Generation 0 is not compared with itself: lines begin at 1.
    assert {float(line.get_xdata()[0]) for line in panels[0].lines} == {1.0}


def test_a_study_without_the_stage_has_no_section() -> None:
    assert mechanism_findings(made_up_study()) is None
    rows = record().measurements
    first = rows[rows["generation"] == 0]
    assert mechanism_findings(record(measurements=first)) is None
    assert mechanism_findings(record(generations=0)) is None


def test_a_study_under_way_is_told_by_the_last_generation_measured() -> None:
    whole = record(generations=LAST + 2)
    found = mechanism_findings(whole)
    assert found is not None
    assert (found.generation, mechanism_section(found)["generation"]) == (LAST, LAST)
    drift = mechanism_section(found)["sentences"][0]
    assert drift.startswith(f"By generation {LAST} weights move 6.0")
    assert mechanism_plates(found)[0].title == drift.split(" (difference")[0]


def test_many_layers_are_spread_out() -> None:
    layers = [f"cka/layer_{number}" for number in range(12)]
    assert spread_out(layers) == tuple(layers[k] for k in (0, 4, 7, 11))
    assert spread_out(layers[:4]) == tuple(layers[:4])


@pytest.mark.parametrize(
    ("name", "label", "written"),
    [
        ("drift/all", "Drift from generation 0, all weights", "12.5 %"),
        ("drift_from_previous/layer_3", "Drift from the parent, layer 3", "12.5 %"),
        ("cka/embed_tokens", "CKA with generation 0, embedding", "0.125"),
        ("activation/layer_0/norm", "Length of activations, layer 0", "0.12"),
        ("gradient/own/signal_share", "Signal in the gradient, own text", "12.5 %"),
        ("landscape/rise_nats", "Rise of the loss at the edge of the slice", "0.125"),
        ("drifting/all", "drifting/all", "0.125"),
    ],
)
def test_metrics_of_any_layer_have_words(name: str, label: str, written: str) -> None:
    info = metric_info(name)
    assert (info.label, info.write(0.125)) == (label, written)
    assert info.is_share == info.unit.startswith("%")


def test_a_drift_may_exceed_a_model_s_own_length() -> None:
    assert metric_info("drift/all").ceiling is None
    assert np.isclose(float(metric_info("drift/all").write(1.4).split()[0]), 140)


def test_a_probe_of_the_last_generation_alone_knows_no_start() -> None:
    whole = record()
    rows = whole.measurements
    found = mechanism_findings(replace(whole, measurements=rows[rows["generation"] == LAST]))
    assert found is not None
    titles = [plate.title for plate in mechanism_plates(found)]
    assert any(title.startswith("Directions of the activations") for title in titles)
    assert not any("at the start" in title or "nan" in title for title in titles)
    assert mechanism_lines(found)
    assert mechanism_section(found)
