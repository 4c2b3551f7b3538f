from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.claims.effects import effects_table, judge, own_values, paired_differences
from analysis.claims.verdicts import estimate_in_words
from analysis.study import StudyRecord
from collapse.claims import Claim
from collapse.errors import BadParameter

METRIC = "human/nll_nats"


def record_with(differences: list[float], generations: int = 2) -> StudyRecord:
    """Arm minus control is the given difference at the last generation, one a seed."""
    rows = []
    for seed, difference in enumerate(differences):
        for generation in range(generations + 1):
            share = difference if generation == generations else 0.0
            base = 3.0 + 0.5 * seed
            rows += [("tried", seed, generation, METRIC, base + share)]
            rows += [("control", seed, generation, METRIC, base)]
    columns = ["arm", "seed", "generation", "metric", "value"]
    return StudyRecord(
        name="planted",
        question="",
        control_arm="control",
        arms=("tried", "control"),
        seeds=tuple(range(len(differences))),
        generations=generations,
        settings={},
        claims=(),
        claims_hash="",
        measurements=pd.DataFrame(rows, columns=columns),
        samples=pd.DataFrame(),
        runs=pd.DataFrame(),
    )


def claim_of(direction: str, margin: float = 0.05, generation: int | None = None) -> Claim:
    return Claim("c", "", METRIC, direction, margin, ("tried", "control"), "", generation)


SIX = [0.20, 0.22, 0.18, 0.21, 0.19, 0.23]


def test_planted_effect_is_supported_and_its_opposite_refuted() -> None:
    record = record_with(SIX)
    supported = judge(claim_of("increase"), record)
    assert supported.status == "supported"
    assert supported.estimate == pytest.approx(np.mean(SIX))
    assert supported.p == 2 / 64
    assert supported.n_seeds == 6
    refuted = judge(claim_of("decrease"), record)
    assert refuted.status == "refuted"
    assert "short of the margin of −0.050 nats a token" in refuted.reasons[0]
    falling = record_with([-d for d in SIX])
    assert judge(claim_of("decrease"), falling).status == "supported"
    assert judge(claim_of("increase"), falling).status == "refuted"


def test_an_effect_smaller_than_the_margin_is_refuted_not_supported() -> None:
    verdict = judge(claim_of("increase", margin=0.5), record_with(SIX))
    assert verdict.status == "refuted"


def test_no_effect_at_all_refutes_a_claim_with_a_margin() -> None:
    verdict = judge(claim_of("increase"), record_with([0.01, -0.01, 0.002, 0.0, -0.004, 0.006]))
    assert verdict.status == "refuted"


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_too_few_seeds_decide_nothing(n: int) -> None:
    verdict = judge(claim_of("increase"), record_with(SIX[:n]))
    assert verdict.status == "undecided"
    reached = {1: "1", 2: "0.5", 3: "0.25", 5: "0.0625"}[n]
    assert f"{n} seed" in verdict.reasons[0]
    assert f"can reach is {reached}; 6 would reach 0.031" in verdict.reasons[0]
    assert (verdict.interval is None) == (n == 1)


def test_an_interval_across_the_margin_decides_nothing() -> None:
    verdict = judge(claim_of("increase"), record_with([0.06, 0.02, 0.09, 0.01, 0.07, 0.08]))
    assert verdict.status == "undecided"
    assert any("both sides of the margin" in reason for reason in verdict.reasons)


def test_one_seed_short_of_the_margin_keeps_six_from_p_5_percent() -> None:
    # The interval clears the margin, the exact test does not: both are needed.
    verdict = judge(claim_of("increase"), record_with([0.049, 0.2, 0.2, 0.2, 0.2, 0.2]))
    assert verdict.interval is not None
    assert verdict.interval[0] > 0.05
    assert verdict.p == pytest.approx(4 / 64)
    assert verdict.status == "undecided"


