"""Through a real Trainer and a plain loop: nothing disturbed, the budget kept, one alarm."""

import json
import logging
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState

import collapse
from collapse.errors import BadInput, BadModel, BadParameter
from collapse.numerics.streams import numpy_stream
from collapse.watch import indicators, taking, telling, undisturbed
from tests.conftest import empty_store
from tests.watch.made_up_training import (
    VOCABULARY,
    fixed_batch,
    gpt2,
    llama,
    one_token,
    texts,
    train,
)

ALWAYS = 1e6  # a budget that skips no look
SHARED = ("nll_nats", "entropy_nats", "overconfidence_nats", "distinct_2", "key_rank")
STEADY = ("nll_nats", "overconfidence_nats")


@pytest.fixture(scope="module", autouse=True)
def _short_continuations() -> Iterator[None]:
    """They are most of a tiny model's look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(indicators, "NEW_TOKENS", 12)
        yield


def watching(**more: object) -> "collapse.EarlyWarning":
    settings = {"every": 2, "budget": ALWAYS, "burn_in": 5} | more
    return collapse.EarlyWarning(fixed_batch(), **settings)


def weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: one.clone() for name, one in model.state_dict().items()}


COARSE = {
    "bf16": True,
    "gradient_accumulation_steps": 2,
    "eval_strategy": "steps",
    "eval_steps": 2,
}


@pytest.mark.parametrize("build", [llama, gpt2])
@pytest.mark.parametrize(("attention", "more"), [("sdpa", {}), ("eager", {}), ("sdpa", COARSE)])
def test_trainer_makes_the_same_weights_to_the_bit(
    build: Callable[[], PreTrainedModel], attention: str, more: dict[str, object], tmp_path: Path
) -> None:
    found = []
    for callbacks in ((), (watching(curvature=True),)):
        model = build()
        model.set_attn_implementation(attention)
        train(model, texts(128, 0), tmp_path, *callbacks, steps=6, **more)
        assert ("_original_forward" in vars(model)) == bool(more)
        assert model.config._attn_implementation == attention
        found.append(weights(model))
    assert [look.step for look in callbacks[0].looks] == [0, 2, 4, 6]
    assert set(callbacks[0].looks[-1].values) == {*SHARED, "lambda_max"}
    for name, one in found[0].items():
        assert torch.equal(one, found[1][name]), name


def test_a_look_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where a model's own code draws random numbers or changes modes."""
    model = gpt2().train()
    model.transformer.h[0].eval()  # one part in another mode
    model.transformer.wte.weight.requires_grad_(False)
    model(input_ids=texts(2, 1), labels=texts(2, 1)).loss.backward()
    cheap, curved = taking._MEASURES

    def careless(*arguments: object) -> dict[str, float]:
        torch.rand(3)
        np.random.rand(3)
        random.random()
        model.train()
        model.requires_grad_(True)
        return cheap(*arguments)

    monkeypatch.setattr(taking, "_MEASURES", (careless, curved))
    before = _state(model)
    watching(curvature=True).after_step(model, 0)
    assert _state(model) == before


def _state(model: PreTrainedModel) -> list[object]:
    drawn = [torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()]
    modes = [module.training for module in model.modules()]
    gradients = [None if p.grad is None else p.grad.tolist() for p in model.parameters()]
    settings = [model.generation_config.to_dict(), torch.backends.mkldnn.matmul.fp32_precision]
    trainable = [p.requires_grad for p in model.parameters()]
    return [*drawn, modes, gradients, trainable, model.config.to_dict(), *settings]


def test_looks_are_in_float32_whatever_the_weights_are() -> None:
    model = llama()
    coarse = llama().to(torch.bfloat16)
    exact, watch = watching(), watching()
    exact.after_step(model.to(torch.bfloat16).float(), 0)
    watch.after_step(coarse, 0)
    assert watch.looks[0].values == exact.looks[0].values
    assert coarse.dtype == torch.bfloat16


