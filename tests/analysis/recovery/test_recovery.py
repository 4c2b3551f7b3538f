"""What a study says of chains that go back to human text, from planted losses."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.recovery import words
from analysis.recovery.figures import courses, recovery_plates
from analysis.recovery.findings import (
    RecoveryFindings,
    ratio_interval,
    recoveries_table,
    recovery_findings,
)
from analysis.recovery.section import recovery_lines, recovery_section
from analysis.report.page import environment
from analysis.report.sections import sections
from analysis.statistics import t_interval
from analysis.study import StudyRecord, metric_values
from collapse.parameters.study import load_study
from collapse.stages.plan import plan_study
from entrypoints.record import returns
from tests.analysis.made_up_study import made_up_study
from tests.analysis.report.test_report import read

SEEDS, LAST, STEP = tuple(range(6)), 6, 0.02
LEFT = {"back_2": 0.1, "back_4": 0.9}
"""What is left of the loss at the switch, at the last generation."""
SWITCH = {"back_2": 2, "back_4": 4}


def loss(arm: str, generation: int) -> float:
    """Nats a token above the control: a step each generation on its own text."""
    if arm == "fresh":
        return 0.0
    last_own = SWITCH.get(arm, LAST + 1) - 1
    if generation <= last_own:
        return STEP * generation
    done = (generation - last_own) / (LAST - last_own)
    return STEP * last_own * (1 + done * (LEFT[arm] - 1))


def noise(arm: str, seed: int, generation: int, metric: str) -> float:
    """The same for chains that are the same until a switch."""
    twin = "replace" if generation < SWITCH.get(arm, 0) else arm
    key = [seed, generation, len(metric), *twin.encode()]
    return 0.001 * float(np.random.default_rng(key).normal())


def study(**changes: Any) -> StudyRecord:
    arms = ("replace", "fresh", "back_2", "back_4")
    rows = [
        (arm, seed, generation, metric, level + sign * loss(arm, generation) + error)
        for arm in arms
        for seed in SEEDS
        for generation in range(LAST + 1)
        for metric, level, sign in (
            ("human/nll_nats", 0.3, 1),
            ("truth/valid_fraction", 0.8, -3),
        )
        for error in [noise(arm, seed, generation, metric)]
    ]
    columns = ["arm", "seed", "generation", "metric", "value"]
    given: dict[str, Any] = {
        "arms": arms,
        "measurements": pd.DataFrame(rows, columns=columns),
        "returns": dict(SWITCH),
    }
    return replace(made_up_study(seeds=SEEDS, generations=LAST), **given | changes)


def found_in(record: StudyRecord) -> RecoveryFindings:
    found = recovery_findings(record)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def found() -> RecoveryFindings:
    return found_in(study())


def test_planted_shares_are_found(found: RecoveryFindings) -> None:
    assert found.metrics == ("human/nll_nats", "truth/valid_fraction")
    for one in found.recoveries:
        assert one.share_left is not None
        share, (low, high) = one.share_left
        assert share == pytest.approx(LEFT[one.arm], abs=0.08)
        assert low < share < high
        assert one.status == {"back_2": "heals", "back_4": "stays"}[one.arm]
        assert one.lost.mean == pytest.approx(
            STEP * (one.switch - 1) * (3 if "valid" in one.metric else 1), abs=0.003
        )


def test_the_chain_that_went_on_is_named(found: RecoveryFindings) -> None:
    assert {one.gone_on for one in found.recoveries} == {"replace"}
    assert found.arms == ("replace", "back_2", "back_4")
    one = found.of("human/nll_nats")[0]
    assert one.gone_on_N.mean() == pytest.approx(STEP * LAST, abs=0.003)


def test_a_study_file_says_which_arms_go_back() -> None:
    plan = plan_study(load_study("validation"), {"study": "validation"})
    assert returns(plan.chains) == {"back_2": 2, "back_4": 4}


def test_an_arm_that_differed_before_the_switch_is_not_its_twin() -> None:
    record = study()
    rows = record.measurements.copy()
    other = (rows["arm"] == "replace") & (rows["generation"] == 1) & (rows["seed"] == 3)
    rows.loc[other, "value"] += 1e-6
    assert {one.gone_on for one in found_in(study(measurements=rows)).recoveries} == {None}


def test_the_threshold_lies_between_what_heals_and_what_stays(found: RecoveryFindings) -> None:
    told = " ".join(words.sentences(found))
    assert "Loss on human text: the threshold of no return lies between generation 1" in told
    assert "and 3, which does not" in told
    assert re.search(r"back_2 − fresh: −[56]\.\d points", told)  # with the metric's own sign


def test_without_a_loss_there_is_nothing_to_heal() -> None:
    record = study()
    rows = record.measurements.copy()
    rows["value"] = 0.3 + np.random.default_rng(5).normal(size=len(rows)) * 0.001
    found = found_in(study(measurements=rows))
    assert {one.status for one in found.recoveries} <= {"not told", "undecided"}
    lost = [one for one in found.recoveries if one.status == "not told"]
    assert lost
    alone = RecoveryFindings(record, (lost[0],))
    assert "more than half" not in words.sentences(alone)[0]
    assert words.title(alone).endswith("before chains went back to human text cannot be told")


def test_a_gain_is_no_loss() -> None:
    rows = study().measurements.copy()
    back = (rows["arm"] == "back_2") & (rows["metric"] == "human/nll_nats")
    rows.loc[back & (rows["generation"] == 1), "value"] -= 0.2
    one = found_in(study(measurements=rows)).of("human/nll_nats")[0]
    assert one.status == "nothing lost"
    alone = RecoveryFindings(study(), (one,))
    assert words.sentences(alone)[0].endswith(": nothing was lost by then.")
    assert words.title(alone) == "Nothing was lost before chains went back to human text"


def test_one_seed_cannot_tell_a_loss() -> None:
    rows = study().measurements
    found = found_in(study(measurements=rows[rows["seed"] == 0], seeds=(0,)))
    assert {one.status for one in found.recoveries} == {"not told"}
    said = words.sentences(found)[0]
    assert said.endswith(": whether anything was lost by then cannot be told.")
    assert words.title(found).startswith("Whether anything was lost")


def staying(arm: str) -> pd.DataFrame:
    """The measurements of a study in which this arm's loss stays whole."""
    rows = study().measurements.copy()
    end = (rows["arm"] == arm) & (rows["generation"] == LAST) & (rows["metric"] == "human/nll_nats")
    rows.loc[end, "value"] = 0.3 + STEP * (SWITCH[arm] - 1) + 0.0001 * rows.loc[end, "seed"]
    return rows


