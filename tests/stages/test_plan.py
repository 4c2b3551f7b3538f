import dataclasses

import pytest

from collapse.errors import BadParameter
from collapse.parameters.study import load_study
from collapse.stages.fingerprint import (
    chain_fingerprint,
    fingerprints,
    imported_modules,
    sources_hash,
)
from collapse.stages.plan import merge_equal, plan_chain, plan_study

STUDY = load_study("quickstart")
CORPORA = {"stories:lost": "abc", "stories": "abc"}


def chain(**given):
    return plan_chain(STUDY, given, arm="replace", seed=0, generation=3, probes=("quality",))


def test_chain_is_ordered_and_complete() -> None:
    plan = chain()
    stages = [(step.stage, step.generation) for step in plan.steps]
    assert stages == [
        ("prepare", None),
        ("judge", None),
        ("baseline", 0),
        ("quality", 0),
        ("recurse_step", 1),
        ("quality", 1),
        ("recurse_step", 2),
        ("quality", 2),
        ("recurse_step", 3),
        ("quality", 3),
    ]
    seen: set[str] = set()
    for step in plan.steps:
        assert set(step.needs) <= seen
        seen.add(step.key)


def test_generation_three_needs_all_before_it() -> None:
    plan = chain()
    assert plan.step("recurse_step/replace/seed0/gen3").needs == (
        "prepare/replace/seed0",
        "baseline/replace/seed0/gen0",
        "recurse_step/replace/seed0/gen1",
        "recurse_step/replace/seed0/gen2",
    )


def test_arms_of_a_seed_share_generation_0_and_seeds_do_not() -> None:
    plan = plan_study(STUDY, {"arms": "replace,fresh,static", "seeds": "2"})
    merged = merge_equal(plan, fingerprints(plan, CORPORA, "cpu"))
    baselines = [step for step in merged.steps if step.stage == "baseline"]
    assert [tuple(c.arm for c in step.chains) for step in baselines] == [
        ("replace", "fresh", "static"),
        ("replace", "fresh", "static"),
    ]
    assert len([step for step in merged.steps if step.stage == "prepare"]) == 1
    assert len([step for step in merged.steps if step.stage == "quality"]) == 2 * (1 + 3 * 3)
    keys = {step.key for step in merged.steps}
    assert all(need in keys for step in merged.steps for need in step.needs)


def test_some_probes_look_where_a_chain_begins_and_ends() -> None:
    plan = plan_study(STUDY, {"seeds": "1", "arms": "replace", "at_ends": "hessian"})
    looks = {
        probe: [step.generation for step in plan.steps if step.stage == probe]
        for probe in STUDY.probes
    }
    assert looks == {probe: [0, 3] if probe == "hessian" else [0, 1, 2, 3] for probe in looks}
    compared = plan_study(STUDY, {"seeds": "1", "arms": "replace", "overlap": "true"})
    assert [step.generation for step in compared.steps if step.stage == "hessian"] == [0, 1, 2, 3]
    with pytest.raises(BadParameter, match=r"at_ends.*must be some of quality, hessian"):
        plan_study(STUDY, {"at_ends": "hessians"})


def test_the_default_study_can_decide() -> None:
    """Six paired seeds are the fewest that can reach a sign-flip p below 0.05."""
    plan = plan_study(STUDY, {})
    assert len({chain.seed for chain in plan.chains}) >= 6
    for probe in ("hessian", "svd_probe", "benchmark"):
        for chain in plan.chains:
            looks = [s.generation for s in plan.steps if s.stage == probe and chain in s.chains]
            assert looks == [0, 3]


def test_fingerprint_follows_what_matters_and_nothing_else() -> None:
    def last(**given) -> str:
        plan = chain(**given)
        return fingerprints(plan, {"stories:lost": "abc", "other": "abc"}, "cpu")[
            plan.steps[-1].key
        ]

    base = last()
    assert last() == base
    assert last(corpus="other") == base  # another path, the same content
    assert last(checkpoint_every="7") == base
    assert last(rerun="true") == base
    for change in ({"steps": "99"}, {"baseline_steps": "9"}, {"vocabulary_size": "512"}):
        assert last(**change) != base
    plan = chain()
    assert fingerprints(plan, {"stories:lost": "xyz"}, "cpu")[plan.steps[-1].key] != base


