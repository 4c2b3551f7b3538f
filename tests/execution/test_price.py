"""The price of a study: its work, what is rehearsed of it, lines, the timetable, and the door."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collapse.errors import BadInput
from collapse.execution.prepared import Prepared, prepare_plan
from collapse.execution.price import quote, rehearsal
from collapse.execution.price.prices import Prices, line_through
from collapse.execution.price.programme import Rehearsal, Shapes, programme
from collapse.execution.price.quote import lines_of, missing_steps, quoted
from collapse.execution.price.rehearsal import TOO_LONG, UNSUPPORTED, Rehearsed, sized
from collapse.execution.price.shortfall import shortfalls
from collapse.execution.price.stagehand import Performance
from collapse.execution.price.timetable import wall_seconds
from collapse.execution.work import Counts, amount, counts, model_size, sampled_tokens
from collapse.parameters.study import load_study
from collapse.stages.fingerprint import fingerprints
from collapse.stages.plan import Plan, Step, merge_equal, plan_study
from tests.conftest import MICRO, open_door

TOKENS_PER_DOCUMENT = 50.0
SMALL_STUDY = {
    "seeds": 1,
    "generations": 1,
    "heldout_documents": 8,
    "baseline_steps": 10,
    "tokens_per_step": 256,
    "steps": 5,
    "documents": 20,
    "samples": 7,
    "prompts": 3,
}


def plan_of(given: Mapping[str, Any], study: str = "quickstart", scale: str = "pair") -> Plan:
    """A study's plan as it is walked: what arms share stands in it once."""
    plan = plan_study(load_study(study, scale), {"scale": scale, **given})
    corpora = {step.parameters.corpus: "abc" for step in plan.steps}
    return merge_equal(plan, fingerprints(plan, corpora, "cpu"))


def script_of(plan: Plan) -> list[Rehearsal]:
    return programme(plan, plan.steps, {step.key: model_size(step) for step in plan.steps})


def test_every_stage_is_rehearsed_before_any_has_its_second_shape() -> None:
    script = script_of(plan_of({"scale": "cpu"}, "code_collapse", "cpu"))
    stages = [one.step.stage for one in script]
    looked = stages.index("quality")
    trained = {one.shape for one in script[:looked] if one.step.stage == "baseline"}
    assert len(trained) <= 2  # the most expensive one, and that which the look stands on
    assert len({one.shape for one in script if one.step.stage == "baseline"}) > 5


def test_work_of_a_small_study_is_as_counted_by_hand() -> None:
    steps = plan_of(SMALL_STUDY).steps
    found = sum((counts(step, TOKENS_PER_DOCUMENT) for step in steps), Counts())
    # Generation 0 once, one generation of each arm, and one step of the judge: 8 documents of 50
    # tokens are not read more than ten times, in steps of 2,048.
    assert found.trained_tokens == 10 * 256 + 2 * 5 * 256 + 1 * 2048
    # One arm writes 20 documents; three looks take 7 texts and 3 ends of 50 - 32 tokens.
    assert found.sampled_tokens == 20 * 50 + 3 * (7 * 50 + 3 * 18)
    # Three looks at two texts: 30 steps and 15 % of the 20 more, 3 further vectors of 8 steps, and
    # for the errors over parts of the batch 3 outliers, 2 ends and 4 vectors.
    assert found.products == pytest.approx(3 * 2 * (33 + 24 + 9))
    assert found.items == 3 * 9 * 20
    assert found.checkpoints == 4


