from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.claims.effects import effects_table
from analysis.claims.positive_control import positive_control, positive_control_in_words
from analysis.claims.verdicts import headline, rules_in_words, verdicts
from analysis.report.cautions import cautions
from analysis.runs import incomplete_chains, run_conditions, run_counts
from analysis.study import StudyRecord
from tests.analysis.made_up_study import made_up_study


def with_kl(values: dict[str, list[float]]) -> StudyRecord:
    rows = [
        (arm, 0, generation, "truth/kl_nats_per_token", value)
        for arm, chain in values.items()
        for generation, value in zip((0, 3), chain, strict=True)
    ]
    columns = ["arm", "seed", "generation", "metric", "value"]
    return made_up_study(seeds=(0,), measurements=pd.DataFrame(rows, columns=columns))


def test_positive_control_met() -> None:
    checks = positive_control(with_kl({"replace": [0.5, 0.75], "fresh": [0.5, 0.6]}))
    assert [(c.arm, c.ratio, c.is_met) for c in checks] == [
        ("replace", 1.5, True),
        ("fresh", 1.2, True),
    ]
    assert positive_control_in_words(checks) == "Met by every chain."


def test_positive_control_not_met_is_said_plainly() -> None:
    checks = positive_control(with_kl({"replace": [0.5, 0.7], "fresh": [0.5, 0.625]}))
    words = positive_control_in_words(checks)
    assert "NOT met by replace seed 0 (1.40)" in words
    assert "NOT met by fresh seed 0 (1.25)" in words


def test_positive_control_not_measured_is_not_met() -> None:
    checks = positive_control(with_kl({"replace": [0.5, np.nan], "fresh": [0.5, 0.5]}))
    assert [c.is_met for c in checks] == [None, True]
    words = positive_control_in_words(checks)
    assert "not complete" in words
    assert "Not measured for replace seed 0" in words
    only_replace = made_up_study(arms=("replace",))
    assert "no arm of kind fresh" in positive_control_in_words(positive_control(only_replace))
    assert "Not available" in positive_control_in_words(positive_control(made_up_study((), ())))


def test_chains_that_stopped_are_found() -> None:
    record = made_up_study()
    rows = record.measurements
    stopped = (rows["arm"] == "replace") & (rows["seed"] == 1) & (rows["generation"] > 1)
    absent = (rows["arm"] == "fresh") & (rows["seed"] == 0)
    broken = incomplete_chains(replace(record, measurements=rows[~stopped & ~absent]))
    assert [(c.arm, c.seed, c.last_generation) for c in broken] == [
        ("replace", 1, 1),
        ("fresh", 0, None),
    ]
    assert incomplete_chains(record) == ()


def test_runs_are_counted_by_how_they_ended() -> None:
    statuses = ["FINISHED", "failed", "KILLED", "RUNNING", "REUSED"]
    runs = pd.DataFrame({"status": statuses, "fingerprint": list("abcde")})
    assert run_counts(runs) == {"done": 2, "broken": 2, "open": 1, "redone": 0}


def test_what_was_broken_off_and_made_again_is_no_failure() -> None:
    statuses = ["KILLED", "FINISHED", "FAILED", "KILLED", "RUNNING"]
    runs = pd.DataFrame({"status": statuses, "fingerprint": ["a", "a", "b", None, "a"]})
    assert list(run_conditions(runs)) == ["redone", "done", "broken", "broken", "redone"]


def test_cautions_fit_the_study() -> None:
    few = made_up_study()
    said = " ".join(cautions(few, verdicts(few)))
    assert "With 2 seeds no difference can be told from chance" in said
    assert "Undecided is not refuted" in said
    assert "no arm of kind static" in said
    many = made_up_study(arms=("replace", "fresh", "static"), seeds=range(6))
    said = " ".join(cautions(many, verdicts(many)))
    assert "told from chance" not in said
    assert "no arm" not in said
    assert "2 claims were each judged at the 5 % level" in said
    assert "as high as 10 %" in said
    lost = many.measurements.assign(
        value=many.measurements["value"].mask(lambda v: v == v[0], np.inf)
    )
    said = " ".join(cautions(replace(many, measurements=lost), ()))
    assert "3 values were infinite or not a number" in said


