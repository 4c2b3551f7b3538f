"""Known answers: planted leads are found, absent ones are not, and what cannot be judged is not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.early_warning import verdict
from analysis.early_warning.calibration import Calibration, calibrate
from analysis.early_warning.exceedance import chain_scores, outside_all, seed_scores
from analysis.early_warning.indicators import INDICATORS, PRIMARY, RIVALS, indicator_of
from analysis.early_warning.threshold import allowed_alarms, threshold_at
from analysis.early_warning.verdict import LeadVerdict, judge_lead, lead_in_words
from analysis.events import EVENT_RULES, event_rule
from analysis.study import StudyRecord
from collapse.errors import BadParameter
from tests.analysis.made_up_chains import (
    DISTINCT,
    NLL,
    RATIO,
    SEEDS,
    VALID,
    WITH_LEAD_2,
    Course,
    chains,
    lead_claim,
    without,
)
from tests.analysis.made_up_study import made_up_study


@pytest.fixture(scope="module")
def study() -> StudyRecord:
    return chains()


def with_event_at(generation: int) -> dict[str, Course]:
    return {**WITH_LEAD_2, NLL: Course(1.3, 0.002, generation, 0.1)}


def why(verdict: LeadVerdict) -> str:
    return " ".join(verdict.reasons)


def test_a_planted_lead_of_two_is_found(study: StudyRecord) -> None:
    verdict = judge_lead(lead_claim(), study)
    assert (verdict.status, verdict.estimate, verdict.interval) == ("supported", 2, (2, 2))
    assert verdict.n_seeds == 12
    assert verdict.threshold is not None
    assert (verdict.threshold.false_alarms, verdict.threshold.n_seeds) == (0, 12)
    assert "+2 generations" in lead_in_words(verdict)
    assert "0 false alarms of 12 control seeds (true rate at most 22 %)" in lead_in_words(verdict)


def test_a_lead_of_two_is_no_lead_of_three(study: StudyRecord) -> None:
    assert judge_lead(lead_claim(margin=3.0), study).status != "supported"
    # A chance exceedance at generation 1 is all that a lead of 3 takes at a lax threshold: only
    # many seeds can tell how few chains have it.
    both = {metric: WITH_LEAD_2[metric] for metric in (NLL, RATIO)}
    verdict = judge_lead(lead_claim(margin=3.0), chains(both, seeds=range(40)))
    assert (verdict.status, verdict.estimate) == ("refuted", 2)
    assert "even at a threshold as low as" in why(verdict)


@pytest.mark.parametrize("indicator", ["human/entropy_nats", "quality/distinct_2"])
def test_what_carries_no_signal_or_a_late_one_is_refuted(
    study: StudyRecord, indicator: str
) -> None:
    verdict = judge_lead(lead_claim(indicator=indicator), study)
    assert verdict.status == "refuted"
    assert verdict.interval is not None
    assert verdict.interval[1] < 2


def test_ties_at_the_lax_threshold_refute_nothing(
    study: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With fewer seeds above it than it should leave, it may be too strict after all."""
    claim = lead_claim(indicator="quality/distinct_2")
    assert "with 95 % certainty at least 10 % of healthy ones" in why(judge_lead(claim, study))

    def tied(*arguments: object) -> Calibration:
        found = calibrate(*arguments)  # type: ignore[arg-type]
        assert found.lax is not None
        return replace(found, lax=replace(found.lax, false_alarms=found.lax.allowed - 1))

    monkeypatch.setattr(verdict, "calibrate", tied)
    found = judge_lead(claim, study)
    assert found.status == "undecided"
    assert "It cannot be refuted: scores of control seeds tie" in why(found)


def test_the_direction_is_the_claims_own(study: StudyRecord) -> None:
    assert judge_lead(lead_claim(direction="increase"), study).status == "refuted"


def test_a_metric_outside_the_catalogue_may_be_claimed_to_warn() -> None:
    record = chains({NLL: WITH_LEAD_2[NLL], "drift/layer_0": Course(0, 0.1, 2, 3.0)})
    claim = lead_claim(indicator="drift/layer_0", direction="increase")
    assert judge_lead(claim, record).status == "supported"


