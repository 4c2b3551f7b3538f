from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.code.arms import CHANGES, DECODINGS
from analysis.code.caveats import cautions
from analysis.code.findings import CodeFindings, code_findings
from analysis.code.questions import INTERACTION, OUTCOMES
from analysis.code.section import code_files
from analysis.code.words import drivers_lead, parse_title, sentences
from analysis.comparisons.answers import Answer
from analysis.families import max_t_p
from analysis.statistics import t_interval
from analysis.study import StudyRecord
from collapse.errors import BadInput
from tests.analysis.made_up_code import (
    ARMS,
    DECODED,
    EFFECTS,
    NO_EFFECTS,
    TRAINED,
    made_up_code,
    study_of_code,
)
from tests.analysis.made_up_study import made_up_study

COLLAPSE, PARSE, BITS = (outcome.label for outcome in OUTCOMES)


def found_in(record: StudyRecord) -> CodeFindings:
    found = code_findings(record)
    assert found is not None
    return found


def answer(found: CodeFindings, question: str, outcome: str) -> Answer:
    one = found.answer(question, outcome)
    assert one is not None
    return one


def some(arms: Iterable[str], **changes: Any) -> pd.DataFrame:
    return made_up_code({arm: EFFECTS[arm] for arm in arms}, **changes)


@pytest.fixture(scope="module")
def planted() -> CodeFindings:
    return found_in(study_of_code())


@pytest.mark.parametrize(
    ("arm", "verdicts", "points"),
    [
        ("little_data", ("higher", "lower", "higher"), 35),
        ("large_vocabulary", ("similar", "similar", "similar"), 1),
        ("large_model", ("lower", "higher", "lower"), -15),
        ("characters", ("higher", "lower", "higher"), 25),
        ("distilled", ("similar", "similar", "similar"), 0),
        ("no_mask", ("higher", "lower", "not measured"), 77),
        (INTERACTION, ("higher", "lower", "similar"), 25),
    ],
)
def test_planted_effects_are_found(
    planted: CodeFindings, arm: str, verdicts: tuple[str, ...], points: float
) -> None:
    asked = [answer(planted, arm, outcome) for outcome in (COLLAPSE, PARSE, BITS)]
    assert tuple(one.verdict for one in asked) == verdicts
    assert asked[0].mean == pytest.approx(points, abs=3)


def test_margins_are_those_that_were_preset(planted: CodeFindings) -> None:
    asked = [answer(planted, "little_data", outcome).asked for outcome in (COLLAPSE, PARSE, BITS)]
    assert [(one.margin, one.unit) for one in asked] == [
        *((10.0, "points"), (10.0, "points"), (0.05, "bits")),
    ]


def test_a_difference_is_paired_by_seed_in_points() -> None:
    rows = made_up_code()
    found = answer(found_in(study_of_code(rows)), "large_model", COLLAPSE)
    table = rows[rows["metric"] == "quality/collapse_rate"].pivot(
        index="seed", columns="arm", values="value"
    )
    by_hand = 100 * (table["large_model"] - table["base"])
    assert found.asked.differences.tolist() == pytest.approx(by_hand.tolist())
    assert found.interval == pytest.approx(t_interval(by_hand))


def test_the_interaction_is_what_both_do_beyond_either() -> None:
    """By hand of one seed: (both - model) - (vocabulary - base)."""
    levels = {
        "base": (0.2, 0.4, 1.5, 1.0),
        "large_vocabulary": (0.3, 0.4, 1.4, 1.0),
        "large_model": (0.5, 0.4, 1.2, 1.0),
        "large_both": (0.9, 0.4, 1.0, 1.0),
    }
    found = found_in(study_of_code(made_up_code(levels, seeds=(3,), noise=0.0, leaking=())))
    assert answer(found, INTERACTION, COLLAPSE).mean == pytest.approx(30)
    assert answer(found, INTERACTION, PARSE).mean == pytest.approx(0)
    assert answer(found, INTERACTION, BITS).mean == pytest.approx(-0.1)
    assert answer(found, INTERACTION, COLLAPSE).asked.first == "(large_both − large_model)"