def test_what_only_later_generations_use_leaves_generation_0_alone() -> None:
    def baseline(**given) -> str:
        plan = chain(**given)
        return fingerprints(plan, CORPORA, "cpu")["baseline/replace/seed0/gen0"]

    assert baseline(steps="7", documents="9", kind="fresh", temperature="0.5") == baseline()
    assert baseline(baseline_steps="7") != baseline()


def test_chain_fingerprint_does_not_follow_its_length() -> None:
    short = plan_chain(STUDY, {}, arm="replace", seed=0, generation=0)
    assert chain_fingerprint(short.chains[0], CORPORA, "cpu") == chain_fingerprint(
        chain().chains[0], CORPORA, "cpu"
    )
    other = plan_chain(STUDY, {}, arm="fresh", seed=0, generation=0)
    assert chain_fingerprint(short.chains[0], CORPORA, "cpu") != chain_fingerprint(
        other.chains[0], CORPORA, "cpu"
    )


def test_source_closure_reaches_what_a_stage_runs() -> None:
    source = (
        "from a import b\nimport collapse.x\nfrom . import y\nfrom .z import w\n"
        "from collapse import q"
    )
    found = imported_modules(source, "collapse.pkg")
    assert {"collapse.x", "collapse.pkg.y", "collapse.pkg.z", "collapse.q"} <= set(found)
    assert not any(name.startswith("a") for name in found)
    assert sources_hash("baseline") != sources_hash("quality")


def test_a_pretrained_model_brings_its_own_tokenizer() -> None:
    plan = chain(preset="some/folder")
    assert {step.parameters.tokenizer for step in plan.steps} == {"some/folder"}  # in every record
    assert chain(preset="some/folder", tokenizer="mine").steps[0].parameters.tokenizer == "mine"


def test_unknown_arm_is_refused_by_name() -> None:
    with pytest.raises(BadParameter, match=r"unknown arm 'replce'.*replace"):
        plan_chain(STUDY, {}, arm="replce", seed=0, generation=1)


def test_steps_can_travel() -> None:
    import pickle

    plan = chain()
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert dataclasses.is_dataclass(plan.steps[1].parameters)


def test_chains_of_different_settings_are_different_chains() -> None:
    def fingerprint(where: str = "cpu", **given) -> str:
        contents = CORPORA | {"./model": given.pop("digest", "one")}
        return chain_fingerprint(chain(**given).chains[0], contents, where)

    base = fingerprint()
    for change in ("baseline_steps", "vocabulary_size", "heldout_documents", "study_seed"):
        assert fingerprint(**{change: "77"}) != base, change
    assert fingerprint(where="cuda") != base
    assert fingerprint(preset="./model") != fingerprint(preset="./model", digest="two")


def test_another_place_of_the_same_model_is_the_same_model() -> None:
    contents = CORPORA | {"./a": "same", "/far/b": "same"}
    prints = [
        fingerprints(chain(preset=place), contents, "cpu")["baseline/replace/seed0/gen0"]
        for place in ("./a", "/far/b")
    ]
    assert prints[0] == prints[1]


def test_a_scale_has_an_experiment_of_its_own() -> None:
    assert chain().experiment == "quickstart"
    assert chain(scale="text").experiment == "quickstart-text"
    assert chain(scale="text", name="mine").experiment == "mine"


def test_the_judge_is_asked_by_quality_alone_and_is_one_for_all_arms_of_a_corpus() -> None:
    plan = plan_study(STUDY, {"arms": "replace,fresh", "seeds": "1", "generations": "1"})
    merged = merge_equal(plan, fingerprints(plan, CORPORA, "cpu"))
    (judge,) = [step for step in merged.steps if step.stage == "judge"]
    asking = {step.key for step in merged.steps if step.judge == judge.key}
    assert asking == {step.key for step in merged.steps if step.stage == "quality"}
    assert all(judge.key in merged.step(key).needs for key in asking)
    assert all(judge.key not in step.needs for step in merged.steps if step.key not in asking)