def test_an_alarm_without_an_event_is_a_lead_that_is_still_growing() -> None:
    verdict = judge_lead(lead_claim(), chains({**WITH_LEAD_2, NLL: Course(1.3, 0.002)}))
    # Alarm at 3, no event by 6: at least 4 ahead.
    assert (verdict.status, verdict.estimate, verdict.interval) == ("supported", None, (4, np.inf))
    assert "+4 or more" in lead_in_words(verdict)


def test_neither_alarm_nor_event_says_nothing() -> None:
    verdict = judge_lead(
        lead_claim(), chains({m: replace(c, leaves=None) for m, c in WITH_LEAD_2.items()})
    )
    assert verdict.status == "undecided"
    assert verdict.interval == (-np.inf, np.inf)
    assert "12 chains have neither an alarm nor the event" in why(verdict)


def test_events_at_generation_1_are_unresolved_and_in_no_estimate() -> None:
    verdict = judge_lead(lead_claim(), chains(with_event_at(1)))
    assert (verdict.status, verdict.estimate, verdict.n_seeds) == ("undecided", None, 0)
    assert "too soon to be led" in why(verdict)


def test_events_before_any_alarm_could_lead_them_refute_nothing() -> None:
    verdict = judge_lead(lead_claim(indicator="human/entropy_nats"), chains(with_event_at(2)))
    assert verdict.status == "undecided"
    assert "12 chains had the event before any alarm could lead it by 2" in why(verdict)


def test_no_verdict_hangs_on_chains_that_were_left_out(study: StudyRecord) -> None:
    def with_broken(count: int) -> StudyRecord:
        rows = study.measurements
        broken = (rows["arm"] == "replace") & (rows["seed"] < count) & (rows["generation"] > 0)
        return replace(study, measurements=rows[~broken])

    # The interval of 12 goes from the 3rd to the 10th: two may be anything, three may not.
    assert judge_lead(lead_claim(), with_broken(2)).status == "supported"
    verdict = judge_lead(lead_claim(), with_broken(3))
    assert (verdict.status, verdict.n_seeds, verdict.interval) == ("undecided", 9, (2, 2))
    assert "Seeds 0, 1, 2 left out" in why(verdict)
    assert "Chains that were left out could turn the verdict." in verdict.reasons


def test_five_chains_have_no_interval_whatever_they_show(study: StudyRecord) -> None:
    few = replace(study, arm_seeds={"replace": 5})
    verdict = judge_lead(lead_claim(), few)
    assert (verdict.status, verdict.estimate, verdict.interval) == ("undecided", 2, None)
    assert "5 chains with a lead: an interval of 95 % takes 6" in why(verdict)
    # Thresholds still rest on all twelve control seeds, and seeds 5 to 11 are not missed.
    assert verdict.threshold is not None
    assert verdict.threshold.n_seeds == 12
    assert "left out" not in why(verdict)


def test_few_control_seeds_support_nothing_but_may_refute() -> None:
    few = chains(seeds=range(8))
    verdict = judge_lead(lead_claim(), few)
    assert (verdict.status, verdict.estimate) == ("undecided", 2)
    assert "false alarms is not known well enough" in why(verdict)
    assert judge_lead(lead_claim(indicator="quality/distinct_2"), few).status == "refuted"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arms": ("replace", "fresh")}, "no second arm of human text alone"),
        ({"control_arm": ""}, "no control"),
        ({"kinds": {}}, "its chains are not healthy"),
        ({"seeds": (0, 1, 2)}, "3 whole healthy seeds; a threshold takes 4"),
        ({"generations": 1}, "none can be seen before generation 2"),
    ],
)
def test_what_cannot_be_calibrated_is_undecided(changes: dict[str, object], reason: str) -> None:
    record = chains(**changes)  # type: ignore[arg-type]
    claim = lead_claim() if record.control else lead_claim(contrast=("replace", "nobody"))
    verdict = judge_lead(claim, record)
    assert (verdict.status, verdict.estimate, verdict.threshold) == ("undecided", None, None)
    assert reason in why(verdict)
    assert "No lead" in lead_in_words(verdict)