def test_the_earliest_tried_is_said_of_the_earliest_alone() -> None:
    """Five seeds of the earlier switch cannot decide."""
    found = found_in(study(measurements=staying("back_2")))
    told = [one for one in words.sentences(found) if "the loss stays" in one]
    assert told == ["Loss on human text: the loss stays from generation 1 on, the earliest tried."]
    later = found_in(study(arm_seeds={"back_2": 5}))
    told = [one for one in words.sentences(later) if "the loss stays from" in one]
    assert told[0] == (
        "Loss on human text: the loss stays from generation 3 on; of earlier ones it cannot be "
        "told."
    )


def test_five_seeds_cannot_decide() -> None:
    record = study(arm_seeds={"back_2": 5, "back_4": 5})
    assert {one.status for one in found_in(record).recoveries} == {"undecided"}


def test_seeds_that_lack_an_end_are_left_out() -> None:
    rows = study().measurements
    gone = (rows["arm"] == "back_2") & (rows["seed"] == 2) & (rows["generation"] == LAST)
    found = found_in(study(measurements=rows[~gone]))
    by_arm = {one.arm: one.seeds for one in found.of("human/nll_nats")}
    assert by_arm == {"back_2": (0, 1, 3, 4, 5), "back_4": SEEDS}


@pytest.mark.parametrize("changes", [{"returns": {}}, {"control_arm": "none"}])
def test_a_study_that_asks_nothing_has_no_section(changes: dict[str, Any]) -> None:
    record = replace(study(), **changes)
    assert recovery_findings(record) is None
    assert "recovery" not in sections(record)