def test_trainings_are_one_family_decodings_another(planted: CodeFindings) -> None:
    asked = {one.asked.question for one in planted.answers}
    assert asked == {*TRAINED[1:], INTERACTION}
    assert {one.asked.question for one in planted.decodings} == set(DECODED)
    assert {one.asked.at for one in planted.decodings} == {COLLAPSE, PARSE}
    primary = [one.asked for one in planted.answers if one.asked.is_primary]
    assert [(one.question, one.at) for one in primary] == [("little_data", COLLAPSE)]
    for family in (planted.answers, planted.decodings):
        joint = [one for one in family if one.n_seeds and not one.asked.is_primary]
        values = np.column_stack([one.asked.differences.to_numpy() for one in joint])
        assert [one.p_corrected for one in joint] == pytest.approx(max_t_p(values).tolist())


def test_decodings_are_told_apart(planted: CodeFindings) -> None:
    assert answer(planted, "greedy", COLLAPSE).verdict == "higher"
    assert answer(planted, "hot", COLLAPSE).verdict == "lower"
    (told,) = [one for one in sentences(planted) if "decoded in other ways" in one]
    assert "higher under greedy; similar under beam, cool and unbiased; lower under hot." in told


def test_nothing_is_found_where_nothing_is_planted() -> None:
    found = found_in(study_of_code(made_up_code(NO_EFFECTS, noise=0.05, leaking=())))
    verdicts = {one.verdict for one in (*found.answers, *found.decodings)}
    assert verdicts <= {"similar", "undecided"}
    assert "raises" not in drivers_lead(found)
    assert "lowers" not in drivers_lead(found)


def test_the_lead_names_the_drivers(planted: CodeFindings) -> None:
    lead = drivers_lead(planted)
    assert lead.startswith("Less text raises collapse by 36.0 points; a larger model lowers")
    assert lead.endswith("; a larger vocabulary leaves collapse within 10 points of base")
    two = found_in(study_of_code(made_up_code(seeds=(0, 1))))
    assert drivers_lead(two) == (
        "Undecided whether less text, a larger vocabulary or a larger model moves collapse"
    )
    alike = found_in(study_of_code(made_up_code(NO_EFFECTS, leaking=())))
    assert drivers_lead(alike) == (
        "Less text, a larger vocabulary and a larger model leave collapse within 10 points of base"
    )
    bare = found_in(study_of_code(some(("base", "hot"))))
    assert "(hot) to " in drivers_lead(bare)


def test_compute_that_is_not_equal_is_named(planted: CodeFindings) -> None:
    told = " ".join(sentences(planted))
    assert "Not at equal compute with base: characters (1.30×)." in told
    equal = " ".join(sentences(found_in(study_of_code(some(TRAINED[:5])))))
    assert "Compute is equal to within 10 %: 0.96× to 1.03× that of base." in equal
    levels = EFFECTS | {"little_data": (0.55, 0.15, 2.1, 0.5)}
    off = found_in(study_of_code(made_up_code(levels)))
    assert "points at 0.50× the compute" in drivers_lead(off)
    rows = made_up_code()
    uncounted = found_in(study_of_code(rows[rows["metric"] != "train/flops"]))
    assert "Compute was not counted" in " ".join(sentences(uncounted))


def test_an_arm_that_alarms_is_named_and_no_evidence_on_bits(planted: CodeFindings) -> None:
    assert planted.tables.alarming == ("no_mask",)
    one = answer(planted, "no_mask", BITS)
    assert one.reasons == ("The likelihoods of no_mask are not to be believed.",)
    told = " ".join(sentences(planted))
    assert "bits per byte of no_mask are not to be believed (see the alarm): 96" in told
    assert parse_title(planted.tables).startswith("Lowest in bits per byte is large_model (1.306)")
    assert parse_title(planted.tables).endswith("; no_mask not to be believed")


def test_an_alarm_of_the_control_takes_every_comparison_of_bits_with_it() -> None:
    found = found_in(study_of_code(made_up_code(leaking=("base",))))
    bits = [one for one in found.answers if one.asked.at == BITS]
    assert {one.verdict for one in bits} == {"not measured"}
    assert answer(found, "large_model", COLLAPSE).verdict == "lower"


def test_an_arm_of_which_one_chain_alarms_is_doubted() -> None:
    rows = made_up_code(leaking=())
    one = (rows["arm"] == "large_both") & (rows["seed"] == 2)
    rows.loc[one & (rows["metric"] == "train/sees_future"), "value"] = 1.0
    found = found_in(study_of_code(rows))
    assert found.tables.alarming == ("large_both",)
    assert answer(found, INTERACTION, BITS).n_seeds == 0
    assert answer(found, INTERACTION, COLLAPSE).n_seeds == 6


