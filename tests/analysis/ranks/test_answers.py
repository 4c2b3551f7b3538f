from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.comparisons.answers import answers_table
from analysis.families import max_t_p
from analysis.ranks.caveats import cautions
from analysis.ranks.findings import RankFindings, rank_findings
from analysis.ranks.questions import CONTRASTS, EQUAL_LOSS, EQUAL_TOKENS
from analysis.ranks.surgery import losses_at, mean_losses
from analysis.ranks.tables import RankTables
from analysis.statistics import t_interval
from collapse.claims import Claim
from tests.analysis.made_up_ranks import (
    ARMS,
    EFFECTS,
    NO_EFFECTS,
    made_up_ranks,
    study_of_ranks,
    sudden_share,
    without,
)


def found_in(ranks: RankTables, **changes: Any) -> RankFindings:
    found = rank_findings(study_of_ranks(ranks, **changes))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def planted() -> RankFindings:
    return found_in(made_up_ranks())


def test_numbers_of_an_answer(planted: RankFindings) -> None:
    answer = planted.answer("data")
    values = answer.asked.differences.to_numpy()
    assert answer.n_seeds == 6
    assert answer.mean == pytest.approx(values.mean())
    assert answer.interval == pytest.approx(t_interval(values))
    assert answer.asked.margin == pytest.approx(0.05 * answer.asked.reference)
    (row,) = answers_table([answer]).to_dict("records")
    assert (row["verdict"], row["p"]) == ("higher", 2 / 64)


def test_planted_effects_are_found(planted: RankFindings) -> None:
    expected = {
        "cause": ("lower", -5),
        "gains": ("lower", -5.2),
        "norm": ("similar", 0.2),
        "muon": ("higher", 4),
        "muon_plain": ("higher", 4),
        "data": ("higher", 5),
    }
    for question, (verdict, size) in expected.items():
        found = planted.answer(question)
        assert found.verdict == verdict, question
        assert found.mean == pytest.approx(size, abs=0.5)
    assert {one.verdict for one in planted.falls} == {"lower"}
    assert planted.missing == ()


def test_the_primary_contrast_is_tested_by_itself(planted: RankFindings) -> None:
    primary = [one for one in planted.answers if one.asked.is_primary]
    assert [(one.asked.question, one.asked.at) for one in primary] == [("cause", EQUAL_TOKENS)]
    assert primary[0].p_corrected == primary[0].p
    others = [one for one in planted.answers if not one.asked.is_primary and one.n_seeds]
    joint = np.column_stack([one.asked.differences.to_numpy() for one in others])
    assert [one.p_corrected for one in others] == pytest.approx(max_t_p(joint).tolist())


def test_equal_loss_is_not_equal_tokens(planted: RankFindings) -> None:
    """AdamW learns worse here: where both are as good, Muon has seen less and lost less rank."""
    tokens, loss = planted.answer("muon"), planted.answer("muon", EQUAL_LOSS)
    assert tokens.mean is not None
    assert loss.mean is not None
    assert loss.mean > tokens.mean + 0.5
    assert loss.asked.reference == pytest.approx(tokens.asked.reference)


def test_equal_loss_is_refused_where_none_is_shared() -> None:
    ranks = made_up_ranks()
    far = ranks.losses.copy()
    far.loc[far["arm"] == "qknorm_adamw", "nll_nats"] += 10
    found = found_in(replace(ranks, losses=far))
    answer = found.answer("muon", EQUAL_LOSS)
    assert answer.verdict == "not measured"
    assert "share no loss after the first checkpoint in seeds 0, 1, 2" in answer.reasons[0]
    assert found.answer("muon").verdict == "higher"


def test_no_effect_in_a_whole_study_is_no_finding() -> None:
    found = found_in(made_up_ranks(NO_EFFECTS, noise=2.0))
    compared_arms = {one.question for one in CONTRASTS}
    verdicts = [one.verdict for one in found.answers if one.asked.question in compared_arms]
    assert len(verdicts) == 12
    assert not {"higher", "lower"} & set(verdicts)