@pytest.mark.parametrize(
    ("kind", "share"),
    [("replace", 1), ("fresh", 0), ("static", 0), ("mixed", 0.25), ("accumulate", 1)],
)
def test_an_arm_writes_its_share(kind: str, share: float) -> None:
    plan = plan_of({**SMALL_STUDY, "arms": kind, "synthetic_fraction": 0.25})
    step = next(step for step in plan.steps if step.stage == "recurse_step")
    assert sampled_tokens(step, TOKENS_PER_DOCUMENT) == share * 20 * 50


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"heldout_documents": 40}, {}),
        ({"heldout_documents": 39}, {"hessian": "heldout_documents=39 hold about 1,950 tokens"}),
        ({"probe_tokens": 2001, "probe_texts": "human"}, {"hessian": "probe_tokens=2001"}),
        ({"heldout_documents": 19, "probe_texts": "own"}, {"svd_probe": "rank_tokens=1000"}),
        ({"heldout_documents": 40, "documents": 39}, {"hessian": "documents=39"}),
        ({"heldout_documents": 40, "documents": 39, "probe_texts": "human"}, {}),
    ],
)
def test_probes_that_ask_for_more_text_than_there_is_are_named(
    given: dict[str, Any], expected: dict[str, str]
) -> None:
    texts = dict.fromkeys(("heldout_documents", "documents", "baseline_documents"), 40)
    asked = {"probe_tokens": 2000, "rank_tokens": 1000, "generations": 1, "seeds": 1}
    steps = plan_of({**texts, **asked, **given}).steps
    told = shortfalls(steps, lambda _: TOKENS_PER_DOCUMENT)
    assert [line.split()[0] for line in told] == list(expected)
    assert all(part in line for part, line in zip(expected.values(), told, strict=True))


def test_looks_on_the_way_are_work() -> None:
    given = {"arms": "static", "generations": 0, "seeds": 1, "baseline_steps": 100}
    plain, looked = (
        {step.stage: step for step in plan_of(given | more).steps}
        for more in ({"evaluate_every": 0}, {"evaluate_every": 10, "checkpoint_tokens": "0,4096"})
    )
    # Nine looks before the last one, each at 200 documents, a third of training on them.
    more = amount(looked["baseline"], 30) - amount(plain["baseline"], 30)
    assert more == pytest.approx(9 * 200 * 30 / 3)
    assert counts(looked["baseline"], 30).checkpoints == 3
    assert amount(looked["benchmark"], 30) == 3 * amount(plain["benchmark"], 30)


def test_a_line_goes_through_both_points_and_knows_how_far_it_reaches() -> None:
    line = line_through([(2, 5.0), (4, 9.0)])
    assert (line.intercept, line.slope, line.at(10)) == (1.0, 2.0, 21.0)
    # 21 = 4 * 9 - 3 * 5, each known to a tenth.
    assert line.error(10) == pytest.approx(0.1 * (36**2 + 15**2) ** 0.5)
    alone = line_through([(2, 5.0)])
    assert (alone.at(10), alone.error(10)) == (25.0, 2.5)


def test_a_line_is_never_less_for_more_work_nor_below_nothing() -> None:
    assert line_through([(2, 5.0), (4, 3.0)]).at(100) == 4.0
    steep = line_through([(2, 1.0), (4, 8.0)])
    assert (steep.at(0), steep.at(4), steep.at(8)) == (0.0, 8.0, 16.0)


def bare(key: str, *needs: str) -> Step:
    """A step of which only its place in the plan counts."""
    return Step(key, key.partition("/")[0], None, (), None, needs)


STEPS = (
    bare("prepare"),
    bare("baseline/a", "prepare"),
    bare("quality/a0", "baseline/a"),
    bare("recurse_step/a1", "baseline/a"),
    bare("quality/a1", "recurse_step/a1"),
    bare("baseline/b", "prepare"),
    bare("quality/b0", "baseline/b"),
    bare("recurse_step/b1", "baseline/b"),
    bare("quality/b1", "recurse_step/b1"),
)
TIMES = {
    **{"prepare": 2.0, "baseline/a": 10.0, "quality/a0": 3.0, "recurse_step/a1": 4.0},
    **{"quality/a1": 3.0, "baseline/b": 10.0, "quality/b0": 3.0, "recurse_step/b1": 4.0},
    **{"quality/b1": 3.0},
}