def test_a_control_that_reads_synthetic_text_calibrates_nothing() -> None:
    record = chains(arms=("replace", "mixed", "fresh", "static"))
    verdict = judge_lead(lead_claim(contrast=("replace", "mixed")), record)
    assert "The control mixed reads more than human text" in why(verdict)


def test_indicators_that_were_not_measured_are_undecided(study: StudyRecord) -> None:
    verdict = judge_lead(lead_claim(indicator="quality/mauve", direction="decrease"), study)
    assert "was not measured on fresh and a second healthy arm" in why(verdict)
    lost = replace(study, measurements=without(study, arm="replace", metric=RATIO))
    assert "was not measured on replace" in why(judge_lead(lead_claim(), lost))
    lost = replace(study, measurements=without(study, metric=NLL))
    assert "which makes the event, was not measured" in why(judge_lead(lead_claim(), lost))


def test_numbers_that_are_not_finite_are_missing(study: StudyRecord) -> None:
    rows = study.measurements.copy()
    bad = (rows["metric"] == RATIO) & (rows["arm"] == "replace") & (rows["seed"] < 2)
    rows.loc[bad, "value"] = [np.nan, np.inf] * (int(bad.sum()) // 2)
    verdict = judge_lead(lead_claim(), replace(study, measurements=rows))
    assert verdict.n_seeds == 10
    assert "Seeds 0, 1 left out" in why(verdict)


def test_looks_at_every_other_generation_raise_no_alarms(study: StudyRecord) -> None:
    rows = study.measurements
    looks = (rows["metric"] != RATIO) | (rows["generation"] % 2 == 0)
    verdict = judge_lead(lead_claim(), replace(study, measurements=rows[looks]))
    assert "at no two generations in a row" in why(verdict)


def test_healthy_pairs_without_a_spread_judge_nobody(study: StudyRecord) -> None:
    rows = study.measurements.copy()
    still = (rows["metric"] == RATIO) & rows["arm"].isin(["fresh", "static"])
    rows.loc[still, "value"] = 100.0
    verdict = judge_lead(lead_claim(), replace(study, measurements=rows))
    assert "differs equally between the healthy arms" in why(verdict)


def test_control_seeds_with_a_gap_do_not_set_thresholds(study: StudyRecord) -> None:
    rows = without(study, arm="static", seed=4, generation=3)
    verdict = judge_lead(lead_claim(), replace(study, measurements=rows))
    assert verdict.threshold is not None
    assert verdict.threshold.n_seeds == 11
    assert verdict.status == "supported"


@pytest.mark.parametrize(
    ("event", "itself", "others"),
    [
        (NLL, ["human/nll_nats", "human/perplexity", "human/bits_per_byte"], ["own/nll_nats"]),
        (VALID, ["truth/kl_nats_per_token", "truth/tail_coverage"], ["human/nll_nats"]),
        (DISTINCT, ["quality/distinct_2"], ["quality/self_bleu", "human/entropy_nats"]),
    ],
)
def test_a_metric_is_no_competitor_for_an_event_made_of_itself(
    study: StudyRecord, event: str, itself: list[str], others: list[str]
) -> None:
    rule = event_rule(event)
    assert rule is not None
    assert all(rule.is_made_of(metric) for metric in itself)
    assert not any(rule.is_made_of(metric) for metric in others)


def test_perplexity_may_not_lead_the_loss_but_other_events(study: StudyRecord) -> None:
    claim = lead_claim(indicator="human/perplexity", direction="increase")
    assert "cannot warn of itself" in why(judge_lead(claim, study))
    valid = {
        **WITH_LEAD_2,
        VALID: Course(0.7, 0.005, 6, -0.3),
        "human/perplexity": Course(3, 0.01, 2, 1),
    }
    claim = lead_claim(indicator="human/perplexity", direction="increase", event=VALID)
    verdict = judge_lead(claim, chains(valid))
    assert (verdict.status, verdict.estimate) == ("supported", 3)


def test_arms_that_start_differently_are_never_paired(study: StudyRecord) -> None:
    def starting(**starts: str) -> LeadVerdict:
        settings = {"start": "parent"}
        record = replace(study, settings=settings, starts=starts)
        return judge_lead(lead_claim(), record)

    assert starting(replace="parent").status == "supported"
    for arm in ("replace", "static"):
        verdict = starting(**{arm: "fresh"})
        assert verdict.status == "undecided"
        assert f"{arm} from fresh" in why(verdict)


def test_claims_on_what_is_no_event_are_refused(study: StudyRecord) -> None:
    for event in ("quality/mauve", None):
        with pytest.raises(BadParameter, match="claim 'lead'"):
            judge_lead(lead_claim(event=event), study)


def test_the_published_generations_have_no_control() -> None:
    """One chain, six generations, nothing beside it (data/published/recursion_102m)."""
    ratios = [3.77, 3.48, 3.12, 2.10, 1.78, 2.16]
    rows = [("replace", 0, g, RATIO, ratio) for g, ratio in enumerate(ratios)]
    columns = ["arm", "seed", "generation", "metric", "value"]
    record = made_up_study(
        *(("replace",), (0,), 5),
        control_arm="",
        kinds={"replace": "replace"},
        measurements=pd.DataFrame(rows, columns=columns),
    )
    verdict = judge_lead(lead_claim(contrast=("replace", "human")), record)
    assert verdict.status == "undecided"
    assert "There is no control" in why(verdict)


def test_chains_made_like_fresh_alarm_as_often_as_was_calibrated() -> None:
    """Placebo: 400 studies of 24 seeds whose replace is a third arm of human text."""
    rng = np.random.default_rng(7)
    alarms = []
    for _ in range(400):
        static, fresh, replace_ = rng.normal(size=(3, 24, 6))
        healthy_AxSxG = (static - fresh)[None]
        threshold = threshold_at(seed_scores(healthy_AxSxG), allowed_alarms(24))
        scores = [
            chain_scores(outside_all(replace_ - fresh, healthy_AxSxG, sign)) for sign in (1, -1)
        ]
        alarms.append((np.maximum(*scores) > threshold.value).mean())
    # Seeds that alarm in either direction: (m + 1) / (n + 1) = 3/25 in the mean.
    assert np.mean(alarms) == pytest.approx(3 / 25, abs=0.02)


def test_a_placebo_study_claims_no_lead() -> None:
    courses = {metric: replace(course, leaves=None) for metric, course in WITH_LEAD_2.items()}
    statuses = [judge_lead(lead_claim(), chains(courses, stream=s)).status for s in range(10)]
    assert statuses == ["undecided"] * 10


def test_the_catalogue_names_each_metric_once_and_knows_the_preset_ones() -> None:
    metrics = [one.metric for one in INDICATORS]
    assert len(metrics) == len(set(metrics))
    assert {PRIMARY, *RIVALS} <= set(metrics)
    assert {rule.metric for rule in EVENT_RULES} <= set(metrics)
    mauve = indicator_of("quality/mauve", "increase")
    assert mauve is not None
    assert (mauve.sign, mauve.family) == (1, "likeness")


def test_several_healthy_arms_all_count(study: StudyRecord) -> None:
    three = chains(arms=("replace", "fresh", "static"))
    (indicator,) = (one for one in INDICATORS if one.metric == RATIO)
    calibration = calibrate(three, indicator, "fresh")
    assert calibration.healthy_arms == ("static",)
    assert np.isfinite(calibration.scores_S).sum() == len(SEEDS)
    # Seen from static, fresh is the healthy arm: the same pairs, the other way round.
    other = calibrate(three, indicator, "static")
    np.testing.assert_allclose(other.scores_S, calibration.scores_S)