class Bits(TrainerCallback):
    """Reads the type of logits as training makes them, and as looks do: by a hook on the head."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.seen: list[tuple[torch.dtype, bool]] = []
        head = model.get_output_embeddings()
        head.register_forward_hook(
            lambda _, inputs, out: self.seen.append((out.dtype, "measuring" in _callers()))
        )

    def types(self, by_looks: bool) -> set[torch.dtype]:
        return {kind for kind, looked in self.seen if looked == by_looks}


def _callers() -> set[str]:
    frame, names = sys._getframe(), set()
    while frame is not None:
        names.add("measuring" if frame.f_code.co_name == "take_look" else "")
        frame = frame.f_back  # type: ignore[assignment]
    return names


def test_looks_are_in_float32_under_a_trainer_in_bfloat16(tmp_path: Path) -> None:
    model = llama()
    bits, watch = Bits(model), watching(curvature=True)
    train(model, texts(64, 0), tmp_path, watch, steps=4, bf16=True)
    assert bits.types(by_looks=False) == {torch.bfloat16}
    assert bits.types(by_looks=True) == {torch.float32}
    exact = watching(curvature=True)
    exact.after_step(_copied(model), 4)
    assert watch.looks[-1] == exact.looks[0]
    wrapper = model.forward
    watch.after_step(model, 6)
    assert model.forward == wrapper


def _copied(model: PreTrainedModel) -> PreTrainedModel:
    """The same weights without anything that was hung on the model."""
    other = llama()
    other.load_state_dict(model.state_dict())
    return other


def test_looks_are_in_float32_in_a_loop_under_autocast() -> None:
    model = llama()
    bits, watch, exact = Bits(model), watching(curvature=True), watching(curvature=True)
    precision = torch.backends.mkldnn.matmul.fp32_precision
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            model(input_ids=texts(2, 1))
            watch.after_step(model, 0)
            model(input_ids=texts(2, 1))
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = precision
    assert bits.types(by_looks=False) == {torch.bfloat16}
    assert bits.types(by_looks=True) == {torch.float32}
    exact.after_step(_copied(model), 0)
    assert watch.looks == exact.looks


class Collapsing:
    """A plain loop: healthy text, and from a step on one token alone."""

    def __init__(self, watch: "collapse.EarlyWarning", turns_at: int, steps: int) -> None:
        self.model = llama()
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-3)
        for step in range(steps):
            ids = texts(8, step) if step < turns_at else one_token(8)
            self.model.train()
            self.model(input_ids=ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            if watch.after_step(self.model, step) and watch.stop:
                break


def test_plain_loop_alarms_after_the_turn_and_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = watching(burn_in=25)
    with caplog.at_level(logging.WARNING, "collapse.watch"):
        Collapsing(watch, turns_at=100, steps=130)
    assert watch.rule == "looks"
    assert watch.alarm is not None
    assert 100 <= watch.alarm.step < 125
    assert watch.alarm.indicator in STEADY
    assert watch.alarm.evidence >= 20
    assert [record.name for record in caplog.records] == ["collapse.watch"]
    assert f"step {watch.alarm.step}" in caplog.records[0].message
    assert watch.looks[-1].step == 128


def test_trainer_is_stopped_by_an_alarm_of_the_looks(tmp_path: Path) -> None:
    ids = torch.cat([texts(8 * 60, 0), one_token(8 * 40)])
    stopped, kept = watching(burn_in=22, stop=True), watching(burn_in=22)
    for watch in (stopped, kept):
        trainer = train(llama(), ids, tmp_path, watch, steps=90)
        assert watch.alarm is not None
        assert 60 < watch.alarm.step < 90
        assert trainer.state.global_step == (watch.alarm.step if watch.stop else 90)
    assert stopped.alarm == kept.alarm


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine healthy runs in one file: enough for an alarm at 10 %."""
    path = tmp_path_factory.mktemp("healthy") / "made" / "healthy.json"
    for seed in range(1, 10):
        watch = watching()
        train(llama(), texts(8 * 20, seed), path.parent, watch, steps=20)
        watch.save(path)
    return path


