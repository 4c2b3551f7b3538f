import numpy as np
import pandas as pd
import pytest

from analysis.claims.effects import paired_differences
from analysis.families import holm, least_family_p, max_t_p
from analysis.inference.family import contrasts, contrasts_table, equivalences, primary_claim
from analysis.inference.findings import inference_findings
from analysis.inference.words import sentences
from analysis.statistics import equivalence_p, hedges_g, sign_flip_p
from tests.analysis.made_up_inference import LINKED, METRIC, UNLINKED, claim, study

ARMS = {"up": 0.5, "slight": 0.1, "flat": 0.0, "base": 0.0}
METRICS = (METRIC, LINKED, UNLINKED)


def test_primary_contrast_comes_first_and_weakens_nobody() -> None:
    record = study(ARMS)
    found = contrasts(record, METRICS)
    primary, rest = found[0], found[1:]
    assert (primary.is_primary, primary.metric, primary.arm) == (True, METRIC, "up")
    assert primary.p_corrected == primary.found.p == 2 / 64
    # Every other arm in every metric, once, and corrected together.
    assert len(rest) == len(METRICS) * 3 - 1
    assert not any(one.is_primary for one in rest)
    joint = np.column_stack([one.pairs.differences for one in rest])
    assert [one.p_corrected for one in rest] == pytest.approx(max_t_p(joint))


def test_sizes_are_those_of_the_paired_differences() -> None:
    one = contrasts(study(ARMS), METRICS)[0]
    assert one.in_differences is not None
    assert one.in_differences.g == pytest.approx(hedges_g(one.pairs.differences))
    # Seeds differ by 1 where differences do not: in sd of the arms the effect is smaller.
    assert one.in_arms is not None
    assert 0 < one.in_arms.d < one.in_differences.d


def test_a_claim_on_one_arm_or_on_a_lead_is_no_primary_contrast() -> None:
    claims = (
        claim("increase", 1.0, ("up",)),
        claim("increase", 2.0, ("up", "base"), event="truth/valid_fraction"),
        claim("decrease", 0.0, ("slight", "base"), "third", generation=2),
    )
    record = study(ARMS, claims=claims)
    assert primary_claim(record) == claims[2]
    first = contrasts(record, METRICS)[0]
    assert (first.arm, first.generation) == ("slight", 2)
    pairs = paired_differences(record, METRIC, "slight", "base", 2)
    assert first.found.p == sign_flip_p(pairs.differences)
    assert primary_claim(study(ARMS, claims=())) is None
    assert len(contrasts(study(ARMS, claims=()), METRICS)) == 9


def test_a_claim_on_four_arms_is_no_primary_contrast() -> None:
    four = claim("increase", 0.0, ("up", "base", "slight", "flat"))
    two = claim("increase", 0.0, ("slight", "base"), "second")
    found = contrasts(study(ARMS, claims=(four, two)), METRICS)
    assert (found[0].is_primary, found[0].arm) == (True, "slight")
    only = study(ARMS, claims=(four,))
    assert primary_claim(only) is None
    assert not any(one.is_primary for one in contrasts(only, METRICS))
    report = inference_findings(only)
    assert report is not None
    assert sentences(report)[0] == (
        "The study has no claim on two arms, so that no contrast is primary."
    )


def test_contrasts_know_the_least_p_that_their_seeds_could_have_got() -> None:
    """Few seeds beside many: however large their effect, chance takes the others further."""
    others = {f"arm_{place}": 0.0 for place in range(6)}
    record = study({"up": 0.5, **others, "few": 9.0, "base": 0.0}, seeds=12, arm_seeds={"few": 6})
    primary, *rest = contrasts(record, METRICS)
    assert (primary.holds, primary.least_corrected) == (True, 2 / 2**12)
    joint = pd.DataFrame([pd.Series(one.pairs.differences, one.pairs.seeds) for one in rest]).T
    assert [one.least_corrected for one in rest] == pytest.approx(least_family_p(joint))
    few = [one for one in rest if one.arm == "few" and one.metric == METRIC]
    assert [one.found.p for one in few] == [2 / 64]
    assert [one.arm for one in rest if one.has_too_few] == ["few"] * 3
    table = contrasts_table([primary, *rest]).set_index("arm")
    assert (table.loc["few", "least_p_corrected"] > 0.05).all()
    assert table.loc["up", "least_p_corrected"].iloc[0] == 2 / 2**12


def test_an_arm_with_fewer_seeds_is_compared_on_its_own() -> None:
    found = contrasts(study(ARMS, arm_seeds={"slight": 3}), METRICS)
    few = [one for one in found if one.arm == "slight"]
    assert {one.found.n_seeds for one in few} == {3}
    assert all(one.pairs.left_out == () for one in found)
    assert all(float(one.p_corrected or 0) >= 0.25 for one in few)


def test_many_seeds_fall_back_to_holm() -> None:
    found = contrasts(study(ARMS, seeds=18), METRICS)[1:]
    p = [sign_flip_p(one.pairs.differences) for one in found]
    assert [one.p_corrected for one in found] == pytest.approx(holm(p))


def test_what_nobody_measured_counts_for_nothing() -> None:
    record = study(ARMS)
    with_absent = contrasts(record, (*METRICS, "quality/bleu"))
    known = [one for one in with_absent if one.metric != "quality/bleu"]
    assert [one.p_corrected for one in known] == [
        one.p_corrected for one in contrasts(record, METRICS)
    ]
    absent = next(one for one in with_absent if one.metric == "quality/bleu")
    assert (absent.found.n_seeds, absent.p_corrected, absent.in_differences) == (0, None, None)
    assert contrasts(study(ARMS, control_arm="none", claims=()), METRICS) == ()


def test_table_has_a_row_a_contrast() -> None:
    found = contrasts(study(ARMS), METRICS)
    table = contrasts_table(found)
    assert len(table) == len(found)
    row = table.iloc[0]
    assert (row["arm"], row["p"], row["n_seeds"]) == ("up", 2 / 64, 6)
    assert row["d_z_lower"] < row["d_z"] < row["d_z_upper"]


def test_equivalence_has_both_tests() -> None:
    claims = (claim("similar", 0.4, ("flat", "base")), claim("increase", 0.4, ("up", "base"), "b"))
    record = study(ARMS, claims=claims)
    (found,) = equivalences(record)
    values = paired_differences(record, METRIC, "flat", "base", 4).differences
    assert found.p_flip == equivalence_p(values, 0.4)
    assert found.p_t is not None
    assert found.p_t < 0.5