def test_the_ratio_holds_what_t_does_not_rule_out() -> None:
    rng = np.random.default_rng(3)
    below_N = 1.0 + 0.2 * rng.normal(size=6)
    above_N = 0.3 * below_N + 0.05 * rng.normal(size=6)
    ends = ratio_interval(above_N, below_N)
    assert ends is not None
    for end in ends:
        low, high = t_interval(above_N - end * below_N) or (np.nan, np.nan)
        assert min(abs(low), abs(high)) < 1e-12
    inside = t_interval(above_N - np.mean(ends) * below_N)
    assert inside is not None
    assert inside[0] < 0 < inside[1]


def test_the_interval_of_a_ratio_covers() -> None:
    rng = np.random.default_rng(11)
    n_studies, covered, told = 4000, 0, 0
    for _ in range(n_studies):
        below_N = 1.0 + 0.3 * rng.normal(size=6)
        above_N = 0.4 + 0.6 * (below_N - 1.0) + 0.2 * rng.normal(size=6)
        ends = ratio_interval(above_N, below_N)
        if ends is not None:
            told += 1
            covered += ends[0] <= 0.4 <= ends[1]
    assert told > 0.99 * n_studies
    assert 0.94 < covered / told < 0.96


def test_no_ratio_without_a_denominator() -> None:
    assert ratio_interval([1.0], [2.0]) is None
    assert ratio_interval([1.0, 1.1, 0.9], [0.5, -0.4, 0.1]) is None


def test_what_the_page_and_the_files_say(found: RecoveryFindings) -> None:
    template = environment().get_template("recovery/section.html.j2")
    text = read(template.render(part=recovery_section(found), figures=[])).text
    assert "Going back to human text" in text
    assert "heals" in text
    assert "stays" in text
    assert any("more than half of it is undone" in line for line in recovery_lines(found))
    table = recoveries_table(found.recoveries).set_index(["metric", "arm"])
    assert table.loc[("human/nll_nats", "back_4"), "share_left"] == pytest.approx(0.9, abs=0.1)
    assert table.loc[("human/nll_nats", "back_2"), "generations_after"] == 5


def test_the_figure_shows_means_and_intervals(found: RecoveryFindings) -> None:
    table = courses(found).set_index(["metric", "arm", "generation"])
    row = table.loc[("human/nll_nats", "replace", LAST)]
    assert row["lower"] < STEP * LAST < row["upper"]
    (plate,) = recovery_plates(found)
    assert "95 % t-intervals" in plate.caption
    shares = [one.share_left for one in found.of("human/nll_nats")]
    first, second = (f"{100 * share[0]:.0f} %" for share in shares if share)
    assert f"{first} of what was lost by generation 1 and {second} of that by" in plate.title
    assert len(plate.figure.axes) == 2


def test_a_point_of_two_seeds_makes_every_band_one_of_least_and_greatest() -> None:
    rows = study().measurements
    thin = (rows["arm"] == "back_4") & (rows["generation"] == LAST) & (rows["seed"] > 1)
    found = found_in(study(measurements=rows[~thin]))
    (plate,) = recovery_plates(found)
    assert "bands are the least and the greatest seed" in plate.caption
    point = courses(found).set_index(["metric", "arm", "generation"])
    point = point.loc[("human/nll_nats", "replace", 2)]
    arm, control = (
        metric_values(found.record, "human/nll_nats")[a, :, 2] for a in ("replace", "fresh")
    )
    differences = arm - control
    assert point["n_seeds"] == len(SEEDS)
    assert (point["lower"], point["upper"]) == pytest.approx((differences.min(), differences.max()))