def test_two_chains_on_two_workers_take_as_long_as_by_hand() -> None:
    # 2, then both trainings to 12 and 16, then four looks of 3 on two workers to 22.
    assert wall_seconds(STEPS, TIMES, 2) == 22.0
    assert wall_seconds(STEPS, TIMES, 1) == sum(TIMES.values())
    # Three workers: b's look at generation 0 or a's goes beside both trainings from 12 to 15.
    assert wall_seconds(STEPS, TIMES, 3) == 19.0
    # Training goes first, though the look at a's generation 0 stands before it in the plan.
    # From 16 on one worker has the 7, the other three times 3.
    assert wall_seconds(STEPS, TIMES | {"quality/a0": 7.0}, 2) == 25.0


def test_a_step_that_is_there_takes_no_time() -> None:
    assert wall_seconds(STEPS, dict.fromkeys(TIMES, 0.0) | {"quality/b1": 3.0}, 2) == 3.0


def test_every_shape_is_rehearsed_and_none_twice() -> None:
    plan = plan_of({"seeds": 3})
    script = script_of(plan)
    keys = [one.key for one in script]
    assert len(set(keys)) == len(keys)
    for place, one in enumerate(script):
        assert set(one.step.needs) <= set(keys[:place])
    stages = [one.step.stage for one in script if one.key.endswith("large")]
    assert sorted(stages) == sorted({step.stage for step in plan.steps})
    shapes = Shapes(plan)
    assert {one.shape for one in script} == {shapes.of(step) for step in plan.steps}


def test_rehearsals_are_smaller_than_what_they_stand_for() -> None:
    plan = plan_of({"generations": 1})
    real = {step.stage: amount(step, TOKENS_PER_DOCUMENT) for step in plan.steps}
    script = script_of(plan)
    sizes = {one.key: amount(one.step, TOKENS_PER_DOCUMENT) for one in script}
    for one in script:
        if one.key.endswith("small"):
            large = sizes[one.key.replace("small", "large")]
            assert sizes[one.key] < large < real[one.step.stage], one.key


def test_what_is_small_already_is_rehearsed_as_it_is() -> None:
    script = script_of(plan_of({**SMALL_STUDY, "tokenizer_documents": 300, "limit": 1}))
    prepares = [one.step.parameters for one in script if one.step.stage == "prepare"]
    assert [(p.heldout_documents, p.tokenizer_documents) for p in prepares] == [(8, 300)]
    assert [one.step.parameters.limit for one in script if one.step.stage == "benchmark"] == [1]


def test_shapes_tell_models_and_decodings_apart_and_not_learning_rates() -> None:
    plan = plan_of({}, "tiny_scaling", "cpu")
    shapes = Shapes(plan)
    of_arm = {
        step.chains[0].arm: shapes.of(step) for step in plan.steps if step.stage == "baseline"
    }
    assert of_arm["small"] == of_arm["small_lr5"] != of_arm["medium"]
    assert of_arm["medium"] == of_arm["half_trained"] != of_arm["short_sequences"]
    assert of_arm["medium"] != of_arm["medium_adamw"]
    decodings = plan_of({"seeds": 1}, "ablations", "cpu")
    shapes = Shapes(decodings)
    arms = {
        step.chains[0].arm: shapes.of(step)
        for step in decodings.steps
        if step.stage == "recurse_step"
    }
    assert arms["replace"] == arms["narrow"] == arms["replace_fivefold"] != arms["unbiased"]


def law(step: Step) -> float:
    """Seconds of a step in a world of straight lines."""
    per_unit = {"judge": 0.1, "quality": 0.02, "hessian": 1e-4, "benchmark": 0.01, "prepare": 1e-4}
    if step.stage in {"baseline", "recurse_step"}:
        writing = 5e-5 * sampled_tokens(step, TOKENS_PER_DOCUMENT)
        return 1.5 + writing + trained_seconds(step)
    return 0.5 + per_unit.get(step.stage, 0.0) * amount(step, TOKENS_PER_DOCUMENT)