def test_seeds_that_an_arm_was_not_given_are_not_missing() -> None:
    rows = made_up_code()
    rows = rows[~((rows["arm"] == "characters") & (rows["seed"] > 2))]
    record = study_of_code(rows, arm_seeds={"characters": 3})
    whole = found_in(record)
    assert not any("no completions" in one for one in cautions(whole))
    assert len(code_files(whole)["code_chains.csv"]) == 6 * len(ARMS) - 3
    stopped = (rows["arm"] == "characters") & (rows["seed"] == 1)
    found = found_in(replace(record, measurements=rows[~stopped]))
    assert found.tables.missing == (("characters", 1),)
    assert any("1 of 81 chains have no completions" in one for one in cautions(found))


def test_missing_chains_are_counted_and_left_out() -> None:
    rows = made_up_code()
    gone = (rows["arm"] == "large_model") & (rows["seed"] == 4)
    blind = (rows["arm"] == "distilled") & (rows["metric"] == "quality/parse_rate")
    found = found_in(study_of_code(rows[~gone & ~blind]))
    assert found.tables.missing == (("large_model", 4),)
    assert answer(found, "large_model", COLLAPSE).n_seeds == 5
    assert answer(found, INTERACTION, COLLAPSE).n_seeds == 5
    assert answer(found, "little_data", COLLAPSE).n_seeds == 6
    assert answer(found, "distilled", PARSE).verdict == "not measured"
    told = " ".join(cautions(found))
    assert f"1 of {6 * len(ARMS)} chains have no completions: large_model seed 4." in told
    assert "6 chains with completions have no parse rate." in told


def test_absent_arms_are_named() -> None:
    told = cautions(found_in(study_of_code(some(("base", "little_data", "hot")))))
    assert "The study has no arm large_vocabulary (vocabulary), large_model (capacity)." in told
    record = replace(study_of_code(some(("base", "hot"))), control_arm="")
    found = found_in(record)
    assert (found.answers, found.decodings) == ((), ())
    assert "The study has no control: no arm is compared." in cautions(found)


def test_arms_of_other_names_are_compared_too() -> None:
    levels = {"base": EFFECTS["base"], "warm_start": EFFECTS["large_model"]}
    found = found_in(study_of_code(made_up_code(levels)))
    assert answer(found, "warm_start", COLLAPSE).verdict == "lower"
    assert any("The arm warm_start (warm_start): collapse rate" in s for s in sentences(found))


def test_one_seed_decides_nothing() -> None:
    found = found_in(study_of_code(made_up_code(seeds=(0,))))
    verdicts = {one.verdict for one in (*found.answers, *found.decodings)}
    assert verdicts == {"undecided", "not measured"}


def test_ceilings_that_differ_by_vocabulary_are_told(planted: CodeFindings) -> None:
    assert any("in 50" in one and "characters" in one for one in cautions(planted))
    alike = found_in(study_of_code(some(TRAINED[:5])))
    assert not any("equally many tokens in all arms" in one for one in cautions(alike))


def test_other_studies_have_no_findings() -> None:
    assert code_findings(made_up_study()) is None
    rows = made_up_code()
    bare = rows[~rows["metric"].str.startswith("quality/")]
    assert code_findings(study_of_code(bare)) is None


def test_completions_without_their_columns_are_refused() -> None:
    record = study_of_code()
    with pytest.raises(BadInput, match="completions has no column kept"):
        replace(record, completions=record.completions.drop(columns="kept"))
    with pytest.raises(BadInput, match="completions: seed must be a whole number"):
        replace(record, completions=record.completions.assign(seed="first"))
    assert made_up_study().completions.empty
    assert list(made_up_study().completions) == list(record.completions)


def test_a_study_of_recursion_is_read_at_its_last_generation() -> None:
    """Generation 0 is one model for all arms of a seed."""
    first = made_up_code(NO_EFFECTS, noise=0.0, leaking=())
    last = made_up_code().assign(generation=1)
    completions = study_of_code().completions
    record = study_of_code(
        pd.concat([first, last]),
        generations=1,
        completions=pd.concat([completions, completions.assign(generation=1, prompt="last")]),
    )
    found = found_in(record)
    assert answer(found, "little_data", COLLAPSE).verdict == "higher"
    assert set(found.tables.completions["prompt"]) == {"last"}


def test_every_arm_of_the_study_file_has_its_words() -> None:
    path = Path(__file__).parents[3] / "studies" / "code_collapse.yaml"
    study = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = {change.arm for change in CHANGES} | set(DECODINGS) | {study["control"]}
    assert set(study["arms"]) == known