def test_a_claims_margin_is_the_margin() -> None:
    claim = Claim(
        *("rank", "QK-norm costs rank.", "svd/K/participation_ratio", "decrease", 7.5),
        ("qknorm_muon", "plain_muon"),
        None,
        "it does not",
    )
    found = found_in(made_up_ranks(), claims=(claim,))
    assert found.is_preset
    assert {one.asked.margin for one in found.falls} == {7.5}
    assert found.answer("cause").verdict == "similar"
    # Loss and place have margins of their own.
    assert found.answer("gain_as_svd").asked.margin == 0.05


def test_seeds_that_an_arm_was_not_given_are_not_missing() -> None:
    ranks = without(made_up_ranks(), "all", "arm in ('simple', 'complex') and seed > 2")
    ranks = without(ranks, "all", "arm == 'simple' and seed == 1")
    found = found_in(ranks, arm_seeds={"simple": 3, "complex": 3})
    assert [(one.arm, one.seed) for one in found.missing] == [("simple", 1)]
    assert any("1 of 36 chains have no rank" in one for one in cautions(found))


def test_missing_chains_are_counted_and_left_out() -> None:
    ranks = without(made_up_ranks(), "all", "arm == 'simple' and seed == 4")
    ranks = without(ranks, "ranks", "arm == 'complex' and seed == 1 and tokens > 5e5")
    found = found_in(ranks)
    assert [(one.arm, one.seed, one.last_tokens) for one in found.missing] == [
        ("simple", 4, None),
        ("complex", 1, 492e3),
    ]
    answer = found.answer("data")
    assert answer.n_seeds == 4
    assert answer.verdict == "undecided"
    assert "4 seeds" in answer.reasons[0]
    assert found.answer("cause").n_seeds == 6


def test_an_absent_arm_leaves_its_questions_open() -> None:
    some = {arm: EFFECTS[arm] for arm in ARMS[:4]}
    found = found_in(made_up_ranks(some), arms=ARMS[:4])
    assert found.answer("data").verdict == "not measured"
    assert found.answer("data").reasons == ("No seed has both complex text and simple text.",)
    assert found.answer("gains").verdict == "not measured"
    assert found.answer("cause").verdict == "lower"


def test_one_seed_decides_nothing() -> None:
    found = found_in(made_up_ranks(seeds=(0,)), seeds=(0,))
    assert {one.verdict for one in (*found.answers, *found.falls)} <= {"undecided", "not measured"}


def test_sudden_and_gradual_of_whole_arms() -> None:
    for share, word in ((None, "gradual"), (sudden_share, "sudden")):
        ranks = made_up_ranks() if share is None else made_up_ranks(share=share)
        change = found_in(ranks).change("qknorm_muon")
        assert change is not None
        assert change.word == word
        assert len(change.alone) == 6
        assert change.loss.word == "gradual"


def test_timing_is_told_beside_the_loss(planted: RankFindings) -> None:
    """Half of K's change is done at 3 doublings, half of the loss's after about one."""
    timing = planted.answer("timing")
    assert timing.verdict == "higher"
    assert timing.mean == pytest.approx(1.8, abs=0.5)
    flat = found_in(made_up_ranks(dict.fromkeys(ARMS, 28.0)))
    assert flat.answer("timing").verdict == "not measured"
    assert {one.verdict for one in flat.falls} == {"similar"}


def test_a_gauge_free_companion_may_disagree() -> None:
    from analysis.ranks.caveats import cautions

    planted, turned = found_in(made_up_ranks()), found_in(made_up_ranks(gauge_free=-1.0))
    assert not any("not borne out" in caution for caution in cautions(planted))
    told = [caution for caution in cautions(turned) if "not borne out" in caution]
    assert any(
        "cost rank (Muon)? K says lower" in o and "scores_centred (95 % +" in o for o in told
    )
    assert any(
        "is lower after training under QK-norm, Muon; no norm, Muon" in one
        and one.endswith("by K_centred or scores_centred or W_qk.")
        for one in told
    )