def trained_seconds(step: Step) -> float:
    return 1e-4 * amount(step, TOKENS_PER_DOCUMENT)


def performed(one: Rehearsal) -> Performance:
    metrics = {"corpus/tokens_per_document": TOKENS_PER_DOCUMENT}
    if one.step.stage in {"baseline", "recurse_step"}:
        metrics["train/seconds"] = trained_seconds(one.step)
        metrics["train/tokens_per_second"] = 1e4
    if one.step.stage == "recurse_step":
        written = sampled_tokens(one.step, TOKENS_PER_DOCUMENT)
        metrics["synthesis/seconds"] = 5e-5 * written
        metrics["synthesis/kept"] = written / TOKENS_PER_DOCUMENT
    memory = 2**30
    if one.step.stage == "hessian":
        memory += 2**20 * one.step.parameters.probe_tokens
    return Performance(one.step, law(one.step), metrics, memory, 0, 1000, 2000, one.key)


def test_where_costs_are_lines_prices_are_exact() -> None:
    plan = plan_of({"generations": 1, "samples": 500, "prompts": 100})
    script = script_of(plan)
    found = Rehearsed({one.key: performed(one) for one in script})
    sizes = {step.key: model_size(step) for step in plan.steps}
    prices = Prices(Shapes(plan), script, found, sizes)
    prices.learn(plan.steps)
    for step in plan.steps:
        price = prices.price(step)
        assert price is not None
        assert price.rehearsed
        expected = law(step)
        if step.stage in {"baseline", "recurse_step"}:
            kind = getattr(step.parameters, "kind", "baseline")
            read = {"baseline": 40_000, "fresh": 3000, "replace": 0}[kind]
            drawn = 0.02 * 5e-5 * sampled_tokens(step, TOKENS_PER_DOCUMENT)
            expected += 1e-4 * read + drawn
        if step.stage == "svd_probe":
            expected = 0.5
        assert price.seconds == pytest.approx(expected), step.key
    # A spectrum's memory grows with its batch, of which half was rehearsed at most.
    assert prices.memory_bytes(plan.steps)[0] == pytest.approx(2**30 + 2**20 * 2048)


def test_a_shape_that_was_not_reached_is_priced_after_the_nearest_by_parameters() -> None:
    plan = plan_of({}, "tiny_scaling", "cpu")
    script = script_of(plan)
    steps = {s.chains[0].arm: s for s in plan.steps if s.stage == "baseline"}
    shapes = Shapes(plan)
    kept = {shapes.of(steps["medium"]), shapes.of(shapes.prepared(steps["medium"]))}
    found = Rehearsed({one.key: performed(one) for one in script if one.shape in kept})
    sizes = {step.key: model_size(step) for step in plan.steps}
    prices = Prices(shapes, script, found, sizes)
    prices.learn(plan.steps)
    medium, xlarge = (prices.price(steps[arm]) for arm in ("medium", "xlarge"))
    assert medium is not None
    assert xlarge is not None
    assert (medium.rehearsed, xlarge.rehearsed) == (True, False)
    times = sizes[steps["xlarge"].key] / sizes[steps["medium"].key]
    assert 6 < times < 7  # 3.41 million over 0.52 million
    more = trained_seconds(steps["xlarge"]) * (times - 1)
    assert xlarge.seconds - medium.seconds == pytest.approx(more)


def test_a_rehearsal_grows_to_a_few_seconds() -> None:
    script = {one.key: one for one in script_of(plan_of({"seeds": 1}))}
    small = next(key for key in script if key.startswith("baseline") and key.endswith("small"))
    large = script[small.replace("small", "large")]
    found = Rehearsed({small: performed(script[small])})
    # Two steps of 2,048 tokens took 0.41 s: 14 take three seconds.
    assert sized(large, found).parameters.baseline_steps == 14


def prepared_of(given: Mapping[str, Any]) -> Prepared:
    study = load_study("quickstart")
    return prepare_plan(study, plan_study(study, given))