def test_missing_chains_are_named_and_not_counted() -> None:
    whole = record_with([*SIX, 0.2])
    rows = whole.measurements
    gone = (rows["arm"] == "tried") & (rows["seed"] == 3) & (rows["generation"] == 2)
    infinite = (rows["arm"] == "control") & (rows["seed"] == 5) & (rows["generation"] == 2)
    rows = rows[~gone].assign(value=rows["value"].mask(infinite, np.inf))
    record = replace(whole, measurements=rows)
    pairs = paired_differences(record, METRIC, "tried", "control", 2)
    assert pairs.left_out == (3, 5)
    np.testing.assert_allclose(pairs.differences, [0.20, 0.22, 0.18, 0.19, 0.2])
    reasons = judge(claim_of("increase"), record).reasons
    assert any("Seed 3, 5 left out" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("generation", "words"), [(0, "shared by all arms"), (7, "ends at generation 2")]
)
def test_generations_without_a_contrast(generation: int, words: str) -> None:
    verdict = judge(claim_of("increase", generation=generation), record_with(SIX))
    assert verdict.status == "undecided"
    assert words in verdict.reasons[0]


def test_arms_of_a_study_without_recursion_are_compared_at_their_only_training() -> None:
    whole = record_with(SIX)
    rows = whole.measurements
    only = rows[rows["generation"] == 2].assign(generation=0)
    record = replace(whole, measurements=only, generations=0)
    verdict = judge(claim_of("increase"), record)
    assert (verdict.status, verdict.generation) == ("supported", 0)
    assert len(effects_table(record, (METRIC,))) == 1


def test_arms_that_share_their_only_training_have_no_effect() -> None:
    whole = record_with([0.0] * 6)
    rows = whole.measurements
    only = rows[rows["generation"] == 2].assign(generation=0)
    record = replace(whole, measurements=only, generations=0)
    assert effects_table(record, (METRIC,)).empty


def test_a_metric_that_nobody_measured() -> None:
    claim = Claim("c", "", "truth/kl", "increase", 0.1, ("tried", "control"), "")
    verdict = judge(claim, record_with(SIX))
    assert (verdict.status, verdict.estimate, verdict.p) == ("undecided", None, None)


def test_effects_table_has_the_paired_numbers() -> None:
    table = effects_table(record_with(SIX), (METRIC,))
    row = table.iloc[0]
    assert (len(table), row["arm"], row["n_seeds"]) == (1, "tried", 6)
    assert row["mean"] == pytest.approx(np.mean(SIX))
    assert (row["p"], row["least_p"]) == (2 / 64, 2 / 64)


def test_the_difference_of_two_differences_is_taken_seed_by_seed() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for seed in range(6):
        base = rng.normal()
        values = {"a": 0.5, "a0": 0.1, "b": 0.3, "b0": 0.1}
        for arm, value in values.items():
            if (arm, seed) != ("b0", 5):
                noise = 0.001 * rng.normal()
                rows.append((arm, seed, 2, METRIC, base + value + noise))
    record = replace(
        record_with([0.0] * 6),
        arms=("a", "a0", "b", "b0"),
        control_arm="a0",
        measurements=pd.DataFrame(rows, columns=["arm", "seed", "generation", "metric", "value"]),
    )
    claim = Claim("c", "", METRIC, "increase", 0.1, ("a", "a0", "b", "b0"), "")
    verdict = judge(claim, record)
    assert verdict.estimate == pytest.approx(0.2, abs=0.003)
    assert verdict.n_seeds == 5
    assert "Seed 5 left out: no human/nll_nats for all of a and a0 and b and b0" in " ".join(
        verdict.reasons
    )
    assert "(a minus a0) less (b minus b0)" in estimate_in_words(verdict)


def level_claim(direction: str, level: float) -> Claim:
    return Claim("c", "", METRIC, direction, level, ("tried",), "", 2)


def test_a_claim_on_one_arm_is_judged_by_its_own_values() -> None:
    record = record_with(SIX)
    own = own_values(record, METRIC, "tried", 2)
    assert own.seeds == tuple(range(6))
    mean, low, high = own.differences.mean(), own.differences.min(), own.differences.max()
    above = judge(level_claim("increase", low - 0.1), record)
    assert (above.status, above.p) == ("supported", 2 / 64)
    assert above.estimate == pytest.approx(mean)
    assert above.interval[0] < mean < above.interval[1]
    assert judge(level_claim("decrease", low - 0.1), record).status == "refuted"
    assert judge(level_claim("decrease", high + 0.1), record).status == "supported"
    assert judge(level_claim("increase", high + 0.1), record).status == "refuted"
    assert judge(level_claim("increase", mean), record).status == "undecided"