def test_whole_healthy_runs_tell_a_sick_one(healthy: Path, tmp_path: Path) -> None:
    well, sick = (watching(calibration=healthy, alpha=0.1) for _ in range(2))
    train(llama(), texts(8 * 20, 23), tmp_path, well, steps=20)
    assert well.rule == sick.rule == "runs"
    assert well.alarm is None
    ids = torch.cat([texts(8 * 10, 23), one_token(8 * 10)])
    train(llama(), ids, tmp_path, sick, steps=20)
    assert sick.alarm is not None
    assert 10 < sick.alarm.step <= 16
    assert sick.alarm.evidence == pytest.approx(10)
    # No evidence beyond the healthy runs' last look.
    judged = sick.judged
    sick.after_step(llama(), 400)
    assert sick.evidence[-1] == sick.evidence[-2]
    assert sick.judged == judged == 11


def test_fewer_healthy_runs_than_the_bound_takes_are_refused(healthy: Path) -> None:
    with pytest.raises(BadParameter, match=r"9 healthy runs and alpha=0.05 takes 19: [^\n]*$"):
        watching(calibration=[healthy])


def test_the_same_runs_given_twice_are_no_more_runs(healthy: Path, tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match=r"number 10 is number 1 again, [^\n]*$"):
        watching(calibration=[healthy, healthy], alpha=0.06)
    # In two files they are as good as in one.
    content = json.loads(healthy.read_text())
    parts = [tmp_path / "a.json", tmp_path / "b.json"]
    for part, runs in zip(parts, (content["runs"][:4], content["runs"][4:]), strict=True):
        part.write_text(json.dumps(content | {"runs": runs}))
    assert watching(calibration=parts, alpha=0.1).rule == "runs"


def test_predictions_that_are_not_finite_alarm_at_once() -> None:
    model = llama()
    watch = watching(curvature=True)
    watch.after_step(model, 0)
    assert watch.alarm is None
    assert len(watch.looks[0].values) == 6
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    alarm = watch.after_step(model, 2)
    assert alarm is not None
    assert alarm.evidence == float("inf")
    assert (alarm.step, alarm.indicator) == (2, "nll_nats")
    assert watch.looks[1].values == {}


def test_a_run_that_diverged_is_not_saved_as_healthy(tmp_path: Path) -> None:
    model, watch, path = llama(), watching(), tmp_path / "healthy.json"
    watch.after_step(model, 0)
    with torch.no_grad():
        model.lm_head.weight[3] = torch.nan
    watch.after_step(model, 2)
    watch.after_step(llama(), 4)  # well again
    with pytest.raises(BadParameter, match=r"not finite at step 2, [^\n]*not healthy$"):
        watch.save(path)
    assert not path.exists()


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def looks_by_budget(
    monkeypatch: pytest.MonkeyPatch, budget: float, costs: tuple[float, float], steps: int = 400
) -> tuple["collapse.EarlyWarning", Clock]:
    """A loop whose steps take one second, and whose two kinds of looks cost so much."""
    clock = Clock()

    def measure(cost: float, name: str) -> Callable[..., dict[str, float]]:
        def pays(*_: object) -> dict[str, float]:
            clock.now += cost
            return {name: 1.0}

        return pays

    both = measure(costs[0], "nll_nats"), measure(costs[1], "lambda_max")
    monkeypatch.setattr(taking, "_MEASURES", both)
    watch = watching(budget=budget, every=1, curvature=True, clock=clock)
    model = torch.nn.Linear(1, 1)
    for step in range(steps):
        clock.now += 1.0
        watch.after_step(model, step)
        # Once the first looks are paid for, the share is kept after every single step.
        if step > 2 * max(costs) / budget:
            assert watch.share <= budget
    return watch, clock


def test_budget_is_kept_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, clock = looks_by_budget(monkeypatch, 0.05, (0.5, 1.0))
    curved = sum("lambda_max" in look.values for look in watch.looks)
    # 400 seconds of training, and half of 5 % of it for either kind.
    assert len(watch.looks) == pytest.approx(20, abs=1)
    assert curved == pytest.approx(10, abs=1)
    spent_s = 0.5 * len(watch.looks) + 1.0 * curved
    assert clock.now == pytest.approx(500 + spent_s)
    assert watch.share == pytest.approx(spent_s / 399, rel=0.01)


def test_an_ample_budget_skips_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, _ = looks_by_budget(monkeypatch, 10.0, (0.5, 1.0), steps=50)
    assert [look.step for look in watch.looks] == list(range(50))
    assert all("lambda_max" in look.values for look in watch.looks)


