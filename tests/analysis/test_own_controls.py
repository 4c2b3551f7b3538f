"""Arms that are trained otherwise are held beside a control that is, too, in the whole report."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from analysis.claims.effects import effects_table, paired_differences
from analysis.early_warning.calibration import calibrate
from analysis.early_warning.findings import warning_findings
from analysis.early_warning.indicators import INDICATORS
from analysis.early_warning.words import cautions
from analysis.events import first_events
from analysis.figures import plates
from analysis.inference.findings import inference_findings
from analysis.inference.section import inference_section
from analysis.mechanism.findings import mechanism_findings
from analysis.recovery.findings import excess_by_generation
from analysis.report.cautions import cautions as what_not_to_conclude
from analysis.study import StudyRecord
from tests.analysis.made_up_study import made_up_measurements, made_up_runs, made_up_study

ARMS, SEEDS, LAST = ("replace", "fresh", "static", "few", "fresh_few"), tuple(range(6)), 5
SHIFT_NATS = 0.3
"""What few steps cost every model on human text, collapsing or not."""


def study(**changed: Any) -> StudyRecord:
    rows = made_up_measurements(("replace", "fresh", "static"), SEEDS, LAST)
    for arm, like in (("few", "replace"), ("fresh_few", "fresh")):
        twin = rows[rows["arm"] == like].assign(arm=arm)
        is_moved = (twin["metric"] == "human/nll_nats") & (twin["generation"] > 0)
        twin.loc[is_moved, "value"] += SHIFT_NATS
        rows = pd.concat([rows, twin], ignore_index=True)
    given: dict[str, Any] = {
        "arms": ARMS,
        "measurements": rows,
        "runs": made_up_runs(ARMS, SEEDS, LAST),
        "kinds": dict.fromkeys(("replace", "few"), "replace")
        | {"fresh": "fresh", "fresh_few": "fresh", "static": "static"},
        "changes": {"few": {"steps": 25}, "fresh_few": {"steps": 25}},
        "controls": {"replace": "fresh", "static": "fresh", "few": "fresh_few"},
        "claims": (),
    }
    return replace(made_up_study(("replace",), SEEDS, LAST), **given | changed)


def test_differences_of_the_report_are_from_the_arms_own_control() -> None:
    table = effects_table(study(), ("human/nll_nats",)).set_index("arm")

    assert table.loc["few", "control"] == "fresh_few"
    assert table.loc["few", "mean"] == pytest.approx(table.loc["replace", "mean"])
    assert table.loc["fresh_few", "control"] == "fresh"
    assert table.loc["fresh_few", "mean"] == pytest.approx(SHIFT_NATS)


def test_an_event_is_no_shift_that_the_control_shows_too() -> None:
    events = first_events(study())
    came = events[events["event"] == "human/nll_nats"].set_index(["arm", "seed"])["generation"]

    for seed in SEEDS:
        assert came["few", seed] == came["replace", seed]
    beside_fresh = first_events(study(controls={}))
    shifted = beside_fresh[beside_fresh["event"] == "human/nll_nats"].set_index(["arm", "seed"])
    assert (shifted.loc["few", "generation"] == 1).all()


def test_contrasts_and_slopes_are_with_the_own_control_and_say_so() -> None:
    record = study()
    found = inference_findings(record)

    assert found is not None
    own = {one.arm: one for one in found.contrasts if one.metric == "human/nll_nats"}
    pairs = paired_differences(record, "human/nll_nats", "few", "fresh_few", LAST)
    assert own["few"].control == "fresh_few"
    assert own["few"].found.mean == pytest.approx(pairs.differences.mean())
    assert own["fresh_few"].control == "fresh"
    assert {(one.arm, one.control) for one in found.slopes} == {
        ("replace", "fresh"),
        ("static", "fresh"),
        ("few", "fresh_few"),
        ("fresh_few", "fresh"),
    }
    assert "its own control" in " ".join(inference_section(found)["sentences"])  # type: ignore[call-overload]
    assert record.named_control == "its own control"
    assert study(controls={"replace": "fresh"}).named_control == "fresh"


def test_own_controls_stand_in_tables_and_are_not_drawn_beside_all_others() -> None:
    record = study()
    plate = next(one for one in plates(record) if one.name == "human_loss")

    assert record.pictured_arms == ("replace", "fresh", "static", "few")
    drawn = {text.get_text() for text in plate.figure.legends[0].get_texts()}
    assert drawn == {"replace", "fresh (control)", "static", "few"}
    assert "fresh_few" in plate.caption
    assert plate.data is not None
    assert "fresh_few" in set(plate.data["arm"])


def test_a_budget_is_unequal_where_it_is_not_that_of_the_own_control() -> None:
    def said(of_few: float) -> str:
        read = {"few": of_few, "fresh_few": 25.0}
        rows = pd.DataFrame(
            [(arm, 0, 1, "train/tokens_seen", read.get(arm, 100.0)) for arm in ARMS],
            columns=["arm", "seed", "generation", "metric", "value"],
        )
        record = study()
        return " ".join(
            what_not_to_conclude(
                replace(record, measurements=pd.concat([record.measurements, rows])), ()
            )
        )

    assert "as much as its own control (train/tokens_seen differ)" in said(26.0)
    assert "as much as" not in said(25.0)


def test_healthy_chains_that_are_trained_otherwise_set_no_threshold() -> None:
    one = next(one for one in INDICATORS if one.metric == "human/nll_nats")

    assert calibrate(study(), one, "fresh").healthy_arms == ("static",)
    assert calibrate(study(changes={}), one, "fresh").healthy_arms == ("static", "fresh_few")


def test_warnings_are_judged_in_arms_that_differ_in_what_they_read_alone() -> None:
    found = warning_findings(study())

    assert found is not None
    assert {arm for arm, _ in found.warnings} == {"replace"}
    assert any("2 arms differ from the control" in caution for caution in cautions(found))
    alone = warning_findings(study(changes={arm: {"steps": 25} for arm in ("replace", "few")}))
    assert alone is None


def test_what_going_back_mends_is_beside_the_own_control() -> None:
    one = excess_by_generation(study(), "human/nll_nats", "few")[LAST]
    other = excess_by_generation(study(), "human/nll_nats", "replace")[LAST]
    assert one == pytest.approx(other)


def test_of_the_mechanism_the_furthest_from_its_own_control_is_told() -> None:
    drifts = {"replace": 0.3, "fresh": 0.1, "static": 0.1, "few": 0.5, "fresh_few": 0.1}
    rows = pd.DataFrame(
        [
            (arm, seed, generation, "drift/all", drift * generation)
            for arm, drift in drifts.items()
            for seed in SEEDS
            for generation in range(1, LAST + 1)
        ],
        columns=["arm", "seed", "generation", "metric", "value"],
    )
    found = mechanism_findings(study(measurements=rows))
    assert found is not None
    assert found.told_arms("drift/all") == ("few", "fresh_few")
    closer = mechanism_findings(
        study(measurements=rows.assign(value=rows["value"].where(rows["arm"] != "fresh_few", 2.0)))
    )
    assert closer is not None
    assert closer.told_arms("drift/all") == ("replace", "fresh")
