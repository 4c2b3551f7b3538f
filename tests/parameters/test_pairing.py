"""Which arm is whose control, from study files."""

import pytest

from collapse.parameters.doors import RecurseStep
from collapse.parameters.pairing import changed_arms, changes, own_controls
from collapse.parameters.parse import build
from collapse.parameters.study import load_study
from collapse.stages.plan import plan_study


def recipes(arms: dict[str, dict[str, object]]) -> dict[str, RecurseStep]:
    return {arm: build(RecurseStep, {}, own, {}) for arm, own in arms.items()}


def test_what_an_arm_reads_is_no_change_of_its_settings() -> None:
    arms = recipes({"fresh": {"kind": "fresh"}, "half": {"kind": "mixed", "human_half": "static"}})

    assert changes(arms["half"], arms["fresh"]) == {}


@pytest.mark.parametrize(
    "how", [{"temperature": 0.3, "top_k": 10}, {"keep_texts": "distinct"}, {"decodings": "1/0/1"}]
)
def test_a_control_feels_nothing_of_how_an_arm_writes(how: dict[str, object]) -> None:
    arms = recipes({"fresh": {"kind": "fresh"}, "arm": how})

    assert own_controls(arms, "fresh") == {"arm": "fresh"}
    assert changes(arms["arm"], arms["fresh"]) == how


@pytest.mark.parametrize(
    "how",
    [{"steps": 7}, {"documents": 7}, {"weight_decay": 0.1}, {"schedule": "cosine"}],
)
def test_an_arm_that_is_trained_otherwise_has_the_control_that_is_too(
    how: dict[str, object],
) -> None:
    arms = recipes({"arm": how, "fresh": {"kind": "fresh"}, "twin": {"kind": "fresh", **how}})

    assert own_controls(arms, "fresh") == {"arm": "twin"}


def test_without_a_twin_it_has_none_and_without_a_control_nothing_has() -> None:
    arms = recipes({"arm": {"steps": 7}, "fresh": {"kind": "fresh"}})

    assert own_controls(arms, "fresh") == {}
    assert own_controls(arms, "other") == {}
    assert changed_arms(arms, "other") == {}


def test_the_studys_control_goes_before_others_that_would_do() -> None:
    arms = recipes({"again": {"kind": "fresh"}, "fresh": {"kind": "fresh"}, "arm": {}})

    assert own_controls(arms, "fresh") == {"arm": "fresh"}


@pytest.mark.parametrize("name", ["ablations", "interventions"])
@pytest.mark.parametrize("scale", ["full", "cpu"])
def test_every_changed_arm_of_the_studies_has_a_control(name: str, scale: str) -> None:
    study = load_study(name, scale)
    plan = plan_study(study, {"study": name, "scale": scale})
    of_arm = {chain.arm: chain.recipe for chain in plan.chains}
    found = own_controls(of_arm, study.control)

    assert set(found) == {arm for arm, recipe in of_arm.items() if recipe.kind == "replace"}
    for claim in study.claims:
        if len(claim.contrast) == 4:
            pairs = claim.contrast[:2], claim.contrast[2:]
            assert all(found[arm] == control for arm, control in pairs)


def test_arms_that_differ_in_what_they_read_alone_have_no_changes() -> None:
    study = load_study("validation", "cpu")
    plan = plan_study(study, {"study": "validation", "scale": "cpu"})
    of_arm = {chain.arm: chain.recipe for chain in plan.chains}

    assert changed_arms(of_arm, study.control) == {}
    assert set(own_controls(of_arm, study.control)) == set(of_arm) - {"fresh"}
