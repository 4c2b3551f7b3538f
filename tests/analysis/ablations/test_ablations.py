"""What changed settings do to what recursion costs, from planted losses."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.ablations import words
from analysis.ablations.figures import ablation_plates, numbers_by_setting
from analysis.ablations.findings import (
    METRIC,
    AblationFindings,
    ablation_findings,
    ablations_table,
)
from analysis.ablations.section import ablation_lines, ablation_section
from analysis.ablations.settings import changes_in_words
from analysis.metrics import MINUS
from analysis.report.page import environment
from analysis.report.sections import sections
from analysis.statistics import sign_flip_p
from analysis.study import StudyRecord
from tests.analysis.made_up_study import made_up_study

SEEDS, LAST = tuple(range(6)), 3
COST = {"replace": 0.20, "few": 0.05, "many": 0.50, "narrow": 0.21}
"""What recursion costs by the last generation."""
SHIFT = {"few": 0.30, "many": -0.20}
"""What a change does to every model, collapsing or not."""
CHANGES: dict[str, dict[str, object]] = {
    "many": {"steps": 300},
    "few": {"steps": 25},
    "narrow": {"temperature": 0.3, "top_k": 10},
}
CONTROLS = {"replace": "fresh", "few": "fresh_few", "many": "fresh_many", "narrow": "fresh"}
ARMS = ("replace", "fresh", "many", "fresh_many", "narrow", "few", "fresh_few")


def loss(arm: str, seed: int, generation: int) -> float:
    own = arm.removeprefix("fresh_")
    noise = np.random.default_rng([seed, generation, *arm.encode()]).normal()
    level = 1.3 + 0.02 * seed + (SHIFT.get(own, 0.0) if generation else 0.0)
    return level + COST.get(arm, 0.0) * generation / LAST + 0.004 * float(noise)


def study(**changed: Any) -> StudyRecord:
    rows = [
        (arm, seed, generation, METRIC, loss(arm, seed, generation))
        for arm in ARMS
        for seed in SEEDS
        for generation in range(LAST + 1)
    ]
    given: dict[str, Any] = {
        "arms": ARMS,
        "measurements": pd.DataFrame(
            rows, columns=["arm", "seed", "generation", "metric", "value"]
        ),
        "kinds": {arm: "fresh" if arm.startswith("fresh") else "replace" for arm in ARMS},
        "changes": CHANGES | {f"fresh_{arm}": CHANGES[arm] for arm in ("few", "many")},
        "controls": CONTROLS,
        "claims": (),
        "settings": {"steps": 100, "temperature": 1.0, "top_k": 0, "commands": "make run"},
    }
    return replace(made_up_study(seeds=SEEDS, generations=LAST), **given | changed)


def found_in(record: StudyRecord) -> AblationFindings:
    found = ablation_findings(record)
    assert found is not None
    return found


def test_a_cost_is_beyond_the_control_that_was_trained_alike() -> None:
    found = found_in(study())

    assert found.reference.arm == "replace"
    assert [one.arm for one in found.ablations] == ["few", "many", "narrow"]
    for one in (found.reference, *found.ablations):
        assert one.cost.mean == pytest.approx(COST[one.arm], abs=0.006)
        assert one.control == CONTROLS[one.arm]
    for one in found.ablations:
        assert one.change.mean == pytest.approx(COST[one.arm] - COST["replace"], abs=0.008)


def test_intervals_and_p_are_those_of_others() -> None:
    one = found_in(study(controls={"replace": "fresh", "many": "fresh_many"})).ablations[0]

    interval = stats.ttest_1samp(one.change_N, 0.0).confidence_interval(0.95)
    exact = stats.permutation_test(
        (one.change_N, np.zeros_like(one.change_N)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert one.change.interval == pytest.approx((interval.low, interval.high))
    assert one.p_corrected == pytest.approx(exact.pvalue)
    assert one.p_corrected == pytest.approx(sign_flip_p(one.change_N))


def test_a_change_that_shows_is_told_from_one_that_does_not() -> None:
    found = found_in(study())

    said = {one.arm: words.status(one) for one in found.ablations}
    assert said["few"] == "costs less"
    assert said["many"] == "costs more"
    assert all(one.p_corrected == pytest.approx(2 / 2**6) for one in found.ablations[:2])
    p = {one.arm: (one.change.p, one.p_corrected) for one in found.ablations}
    assert all(corrected >= own for own, corrected in p.values() if own and corrected)


def test_without_an_effect_nothing_is_told() -> None:
    record = study()
    rows = record.measurements
    flat = rows.assign(value=1.3 + 0.01 * np.random.default_rng(3).normal(size=len(rows)))
    found = found_in(study(measurements=flat))

    assert {words.status(one) for one in found.ablations} == {"not told"}
    assert "none of 3 changes is told from none" in words.title(found)


def test_the_title_tells_the_cost_and_what_moves_it() -> None:
    title = words.title(found_in(study()))

    assert re.fullmatch(
        r"Recursion costs (0\.19|0\.20)\d nats a token, 0\.0[45]\d at steps 25 and "
        r"0\.(49|50)\d at steps 300",
        title,
    )


def test_what_cannot_be_judged_is_named_with_the_reason() -> None:
    changed = study(
        controls={arm: own for arm, own in CONTROLS.items() if arm != "few"},
        changes=CHANGES | {"narrow": {"temperature": 0.3, "vocabulary_size": 99}},
    )
    found = found_in(changed)

    assert [one.arm for one in found.ablations] == ["many"]
    assert "human text" in found.left_out["few"]
    assert "tokens" in found.left_out["narrow"]
    assert any("narrow" in caution and "few" in caution for caution in words.cautions(found))


def test_arms_that_read_something_else_are_not_held_to_the_reference() -> None:
    found = found_in(study(kinds=dict(study().kinds) | {"few": "mixed"}))

    assert "few" in found.left_out
    assert "few" not in {one.arm for one in found.ablations}


def test_an_arm_that_was_never_measured_is_left_out() -> None:
    record = study()
    rows = record.measurements[record.measurements["arm"] != "few"]

    assert found_in(study(measurements=rows)).left_out["few"] == "not measured"


def test_seeds_that_lack_a_chain_are_left_out_of_its_change_alone() -> None:
    rows = study().measurements
    gone = (rows["arm"] == "replace") & (rows["seed"] == 2)
    found = found_in(study(measurements=rows[~gone]))

    assert found.ablations[0].cost.n_seeds == 6
    assert found.ablations[0].change.n_seeds == 5
    assert "no change could hold" in " ".join(words.cautions(found))


@pytest.mark.parametrize("changed", [{"changes": {}}, {"controls": {}}, {"generations": 0}])
def test_a_study_that_changes_nothing_has_no_such_section(changed: dict[str, Any]) -> None:
    assert ablation_findings(study(**changed)) is None
    assert "ablations" not in sections(study(**changed))


def test_curves_are_drawn_of_numbers_alone_with_the_studys_own_among_them() -> None:
    curves = numbers_by_setting(found_in(study()))

    assert list(curves) == ["steps"]
    assert [(value, one.arm) for value, one in curves["steps"]] == [
        (25.0, "few"),
        (100.0, "replace"),
        (300.0, "many"),
    ]
    assert [plate.name for plate in ablation_plates(found_in(study()))] == [
        "ablations",
        "ablation_curves",
    ]


def test_the_forest_has_the_changes_as_numbers() -> None:
    found = found_in(study())
    forest = ablation_plates(found)[0].figure
    beside = [axes for child in forest.axes for axes in child.child_axes]

    told = [text.get_text().replace(MINUS, "-") for text in beside[0].get_yticklabels()]
    assert [float(one) for one in told] == pytest.approx(
        [one.change.mean for one in found.ablations], abs=0.0006
    )


def test_settings_are_written_as_they_are_read() -> None:
    usual = {"documents": 3000, "top_k": 0, "causal": True, "freeze": ""}

    assert changes_in_words({"documents": 15000}, usual) == "documents 15,000 (instead of 3,000)"
    assert changes_in_words({"temperature": 0.3}, usual) == "temperature 0.3"
    assert changes_in_words({"freeze": "k"}, usual) == "freeze k (instead of none)"
    assert changes_in_words({"causal": False}, usual) == "causal false (instead of true)"


def test_the_report_has_the_section_and_its_table() -> None:
    record = study()
    section = sections(record)["ablations"]
    page = (
        environment()
        .get_template("ablations/section.html.j2")
        .render(part=section.told(), figures=[], record=record)
    )

    assert "steps 25 (instead of 100)" in page
    assert "temperature 0.3, top_k 10 (instead of 1, 0)" in page
    assert page.count("<tr><td") == 4
    lines = " ".join(ablation_lines(found_in(record)))
    assert "less than with nothing changed" in lines
    assert "fresh_few" in lines
    assert ablation_section(found_in(record))["reference"] == "replace"
    table = ablations_table(found_in(record)).set_index("arm")
    assert list(table.index) == ["replace", "few", "many", "narrow"]
    assert table.loc["many", "cost_nats"] == pytest.approx(COST["many"], abs=0.006)
    assert table.loc["few", "changes"] == "steps=25"