def test_a_claim_on_one_arm_is_told_without_a_minus_and_a_missing_arm_is_named() -> None:
    record = record_with(SIX)
    verdict = judge(level_claim("increase", 0.0), record)
    told = estimate_in_words(verdict)
    assert "tried at generation 2: " in told
    assert "minus" not in told
    assert "beyond the level of 0.000 nats a token" in verdict.reasons[0]
    absent = judge(Claim("c", "", METRIC, "increase", 0.1, ("gone",), "", 2), record)
    assert absent.status == "undecided"
    assert absent.reasons[0] == f"No seed has {METRIC} for gone at generation 2."
    assert estimate_in_words(absent) == "No estimate of gone."


def test_a_contrast_is_of_two_different_arms_or_one() -> None:
    for contrast in ((), ("a", "a"), ("a", "b", "c")):
        with pytest.raises(BadParameter, match="two different arms of the study, or one"):
            Claim("c", "", METRIC, "increase", 0.1, contrast, "", 1)


def similar_claim(margin: float) -> Claim:
    return Claim("s", "", METRIC, "similar", margin, ("tried", "control"), "")


def test_similar_is_supported_within_the_margin_and_refuted_beyond_it() -> None:
    small = [0.01, -0.01, 0.02, 0.0, -0.02, 0.015]
    supported = judge(similar_claim(0.05), record_with(small))
    assert supported.status == "supported"
    assert supported.p == 1 / 64
    assert "within the margin of ±0.050 nats a token" in supported.reasons[0]
    for values in (SIX, [-d for d in SIX]):
        refuted = judge(similar_claim(0.05), record_with(values))
        assert (refuted.status, refuted.p) == ("refuted", 2 / 64)
        assert "outside the margin" in refuted.reasons[0]


def test_similar_is_undecided_across_the_margin_or_with_too_few_seeds() -> None:
    across = judge(similar_claim(0.2), record_with(SIX))
    assert across.status == "undecided"
    assert "across the margin" in across.reasons[0]
    few = judge(similar_claim(0.5), record_with(SIX[:4]))
    assert (few.status, few.p) == ("undecided", 1 / 16)
    assert "equivalence p is 0.0625" in few.reasons[0]
    assert "4 seeds can reach 0.0625 at best" in few.reasons[0]
    beyond = judge(similar_claim(0.01), record_with(SIX[:4]))
    assert beyond.status == "undecided"
    assert "4 seeds: the smallest p" in beyond.reasons[0]
    one = judge(similar_claim(0.5), record_with(SIX[:1]))
    assert one.status == "undecided"
    assert judge(similar_claim(0.5), record_with([])).status == "undecided"


def test_no_difference_with_margin_is_not_refuted_as_similar_by_one_outlier() -> None:
    verdict = judge(similar_claim(0.05), record_with([0.01, 0.0, -0.01, 0.3, 0.0, 0.01]))
    assert verdict.status == "undecided"


def test_a_claim_on_a_lead_is_not_for_effects() -> None:
    lead = Claim("l", "", METRIC, "increase", 2.0, ("tried", "control"), "", event="truth/x")
    with pytest.raises(AssertionError, match="claim l is about a lead"):
        judge(lead, record_with(SIX))


def test_seeds_that_an_arm_was_never_given_are_not_left_out() -> None:
    whole = record_with(SIX)
    record = StudyRecord(**{**vars(whole), "arm_seeds": {"tried": 4}})
    pairs = paired_differences(record, METRIC, "tried", "control", 2)
    assert (pairs.seeds, pairs.left_out) == ((0, 1, 2, 3), ())
    assert own_values(record, METRIC, "tried", 2).left_out == ()
    assert own_values(record, METRIC, "control", 2).seeds == tuple(range(6))
    assert not any("left out" in reason for reason in judge(claim_of("increase"), record).reasons)