def test_claims_that_were_changed_later_are_called_exploratory() -> None:
    few = made_up_study()
    assert "exploratory" not in " ".join(cautions(few, verdicts(few)))
    changed = replace(few, claims_changed=True)
    assert "exploratory" in " ".join(cautions(changed, verdicts(changed)))


def test_headline_counts() -> None:
    many = made_up_study(seeds=range(6))
    assert headline(verdicts(many)) == "2 claims under test: 2 supported."
    assert headline(()).startswith("No claim")


def test_arms_of_unequal_budget_are_called_so() -> None:
    few = made_up_study()
    places = [(arm, seed, g) for arm in ("replace", "fresh") for seed in (0, 1) for g in (1, 2)]
    rows = pd.DataFrame(
        [(*place, "text/tokens_offered", 1000.0) for place in places],
        columns=["arm", "seed", "generation", "metric", "value"],
    )
    equal = replace(few, measurements=pd.concat([few.measurements, rows]))
    assert "read as much" not in " ".join(cautions(equal, ()))
    rows.loc[0, "value"] = 1001.0
    unequal = replace(few, measurements=pd.concat([few.measurements, rows]))
    assert "read as much as fresh (text/tokens_offered differ)" in " ".join(cautions(unequal, ()))
    alone = replace(unequal, control_arm="none")
    assert "read as much as replace (" in " ".join(cautions(alone, ()))


def cautions_of_synthesis(**counts: float) -> str:
    """What is said of a study in which one generation wrote so many texts."""
    few = made_up_study()
    rows = pd.DataFrame(
        [("replace", 0, 1, f"synthesis/{name}", count) for name, count in counts.items()],
        columns=["arm", "seed", "generation", "metric", "value"],
    )
    return " ".join(cautions(replace(few, measurements=pd.concat([few.measurements, rows])), ()))


def test_texts_cut_at_the_limit_are_mentioned() -> None:
    for cut, said in ((1.0, False), (30.0, True)):
        assert ("were cut at max_new_tokens" in cautions_of_synthesis(cut=cut, kept=100.0)) is said


def test_the_share_of_cut_texts_is_of_all_that_were_written() -> None:
    others = {"kept": 100.0, "dropped": 4.0, "sifted": 96.0}
    assert "were cut at" not in cautions_of_synthesis(cut=6.0, **others)
    assert "Up to 10 % of the texts" in cautions_of_synthesis(cut=20.0, **others)


def test_arms_are_known_by_their_kind_whatever_their_name() -> None:
    record = with_kl({"taught": [0.5, 0.9], "new": [0.5, 0.5], "back": [0.5, 0.5]})
    record = replace(
        record,
        arms=("taught", "new", "back"),
        control_arm="new",
        kinds={"taught": "replace", "new": "fresh", "back": "replace"},
        returns={"back": 2},
    )
    checks = positive_control(record)
    assert [(c.arm, c.kind) for c in checks] == [("taught", "replace"), ("new", "fresh")]
    assert positive_control_in_words(checks) == "Met by every chain."
    assert "this study has no arm of kind static." in " ".join(cautions(record, ()))


def test_the_rules_of_a_verdict_are_those_of_its_kind() -> None:
    plain = verdicts(made_up_study())
    similar = replace(plain[0], claim=replace(plain[0].claim, direction="similar"))
    assert rules_in_words(plain).startswith("Supported: the whole 95 % interval lies beyond")
    assert "equivalence" not in rules_in_words(plain)
    assert rules_in_words((similar,)).startswith("That arms are similar is supported where")
    assert "median" not in rules_in_words((*plain, similar))


def test_an_arm_of_one_training_that_failed_keeps_its_row() -> None:
    record = replace(made_up_study(generations=0), generations=0)
    rows = record.measurements
    (metric,) = rows["metric"].head(1)
    lost = replace(record, measurements=rows[rows["arm"] != "replace"])
    assert effects_table(record, (metric,)).empty  # shared by both arms
    assert effects_table(lost, (metric,))["n_seeds"].tolist() == [0]