def test_a_study_whose_text_cannot_be_prepared_says_why() -> None:
    prepared = prepared_of(SMALL_STUDY)
    script = script_of(prepared.plan)
    failed = Rehearsed(failed={script[0].key: "the corpus is empty"})
    with pytest.raises(BadInput, match="cannot be rehearsed: the corpus is empty"):
        quoted(prepared, prepared.plan.steps, script, failed, 1, {})


@pytest.mark.parametrize("why", ["the corpus is used up", TOO_LONG, UNSUPPORTED])
def test_a_study_whose_training_refuses_its_text_would_not_run(why: str) -> None:
    prepared = prepared_of(SMALL_STUDY)
    script = script_of(prepared.plan)
    trained = next(one for one in script if one.step.stage == "baseline")
    done = {one.key: performed(one) for one in script if one.step.stage == "prepare"}
    failed = Rehearsed(done, failed={trained.key: why})
    if why in {TOO_LONG, UNSUPPORTED}:  # of which the study itself knows nothing
        named = quoted(prepared, prepared.plan.steps, script, failed, 1, {})
        told = "\n".join(lines_of(named))
        assert "time: at least" in told
        assert "not priced: baseline" in told
        assert ", baseline 0 s" not in told
        return
    with pytest.raises(BadInput, match="would not get through baseline: the corpus is used up"):
        quoted(prepared, prepared.plan.steps, script, failed, 1, {})


def test_steps_that_are_there_are_not_priced(
    micro_chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(micro_chain)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{micro_chain}/mlflow.db")
    words = iter(MICRO)
    given = {word.removeprefix("--"): next(words) for word in words}
    prepared = prepared_of({**given, "arms": "replace", "seeds": "1", "generations": "2"})
    left = {step.stage for step in missing_steps(prepared, rerun=False)}
    assert left == {"judge", "quality", "hessian", "svd_probe", "benchmark"}
    assert len(missing_steps(prepared, rerun=True)) == len(prepared.plan.steps)


def test_a_dry_run_names_the_price_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow a machine is, the rehearsals end.
    patient = functools.partial(rehearsal.rehearse, budget_seconds=3600)
    monkeypatch.setattr(quote, "rehearse", patient)
    monkeypatch.setattr(rehearsal, "LONG_ENOUGH_SECONDS", 0.3)
    (tmp_path / "mine.yaml").write_text(
        "arms: {replace: {}, fresh: {}}\ncontrol: fresh\nprobes: [svd_probe]\n"
    )
    small = ["--seeds", "2", "--generations", "1", "--rank_tokens", "200", "--workers", "1"]
    study = ["--study", "mine.yaml", "--dry_run", "true"]
    made = open_door(tmp_path, "experiment", *study, *MICRO, *small)
    assert made.returncode == 0, made.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]
    lines = made.stdout.splitlines()
    assert lines[0].startswith("what mine costs here (")
    assert lines[1] == "  4 chains, 13 steps, 0 of them there already; what is left:"
    words = ("tokens trained on", "time:", "of that:", "memory:", "disk:", "rehearsed: 4 of 4")
    for word, line in zip(words, lines[2:], strict=True):
        assert word in line
    assert "on 1 worker of 1 thread" in made.stdout
    assert [line.partition(":")[0] for line in made.stderr.splitlines()] == ["power"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--dry_run", "perhaps"], ("dry_run='perhaps'", "true or false")),
        (["--dry_run", "true", "--executor", "ray"], ("executor=ray", "leave out executor=ray")),
        (["--dry_run", "true", "--corpus", "nowhere.txt"], ("nowhere.txt",)),
    ],
)
def test_what_cannot_be_priced_is_one_line(
    words: list[str], expected: tuple[str, ...], tmp_path: Path
) -> None:
    made = open_door(tmp_path, "experiment", *words)
    assert made.returncode == 2
    error = made.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    assert all(word in error for word in expected), error
    assert list(tmp_path.iterdir()) == []
