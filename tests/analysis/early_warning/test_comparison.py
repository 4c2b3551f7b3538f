from dataclasses import replace

import numpy as np
import pytest

from analysis.early_warning.calibration import calibrate
from analysis.early_warning.comparison import LeadComparison, compare_leads
from analysis.early_warning.indicators import indicator_of
from analysis.early_warning.leads import ArmLeads, arm_events, arm_leads
from analysis.events import event_rule
from analysis.study import StudyRecord
from tests.analysis.made_up_chains import NLL, RATIO, WITH_LEAD_2, Course, chains, without

ENTROPY, DISTINCT_2, PERPLEXITY = "human/entropy_nats", "quality/distinct_2", "human/perplexity"


def leads(record: StudyRecord, metric: str, event: str = NLL) -> ArmLeads:
    rule, indicator = event_rule(event), indicator_of(metric)
    assert rule is not None
    assert indicator is not None
    return arm_leads(
        record,
        calibrate(record, indicator, "fresh"),
        arm_events(record, rule, "replace", "fresh"),
    )


def compared(record: StudyRecord, *rivals: str, event: str = NLL) -> tuple[LeadComparison, ...]:
    return compare_leads(leads(record, RATIO, event), [leads(record, r, event) for r in rivals])


def test_the_earlier_alarm_is_told_and_by_how_much() -> None:
    # The ratio alarms at 3, distinct_2 at 5: both leave with a step that no noise hides.
    (found,) = compared(chains(), DISTINCT_2)
    assert (found.answer, found.n, found.earlier, found.unknown) == ("earlier", 12, 12, 0)
    assert found.mean == pytest.approx(2, abs=0.2)
    assert found.p == pytest.approx(2 / 2**12)


def test_the_later_alarm_is_told() -> None:
    late = {**WITH_LEAD_2, RATIO: Course(100, 2, 5, -30), DISTINCT_2: Course(0.3, 0.002, 2, -0.1)}
    (found,) = compared(chains(late), DISTINCT_2)
    assert (found.answer, found.later) == ("later", 12)
    assert found.mean is not None
    assert found.mean < -2


def test_equal_alarms_are_as_early() -> None:
    same = {**WITH_LEAD_2, DISTINCT_2: Course(0.3, 0.002, 2, -0.1)}
    (found,) = compared(chains(same, seeds=range(16)), DISTINCT_2)
    assert found.answer == "as early"
    assert found.p_equivalence is not None
    assert found.p_equivalence <= 0.05


def test_an_alarm_that_never_came_is_later_than_one_that_did() -> None:
    (found,) = compared(chains(), ENTROPY)
    assert (found.answer, found.earlier, found.mean, found.p_equivalence) == (
        *("earlier", 12),
        *(None, None),
    )
    # A sign test: twelve of twelve.
    assert found.p == pytest.approx(2 / 2**12)


def test_where_neither_alarms_nothing_is_known() -> None:
    silent = {metric: replace(course, leaves=None) for metric, course in WITH_LEAD_2.items()}
    (found,) = compared(chains(silent), ENTROPY)
    assert (found.answer, found.unknown, found.p) == ("undecided", 12, None)
    assert "the order is hidden" in found.reason


def test_p_is_corrected_for_the_number_of_rivals() -> None:
    first, second = compared(chains(), DISTINCT_2, ENTROPY)
    for found in (first, second):
        assert found.p is not None
        assert found.p_corrected == pytest.approx(2 * found.p)


def test_few_chains_decide_nothing() -> None:
    (found,) = compared(replace(chains(), arm_seeds={"replace": 5}), DISTINCT_2)
    assert (found.n, found.answer) == (5, "undecided")
    assert "0.0625" in found.reason


def test_rivals_that_make_the_event_or_were_not_measured_are_not_compared() -> None:
    record = chains()
    record = replace(record, measurements=without(record, metric=ENTROPY))
    itself, missing, other = compared(record, PERPLEXITY, ENTROPY, DISTINCT_2)
    assert (itself.answer, missing.answer, other.answer) == (
        *("not compared", "not compared"),
        "earlier",
    )
    assert "cannot warn of itself" in itself.reason
    assert "was not measured" in missing.reason
    # Those that were not compared weaken no test.
    assert other.p_corrected == other.p


def test_placebo_pairs_are_told_apart_as_rarely_as_the_test_says() -> None:
    alike = {
        NLL: WITH_LEAD_2[NLL],
        RATIO: Course(100, 4, 2, -4.0),
        DISTINCT_2: Course(0.3, 0.004, 2, -0.004),
    }
    answers = [compared(chains(alike, stream=s), DISTINCT_2)[0].answer for s in range(20)]
    # A wrong answer has a chance of 5 %: more than four of twenty, of 0.3 %.
    assert np.isin(answers, ["earlier", "later"]).sum() <= 4