@pytest.mark.parametrize("judge", ["none", "some/encoder"])
def test_no_judge_is_trained_where_another_is_named(judge: str) -> None:
    plan = chain(judge=judge)
    assert not [step for step in plan.steps if step.stage == "judge"]
    assert all(step.judge is None for step in plan.steps)
    assert [step for step in plan.steps if step.stage == "quality"]


def test_another_judge_leaves_training_alone() -> None:
    keys = ("prepare/replace/seed0", "baseline/replace/seed0/gen0", "quality/replace/seed0/gen0")
    one, two = (
        fingerprints(chain(judge=judge), CORPORA, "cpu") for judge in ("none", "some/encoder")
    )
    assert [one[key] == two[key] for key in keys] == [True, True, False]


def test_a_student_waits_for_its_teacher_of_the_same_seed(tmp_path) -> None:
    file = tmp_path / "taught.yaml"
    file.write_text(
        "arms: {student: {kind: static, teacher: master}, master: {kind: static, steps: 7}}\n"
        "control: master\n"
    )
    study = load_study(str(file))
    plan = plan_study(study, {"seeds": "2", "generations": "1"})
    merged = merge_equal(plan, fingerprints(plan, CORPORA, "cpu"))
    for seed in (0, 1):
        student = merged.step(f"baseline/student/seed{seed}/gen0")
        assert student.teacher == f"baseline/master/seed{seed}/gen0"
        assert student.teacher in student.needs
        assert merged.step(f"recurse_step/student/seed{seed}/gen1").teacher is None
        assert student.teacher not in merged.step(f"recurse_step/student/seed{seed}/gen1").needs
    before = [step.key for step in merged.steps]
    assert before.index("baseline/master/seed0/gen0") < before.index("baseline/student/seed0/gen0")
    assert len([key for key in before if key.startswith("baseline/")]) == 4


def test_a_chain_that_goes_back_shares_what_came_before_with_the_arm_that_does_not(
    tmp_path,
) -> None:
    file = tmp_path / "back.yaml"
    file.write_text(
        "arms: {replace: {}, fresh: {}, back: {kind: replace, human_from: 3}}\ncontrol: fresh\n"
    )
    study = load_study(str(file))
    plan = plan_study(study, {"seeds": "1", "generations": "4"})
    merged = merge_equal(plan, fingerprints(plan, CORPORA, "cpu"))
    arms = {
        step.key: tuple(chain.arm for chain in step.chains)
        for step in merged.steps
        if step.stage == "recurse_step"
    }
    assert arms["recurse_step/replace/seed0/gen2"] == ("replace", "back")
    assert arms["recurse_step/replace/seed0/gen3"] == ("replace",)
    assert arms["recurse_step/back/seed0/gen3"] == ("back",)
    kinds = [plan.step(f"recurse_step/back/seed0/gen{g}").parameters.kind for g in (1, 2, 3, 4)]
    assert kinds == ["replace", "replace", "fresh", "fresh"]
    prints = {chain.arm: chain_fingerprint(chain, CORPORA, "cpu") for chain in plan.chains}
    assert len(set(prints.values())) == 3  # another chain, though it begins alike


def test_an_arm_may_ask_for_fewer_seeds(tmp_path) -> None:
    file = tmp_path / "fewer.yaml"
    file.write_text(
        "arms: {replace: {}, fresh: {}, slow: {kind: mixed, seeds: 2}}\ncontrol: fresh\n"
        "settings: {seeds: 3}\n"
    )
    study = load_study(str(file))
    seeds = [(chain.arm, chain.seed) for chain in plan_study(study, {"generations": "1"}).chains]
    assert seeds == [
        *(("replace", 0), ("fresh", 0), ("slow", 0)),
        *(("replace", 1), ("fresh", 1), ("slow", 1)),
        *(("replace", 2), ("fresh", 2)),
    ]
    given = plan_study(study, {"generations": "1", "seeds": "1"})
    assert {chain.seed for chain in given.chains} == {0}