def surgery_rows(arm: str, seed: int, *rows: tuple[str, str, int, float, float]) -> pd.DataFrame:
    columns = ["strategy", "basis", "draw", "percent", "nll_nats"]
    return pd.DataFrame(rows, columns=columns).assign(arm=arm, seed=seed, generation=0)


def test_losses_of_surgery_by_hand() -> None:
    rows = surgery_rows(
        "a",
        0,
        *[("svd", "", 0, 0.0, 2.0), ("svd", "", 0, 40.0, 2.0), ("svd", "", 0, 60.0, 3.0)],
        *[("random", "coordinate", 0, 0.0, 2.0), ("random", "coordinate", 0, 60.0, 8.0)],
        *[("random", "coordinate", 1, 0.0, 2.0), ("random", "coordinate", 1, 60.0, 4.0)],
        *[("random", "rotated", 0, 0.0, 2.0), ("random", "rotated", 0, 60.0, 5.0)],
        *[("gamma", "", 0, 0.0, 2.0), ("gamma", "", 0, 40.0, 3.0)],
    )
    at = losses_at(RankTables(surgery=rows), "a").loc[0]
    # Between 40 and 60 %; the mean of two draws is 6 at 60 %, the other basis is better.
    assert at["svd"] == pytest.approx(2.5)
    assert at["random"] == pytest.approx(2 + 3 * 50 / 60)
    assert np.isnan(at["gamma"])
    assert losses_at(RankTables(surgery=rows.assign(basis=rows["basis"].replace("", None))), "a")[
        "svd"
    ].tolist() == pytest.approx([2.5])
    mean = mean_losses(RankTables(surgery=rows), "a", 60.0).loc[0]
    assert mean["svd"] == pytest.approx((40 * 2 + 20 * 2.5) / 60)
    assert losses_at(RankTables(), "a").empty


def test_gain_as_a_proxy(planted: RankFindings) -> None:
    assert planted.answer("gain_as_svd").verdict == "similar"
    assert planted.answer("random_to_gain").verdict == "higher"
    assert planted.answer("random_to_svd").verdict == "higher"
    assert {one.verdict for one in planted.areas} == {"similar", "higher"}
    assert planted.gains is not None
    assert planted.gains.with_rms > 0.8
    assert planted.gains.unit_interval is not None
    assert planted.gains.unit_interval[0] < 0 < planted.gains.unit_interval[1]


def test_without_surgery_and_gains_the_rest_is_answered() -> None:
    bare = replace(made_up_ranks(), surgery=pd.DataFrame(), gains=pd.DataFrame())
    found = found_in(bare)
    assert found.answer("gain_as_svd").verdict == "not measured"
    assert found.gains is None
    assert found.answer("cause").verdict == "lower"


def test_gains_are_related_within_layers_only() -> None:
    """Layers that differ in size make a relation that is in no layer."""
    from analysis.ranks.gains import gain_relation

    drawn = np.random.default_rng(0)
    rows = [
        (
            layer,
            0,
            i,
            size + drawn.uniform(),
            size + drawn.uniform(),
            np.nan if i == 0 else size + i,
        )
        for layer, size in ((0, 1.0), (1, 100.0))
        for i in range(200)
    ]
    columns = ["layer", "head", "coordinate", "gain", "key_rms", "unit_rms"]
    table = pd.DataFrame(rows, columns=columns).assign(arm="a", seed=0, generation=0)
    found = gain_relation(RankTables(gains=table), "a")
    assert found is not None
    assert abs(found.with_rms) < 0.2
    assert found.rms_interval is None
    assert gain_relation(RankTables(gains=table.assign(gain=1.0)), "a") is None


def test_studies_of_other_kinds_have_no_findings() -> None:
    assert rank_findings(study_of_ranks(RankTables())) is None
    ranks = made_up_ranks({"replace": 20.0})
    one_look = without(ranks, "ranks", "tokens > 0")
    assert rank_findings(study_of_ranks(one_look, arms=("replace",))) is None
    found = found_in(ranks, arms=("replace",))
    assert [one.verdict for one in found.falls] == ["lower"]
    assert {one.verdict for one in found.answers} == {"not measured"}