def test_judging_and_logging_are_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()

    def log(*_: object) -> None:
        clock.now += 3.0

    monkeypatch.setattr(telling, "log_to_active_run", log)
    monkeypatch.setattr(taking, "_MEASURES", (lambda *_: {"nll_nats": 1.0},))
    watch = watching(budget=0.5, every=1, clock=clock)
    for step in range(40):
        clock.now += 1.0
        watch.after_step(torch.nn.Linear(1, 1), step)
        # Of a look that costs 3 seconds nothing is left over, not even while it is being paid.
        assert step < 6 or watch.share <= 0.5
    assert [look.step for look in watch.looks[:3]] == [0, 12, 18]


def test_a_look_that_fails_later_ends_no_training(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> dict[str, float]:
        raise BadInput("the gradient is not finite")

    model, watch = llama(), watching(curvature=True)
    watch.after_step(model, 0)
    monkeypatch.setattr(taking, "_MEASURES", (taking._MEASURES[0], refuse))
    monkeypatch.setattr(telling, "log_to_active_run", refuse)
    with pytest.raises(BadInput):
        watching(curvature=True).after_step(model, 0)  # the first look of another watch
    with caplog.at_level(logging.WARNING, "collapse.watch"):
        for step in (2, 4):
            watch.after_step(model, step)
    assert set(watch.looks[2].values) == set(SHARED)
    assert len(caplog.records) == 2
    assert all("training goes on: the gradient" in one.message for one in caplog.records)


@pytest.mark.parametrize("where", ["forward", "copy"])
def test_memory_that_runs_out_later_ends_no_training(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB")

    model, watch = llama().bfloat16().train(), watching()
    watch.after_step(model, 0)
    if where == "forward":
        monkeypatch.setattr(taking, "_MEASURES", (full,))
    else:
        monkeypatch.setattr(undisturbed, "_in_float32", full)
    with pytest.raises(torch.OutOfMemoryError):
        watching().after_step(model, 0)  # the first look of another watch
    with caplog.at_level(logging.WARNING, "collapse.watch"):
        for step in (2, 4):
            assert watch.after_step(model, step) is None
    assert [look.values for look in watch.looks[1:]] == [{}, {}]
    (said,) = [one.message for one in caplog.records]
    assert said.endswith("training goes on: CUDA out of memory. Tried to allocate 2.00 GiB")
    assert model.training


def test_a_model_of_text_and_images_is_refused_in_a_line() -> None:
    model = llama()
    model.config = SimpleNamespace(text_config=model.config)
    with pytest.raises(BadModel, match="LlamaForCausalLM is no plain causal language model"):
        watching().after_step(model, 0)


def test_steps_and_seeds_of_numpy_are_saved(tmp_path: Path) -> None:
    watch, plain = watching(seed=np.int64(3)), watching(seed=3)
    for step in np.arange(0, 4, 2):
        watch.after_step(llama(), step)
        plain.after_step(llama(), int(step))
    watch.save(tmp_path / "numpy.json")
    plain.save(tmp_path / "plain.json")
    assert (tmp_path / "numpy.json").read_text() == (tmp_path / "plain.json").read_text()


def test_continuations_have_one_length_whatever_the_model_calls_its_end() -> None:
    """An end of text is a token like others to one that counts pairs of tokens."""
    values = []
    for end in (None, 0, 1, 2, 3):
        model, watch = llama(), watching()
        model.generation_config.eos_token_id = end
        watch.after_step(model, 0)
        values.append(watch.looks[0].values["distinct_2"])
    assert len(set(values)) == 1


@pytest.mark.parametrize("rule", ["runs", "looks"])
def test_a_resumed_run_is_judged_as_one_run(rule: str, healthy: Path, tmp_path: Path) -> None:
    """Stopped at step 13, after the turn and between two looks, and resumed by the same watch."""
    ids = torch.cat([texts(8 * 10, 23), one_token(8 * 10)])
    settings = {"calibration": healthy, "alpha": 0.1} if rule == "runs" else {"burn_in": 4}
    whole, watch = watching(**settings), watching(**settings)
    train(llama(), ids, tmp_path, whole, steps=20)
    saving = {"save_strategy": "steps", "save_steps": 13}
    train(llama(), ids, tmp_path, watch, steps=15, **saving)
    state = json.loads((tmp_path / "checkpoint-13" / "trainer_state.json").read_text())
    (kept,) = [v for k, v in state["stateful_callbacks"].items() if "EarlyWarning" in k]
    for again in (watch, watching(**settings)):
        train(llama(), ids, tmp_path, again, steps=20, resume=tmp_path / "checkpoint-13")
        assert again.rule == rule
        assert again.looks == whole.looks
        assert again.evidence == whole.evidence
        assert (again.alarm, again.judged) == (whole.alarm, whole.judged)
        assert again._budget.spent_s > sum(kept["spent_s"]) > 0
        assert again._budget.training_s > kept["training_s"] > 0


def test_two_watches_of_one_batch_are_resumed_each_with_its_own_looks(tmp_path: Path) -> None:
    ids, pairs = texts(8 * 8, 23), []
    for resume in (None, tmp_path / "checkpoint-6"):
        pair = watching(every=2), watching(every=3)
        saving = {"save_strategy": "steps", "save_steps": 6}
        train(llama(), ids, tmp_path, *pair, steps=8, resume=resume, **saving)
        pairs.append(pair)
    for whole, again in zip(*pairs, strict=True):
        assert again.looks == whole.looks
        assert again.evidence == whole.evidence


def test_a_run_resumed_without_its_looks_is_told_and_not_saved(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(llama(), texts(64, 0), tmp_path, steps=4, save_strategy="steps", save_steps=4)
    watch = watching()
    with caplog.at_level(logging.WARNING, "collapse.watch"):
        train(llama(), texts(64, 0), tmp_path, watch, steps=8, resume=tmp_path / "checkpoint-4")
    told = [one.message for one in caplog.records if one.name == "collapse.watch"]
    assert ["resumed at step 4" in message for message in told] == [True, False]
    assert [look.step for look in watch.looks] == [4, 6, 8]
    with pytest.raises(BadParameter, match="resumed at step 4"):
        watch.save(tmp_path / "healthy.json")


def test_no_alarm_is_told_apart_from_never_judged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short, long = watching(burn_in=5), watching(burn_in=2)
    with caplog.at_level(logging.WARNING, "collapse.watch"):
        for watch in (short, long):
            train(llama(), texts(64, 0), tmp_path, watch, steps=8)
    assert (short.judged, long.judged) == (0, 3)
    (told,) = caplog.records
    assert "none of 5 looks was judged (rule looks)" in told.message
    assert "could be judged" in short.figure().get_suptitle()
    assert "3 judged looks" in long.figure().get_suptitle()


def test_a_model_in_parts_is_refused_before_training(tmp_path: Path) -> None:
    model = llama()
    model.lm_head.weight.ds_id = 0  # as DeepSpeed's ZeRO-3 marks what it has spread
    with pytest.raises(BadModel, match=r"^the weights are spread over processes [^\n]*$"):
        train(model, texts(16, 0), tmp_path, watching(every=100), steps=2)


def test_a_sharded_model_is_refused() -> None:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        model = llama()
        fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
        with pytest.raises(BadModel, match="spread over processes"):
            watching().after_step(model, 0)
    finally:
        distributed.destroy_process_group()


def test_other_processes_than_the_first_neither_look_nor_save(tmp_path: Path) -> None:
    watch, state = watching(), TrainerState(is_world_process_zero=False)
    arguments = SimpleNamespace(world_size=2)
    watch.on_train_begin(arguments, state, TrainerControl(), model=llama())
    watch.on_train_end(arguments, state, TrainerControl())
    assert not watch.looks
    watch.save(tmp_path / "healthy.json")
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadParameter, match="the first process looks"):
        watch.figure()


def test_all_is_logged_to_the_active_run(tmp_path: Path) -> None:
    previous = mlflow.get_tracking_uri()
    (tmp_path / "mlflow.db").write_bytes(empty_store())
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        with mlflow.start_run() as run:
            watch = watching()
            train(llama(), texts(64, 0), tmp_path, watch, steps=4)
        watch.after_step(llama(), 6)  # no run is active any more
        client = mlflow.MlflowClient()
        metrics = client.get_run(run.info.run_id).data.metrics
        names = (*SHARED, "evidence", "share_of_training", "alarm")
        assert set(metrics) == {f"warning/{name}" for name in names}
        for name in SHARED:
            history = client.get_metric_history(run.info.run_id, f"warning/{name}")
            seen = {look.step: look.values[name] for look in watch.looks if look.step <= 4}
            assert {one.step: one.value for one in history} == pytest.approx(seen)
    finally:
        mlflow.set_tracking_uri(previous)


def test_table_and_figure_show_what_was_seen(healthy: Path, tmp_path: Path) -> None:
    watch = watching(calibration=healthy, alpha=0.1)
    with pytest.raises(BadParameter, match="no look was taken"):
        watch.figure()
    train(llama(), torch.cat([texts(40, 5), one_token(80)]), tmp_path, watch, steps=15)
    assert list(watch.table.columns) == ["step", *SHARED, "evidence"]
    assert watch.table["step"].tolist() == list(range(0, 15, 2))
    assert watch.alarm is not None
    assert watch.alarm.step > 5
    figure = watch.figure()
    assert f"step {watch.alarm.step}" in figure.get_suptitle()
    drawn = {axes.get_title(loc="left"): axes for axes in figure.axes}
    entropy = drawn["entropy (nats)"].lines[0]
    np.testing.assert_allclose(entropy.get_ydata(), watch.table["entropy_nats"])
    evidence = next(axes for axes in figure.axes if axes.get_ylabel() == "evidence")
    np.testing.assert_allclose(evidence.lines[0].get_ydata(), watch.table["evidence"])
    assert evidence.lines[1].get_ydata()[0] == pytest.approx(10)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alpha": 0.0}, "alpha=0.0"),
        ({"alpha": 1.0}, "alpha=1.0"),
        ({"every": 0}, "every=0"),
        ({"burn_in": 0}, "burn_in=0"),
        ({"budget": 0.0}, "budget=0.0"),
        ({"budget": float("nan")}, "budget=nan"),
        ({"calibration": "/nowhere/healthy.json"}, "/nowhere/healthy.json: No such file"),
        ({"calibration": []}, "empty list"),
    ],
)
def test_bad_settings_are_told_in_one_line(settings: dict[str, object], words: str) -> None:
    with pytest.raises(BadParameter, match=words) as told:
        watching(**settings)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "batch",
    [
        None,
        [[1, 2]],
        torch.ones(3, dtype=torch.int64),
        torch.ones(2, 3),
        torch.ones(2, 1, dtype=torch.int64),
        {"input_ids": torch.ones(1, 2, dtype=torch.int64), "attention_mask": torch.eye(2)[:1]},
    ],
)
def test_bad_batches_are_told_in_one_line(batch: object) -> None:
    with pytest.raises(BadParameter, match=r"^batch [^\n]*$"):
        collapse.EarlyWarning(batch)


def test_what_does_not_fit_the_model_fails_at_the_first_look(tmp_path: Path) -> None:
    for batch, words in (
        (fixed_batch() + VOCABULARY, f"knows 0 to {VOCABULARY - 1}"),
        (fixed_batch() - 100, "has token -[0-9]+, and"),
        (texts(2, 0).repeat(1, 3), "a context of 32"),
    ):
        watch = collapse.EarlyWarning(batch)
        with pytest.raises(BadParameter, match=words):
            train(llama(), texts(8, 0), tmp_path, watch, steps=1)
    model = llama()
    model.config.model_type = "unknown"
    with pytest.raises(BadModel, match="unknown"):
        watching().after_step(model, 0)


def test_steps_must_grow_and_a_watch_has_one_run(tmp_path: Path) -> None:
    watch = watching()
    train(llama(), texts(16, 0), tmp_path, watch, steps=2)
    with pytest.raises(BadParameter, match="step 0 after step 2"):
        train(llama(), texts(16, 0), tmp_path, watch, steps=2)


def test_tie_breaks_come_from_the_seed() -> None:
    """The same run is judged alike twice, and draws nothing from a global generator."""
    found = []
    for _ in range(2):
        watch = watching(burn_in=2)
        Collapsing(watch, turns_at=8, steps=16)
        found.append(watch.table["evidence"].tolist())
        numpy_stream(0, "elsewhere").random(3)
        np.random.rand(3)
    assert found[0] == found[1]
