from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from collapse.errors import BadCorpus, BadModel, BadParameter, TrainingDiverged
from collapse.language.packing import PackedBatches
from collapse.language.training import TrainingRecipe, train

TIMES = {"train/tokens_per_second", "train/seconds"}
VOCABULARY = 32
RECIPE = TrainingRecipe(
    steps=12, tokens_per_step=5 * 16, sequence_length=16, warmup_steps=2, schedule="linear"
)
MUON = replace(RECIPE, optimizer="muon", weight_decay=0.1)
STREAM = np.random.default_rng(0).integers(0, VOCABULARY, 700).astype(np.int32)
HELD_OUT = np.random.default_rng(1).integers(0, VOCABULARY, 150).astype(np.int32)


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=32,
            tie_word_embeddings=True,
        )
    )


def gpt2_with_dropout() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    )


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def assert_same_bits(model, other):
    theirs = weights(other)
    for name, tensor in weights(model).items():
        assert torch.equal(tensor, theirs[name]), name


def losses(measurements):
    return [m.values["train/loss_nats"] for m in measurements]


def untimed(measurements):
    return [(m.step, {k: v for k, v in m.values.items() if k not in TIMES}) for m in measurements]


def test_it_is_the_loop_one_would_write():
    """Against torch alone: the same data, AdamW, clipping and schedule, written out."""
    recipe = replace(RECIPE, clip_norm=0.5, weight_decay=0.1)
    model = llama()
    measured = losses(train(model, STREAM, recipe, seed=7))

    other = llama()
    matrices = [p for p in other.parameters() if p.ndim == 2]
    gains = [p for p in other.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}],
        betas=(0.9, 0.95),
    )
    batches = PackedBatches(STREAM, 16, 5, seed=7)
    expected = []
    for step in range(12):
        rate = 3e-3 * ((step + 1) / 2 if step < 2 else 1 - (step - 2) / 10)
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, labels = (torch.from_numpy(a) for a in batches.batch(step))
        loss = F.cross_entropy(other(inputs).logits.flatten(0, 1), labels.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(other.parameters(), 0.5)
        optimizer.step()
        expected.append(loss.item())
    assert measured == pytest.approx(expected, rel=1e-5)
    theirs = weights(other)
    for name, tensor in weights(model).items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recipe", [RECIPE, MUON], ids=["adamw", "muon"])
def test_micro_batches_do_not_change_the_losses(recipe):
    whole = list(train(llama(), STREAM, recipe, seed=0))
    for micro in (1, 3):
        parts = list(train(llama(), STREAM, replace(recipe, micro_batch=micro), seed=0))
        # Muon rounds to bfloat16, which lets rounding of the gradient show.
        tolerance = 1e-5 if recipe is RECIPE else 2e-3
        assert losses(parts) == pytest.approx(losses(whole), rel=tolerance)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_it_learns(optimizer):
    stream = np.tile(np.arange(VOCABULARY, dtype=np.int32), 20)
    recipe = replace(RECIPE, steps=80, optimizer=optimizer, learning_rate=1e-2)
    measured = losses(train(llama(), stream, recipe, seed=0))
    assert measured[0] > 3.0
    assert measured[-1] < 0.6  # a text without structure would stay at log 32 = 3.47


def test_same_arguments_same_bits_and_the_seed_matters():
    first, again, other = llama(), llama(), llama()
    a = list(train(first, STREAM, MUON, seed=0))
    b = list(train(again, STREAM, MUON, seed=0))
    c = list(train(other, STREAM, MUON, seed=1))
    assert_same_bits(first, again)
    assert untimed(a) == untimed(b)
    assert losses(a) != losses(c)


def test_looking_does_not_disturb():
    """Dropout on, a validation each step, a callback that draws: the weights keep their bits."""
    undisturbed, watched = gpt2_with_dropout(), gpt2_with_dropout()
    list(train(undisturbed, STREAM, RECIPE, seed=0))

    def look(step, model):
        assert not model.training
        torch.rand(3)

    torch.manual_seed(123)
    before = torch.get_rng_state()
    recipe = replace(RECIPE, evaluate_every=1)
    steps = range(13)
    for _ in train(
        watched,
        STREAM,
        recipe,
        seed=0,
        validation=HELD_OUT,
        on_checkpoint=look,
        checkpoint_steps=steps,
    ):
        torch.rand(1)
    assert_same_bits(undisturbed, watched)
    # The caller's generator moved by its own draws alone: 13 of 3, 12 of 1.
    after = torch.get_rng_state()
    torch.set_rng_state(before)
    for _ in range(13):
        torch.rand(3)
    for _ in range(12):
        torch.rand(1)
    assert torch.equal(after, torch.get_rng_state())


def test_dropout_is_on_and_follows_the_seed():
    plain = losses(train(gpt2_with_dropout(), STREAM, RECIPE, seed=0))
    again = losses(train(gpt2_with_dropout(), STREAM, RECIPE, seed=0))
    model = gpt2_with_dropout()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    assert plain == again
    assert plain != losses(train(model, STREAM, RECIPE, seed=0))


def test_each_step_has_its_own_dropout():
    """One window, no learning: the losses differ by the masks alone."""
    still = replace(RECIPE, tokens_per_step=16, learning_rate=0.0)
    assert len(set(losses(train(gpt2_with_dropout(), STREAM[:17], still, seed=0)))) == 12
    assert len(set(losses(train(llama(), STREAM[:17], still, seed=0)))) == 1


def test_validation_is_transformers_own_loss():
    model = llama()
    short = HELD_OUT[:17]
    *_, last = train(model, STREAM, RECIPE, seed=0, validation=short)
    ids = torch.from_numpy(short.astype(np.int64))[None]
    expected = model(input_ids=ids, labels=ids).loss.item()
    assert last.values["validation/nll_nats"] == pytest.approx(expected, rel=1e-6)


def test_validation_predicts_every_token_once():
    """149 tokens in windows of 16: nine whole ones and one of 5, in batches of 5 and of 2."""
    for micro in (0, 2):
        model = llama()
        recipe = replace(RECIPE, micro_batch=micro, precision="bf16")
        *_, last = train(model, STREAM, recipe, seed=0, validation=HELD_OUT)
        nll = []
        for begin in range(0, 149, 16):
            ids = torch.from_numpy(HELD_OUT[begin : begin + 17].astype(np.int64))
            log_p = model(input_ids=ids[None, :-1]).logits[0].log_softmax(-1)
            nll += (-log_p[torch.arange(len(ids) - 1), ids[1:]]).tolist()
        assert len(nll) == 149
        assert last.values["validation/nll_nats"] == pytest.approx(np.mean(nll), rel=1e-6)


def test_it_reports_sparsely_and_at_the_end():
    recipe = replace(RECIPE, steps=103, evaluate_every=50)
    measurements = list(train(llama(), STREAM, recipe, seed=0, validation=HELD_OUT))
    reports = [m for m in measurements if "train/loss_nats" in m.values]
    assert 20 <= len(reports) <= 60
    assert [m.step for m in measurements if "validation/nll_nats" in m.values] == [50, 100, 103]
    last = measurements[-1]
    assert last.step == 103
    assert last.values["train/tokens_seen"] == 103 * 80
    assert last.values["train/epochs"] == pytest.approx(103 * 5 / 42)
    assert last.values["train/tokens_per_second"] > 0
    assert last.values["train/seconds"] > 0
    assert last.values["gradient/norm"] > 0


def test_the_loss_is_the_mean_since_the_last_report():
    each = losses(train(llama(), STREAM, replace(RECIPE, schedule="constant"), seed=0))
    longer = replace(RECIPE, schedule="constant", steps=80)
    pairs = losses(train(llama(), STREAM, longer, seed=0))
    assert pairs[:6] == pytest.approx([sum(each[i : i + 2]) / 2 for i in range(0, 12, 2)])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_keeps_float32_weights_and_the_loss(precision):
    exact = losses(train(llama(), STREAM, RECIPE, seed=0))
    model = llama()
    mixed = losses(train(model, STREAM, replace(RECIPE, precision=precision), seed=0))
    assert mixed != exact
    assert mixed == pytest.approx(exact, rel=0.02)
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert model(torch.tensor([[1]])).logits.dtype == torch.float32


def test_fp16_leaves_a_step_out_whole_where_one_gradient_overflows():
    """Muon has the body, AdamW the rest: neither steps where the other's gradient is infinite."""
    model = llama()
    before, overflowing = weights(model), True
    body = model.model.layers[0].self_attn.q_proj.weight
    hook = body.register_hook(lambda grad: grad * torch.inf if overflowing else grad)
    run = train(model, STREAM, replace(MUON, precision="fp16"), seed=0)
    next(run)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    overflowing = False
    next(run)
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    hook.remove()


def test_the_model_is_left_clean():
    model = llama()
    iterator = train(model, STREAM, RECIPE, seed=0)
    next(iterator)
    iterator.close()
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    forward = model.forward
    list(train(model.train(), STREAM, RECIPE, seed=0))
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    assert model.forward == forward


@pytest.mark.parametrize("recipe", [RECIPE, MUON], ids=["adamw", "muon"])
def test_a_stopped_run_resumes_to_the_same_bits(recipe, tmp_path):
    recipe = replace(recipe, steps=90, checkpoint_every=5)
    whole = gpt2_with_dropout()
    expected = list(train(whole, STREAM, recipe, seed=0))

    first = []
    for measurement in train(gpt2_with_dropout(), STREAM, recipe, seed=0, state_folder=tmp_path):
        first.append(measurement)
        if measurement.step >= 62:
            break
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-000000055.pt", "step-000000060.pt"]

    resumed = gpt2_with_dropout()
    steps = []
    rest = list(
        train(resumed, STREAM, recipe, seed=0, state_folder=tmp_path, progress=steps.append)
    )
    assert steps == list(range(61, 91))
    assert_same_bits(whole, resumed)
    after = [m for m in expected if m.step > 60]
    assert untimed(rest) == untimed(after)
    assert untimed(first) == untimed(expected[: len(first)])


def test_a_report_that_spans_the_state_survives(tmp_path):
    """Reports fall on even steps, the state on step 5: its half sum must go on."""
    recipe = replace(RECIPE, steps=80, checkpoint_every=5)
    expected = [m for m in train(llama(), STREAM, recipe, seed=0) if m.step > 5]
    iterator = train(llama(), STREAM, recipe, seed=0, state_folder=tmp_path)
    while next(iterator).step < 6:
        pass
    iterator.close()
    rest = list(train(llama(), STREAM, recipe, seed=0, state_folder=tmp_path))
    assert untimed(rest) == untimed(expected)


def test_a_damaged_state_is_passed_over(tmp_path):
    recipe = replace(RECIPE, checkpoint_every=4)
    whole, resumed = llama(), llama()
    list(train(whole, STREAM, recipe, seed=0, state_folder=tmp_path))
    states = sorted(tmp_path.glob("*.pt"))
    # None after step 12, so that a run that was killed at its very end still reports the end.
    assert [path.name for path in states] == ["step-000000004.pt", "step-000000008.pt"]
    for damaged in (states[1].read_bytes()[:1000], b""):
        states[1].write_bytes(damaged)
        steps = []
        resumed = llama()
        list(train(resumed, STREAM, recipe, seed=0, state_folder=tmp_path, progress=steps.append))
        assert steps == list(range(5, 13))
        assert_same_bits(whole, resumed)


def test_a_run_goes_on_with_other_intervals_of_saving_and_validation(tmp_path):
    whole, resumed = llama(), llama()
    list(train(whole, STREAM, RECIPE, seed=0))
    recipe = replace(RECIPE, checkpoint_every=4)
    list(train(llama(), STREAM, recipe, seed=0, state_folder=tmp_path))
    other = replace(recipe, checkpoint_every=3, evaluate_every=2)
    steps = []
    run = train(
        resumed,
        STREAM,
        other,
        seed=0,
        state_folder=tmp_path,
        validation=HELD_OUT,
        progress=steps.append,
    )
    list(run)
    assert steps == list(range(9, 13))
    assert_same_bits(whole, resumed)


@pytest.mark.parametrize("changed", ["recipe", "text", "seed", "start"])
def test_another_trainings_state_is_passed_over_and_replaced(changed, tmp_path):
    recipe = replace(RECIPE, checkpoint_every=4)
    list(train(llama(), STREAM, recipe, seed=0, state_folder=tmp_path))
    models = [llama(), llama(), llama()]
    stream, seed = STREAM, 0
    if changed == "recipe":
        recipe = replace(recipe, learning_rate=1e-2)
    elif changed == "text":
        stream = STREAM[::-1].copy()
    elif changed == "seed":
        seed = 1
    else:
        for model in models:
            with torch.no_grad():
                model.model.norm.weight[0] += 1e-6
    whole, stopped, resumed = models
    list(train(whole, stream, recipe, seed=seed))
    # Saved at step 2, before the old training's 4 and 8, and yet it is what is gone on from.
    recipe = replace(recipe, checkpoint_every=2)
    steps = []
    run = train(stopped, stream, recipe, seed=seed, state_folder=tmp_path, progress=steps.append)
    while next(run).step < 3:
        pass
    run.close()
    assert steps == [1, 2, 3]
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000002.pt"]
    list(train(resumed, stream, recipe, seed=seed, state_folder=tmp_path, progress=steps.append))
    assert steps == [1, 2, 3, *range(3, 13)]
    assert_same_bits(whole, resumed)


@pytest.mark.parametrize(
    ("change", "factors"),
    [
        # Warmup over w steps adds up to (w + 1) / 2, and so do m steps of a fall to zero, linear
        # or along a cosine: the step after the last is at zero.
        ({"schedule": "constant", "warmup_steps": 0}, 12),
        ({"schedule": "constant", "warmup_steps": 4}, 5 / 2 + 8),
        ({"schedule": "linear", "warmup_steps": 2}, 3 / 2 + 11 / 2),
        ({"schedule": "cosine", "warmup_steps": 3}, 4 / 2 + 10 / 2),
        # A trapezoid: 2 of warmup, 4 at the top, 6 that fall to a fifth of it.
        (
            {
                "schedule": "linear",
                "warmup_steps": 2,
                "decay_fraction": 0.5,
                "final_learning_rate_fraction": 0.2,
            },
            3 / 2 + 4 + 6 * 0.2 + 0.8 * 7 / 2,
        ),
    ],
)
def test_rates_add_up_to_their_closed_form(change, factors):
    rates = {"learning_rate": 3e-3, "muon_learning_rate": 0.02}
    for recipe in (replace(RECIPE, **rates, **change), replace(MUON, **rates, **change)):
        *before, last = train(llama(), STREAM, recipe, seed=0)
        assert last.values["train/learning_rate_sum"] == pytest.approx(3e-3 * factors)
        muon = last.values.get("train/muon_learning_rate_sum")
        assert muon == (pytest.approx(0.02 * factors) if recipe.optimizer == "muon" else None)
        assert not any("learning_rate_sum" in name for one in before for name in one.values)


def test_checkpoints_are_shown_when_asked():
    shown = []

    def show(step, model):
        shown.append(step)

    recipe = replace(RECIPE, checkpoint_every=5)
    list(train(llama(), STREAM, recipe, seed=0, on_checkpoint=show))
    list(train(llama(), STREAM, recipe, seed=0, on_checkpoint=show, checkpoint_steps=(0, 3, 12)))
    assert shown == [5, 10, 0, 3, 12]


def test_divergence_names_step_and_value_and_keeps_the_weights():
    model = llama()
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    before = weights(model)
    with pytest.raises(TrainingDiverged, match=r"loss is nan at step 0"):
        list(train(model, STREAM, RECIPE, seed=0))
    for name, tensor in weights(model).items():
        assert torch.equal(tensor.nan_to_num(9), before[name].nan_to_num(9))

    wild = replace(RECIPE, learning_rate=1e20, steps=100, clip_norm=0.0)
    with pytest.raises(TrainingDiverged, match=r"(nan|inf) at step \d+"):
        list(train(llama(), STREAM, wild, seed=0))


class SmallMemory(nn.Module):
    """A model on a device that holds two sequences."""

    def __init__(self, model, rows=2):
        super().__init__()
        self.inner, self.rows = model, rows
        self.refused = 0

    def forward(self, input_ids, **options):
        if len(input_ids) > self.rows:
            self.refused += 1
            raise torch.OutOfMemoryError("out of memory")
        return self.inner(input_ids=input_ids, **options)


def test_out_of_memory_halves_the_micro_batch():
    expected = losses(train(llama(), STREAM, RECIPE, seed=0))
    small = SmallMemory(llama())
    measured = list(train(small, STREAM, RECIPE, seed=0))
    assert losses(measured) == pytest.approx(expected, rel=1e-5)
    assert small.refused == 2  # 5 rows, 3 rows; then 2 for good
    assert measured[-1].values["train/micro_batch"] == 2

    nothing_fits = SmallMemory(llama())
    nothing_fits.forward = lambda **_: (_ for _ in ()).throw(torch.OutOfMemoryError("full"))
    with pytest.raises(torch.OutOfMemoryError):
        list(train(nothing_fits, STREAM, RECIPE, seed=0))


def test_a_micro_batch_that_was_halved_stays_so_when_the_run_goes_on(tmp_path):
    """Memory may be free again: other pieces would add up to other bits."""
    recipe = replace(RECIPE, checkpoint_every=4)
    whole, resumed = SmallMemory(llama()), SmallMemory(llama(), rows=5)
    expected = untimed(train(whole, STREAM, recipe, seed=0))
    stopped = train(SmallMemory(llama()), STREAM, recipe, seed=0, state_folder=tmp_path)
    while next(stopped).step < 5:
        pass
    stopped.close()

    rest = untimed(train(resumed, STREAM, recipe, seed=0, state_folder=tmp_path))

    assert rest == expected[4:]
    assert rest[-1][1]["train/micro_batch"] == 2
    assert_same_bits(whole, resumed)


def test_the_micro_batch_is_told_as_it_was():
    for asked, took in ((0, 5), (3, 3), (9, 5)):
        *_, last = train(llama(), STREAM, replace(RECIPE, micro_batch=asked), seed=0)
        assert last.values["train/micro_batch"] == took


def test_what_cannot_be_trained_is_named_at_the_call():
    with pytest.raises(BadModel, match="bfloat16"):
        train(llama().to(torch.bfloat16), STREAM, RECIPE, seed=0)
    with pytest.raises(BadModel, match="requires_grad"):
        train(llama().requires_grad_(False), STREAM, RECIPE, seed=0)
    with pytest.raises(BadCorpus, match="fewer than one window"):
        train(llama(), STREAM[:16], RECIPE, seed=0)
    with pytest.raises(BadCorpus, match="validation"):
        train(llama(), STREAM, RECIPE, seed=0, validation=STREAM[:1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"tokens_per_step": 81}, "81.*multiple of the sequence length 16"),
        ({"optimizer": "sgd"}, "'sgd'.*adamw, muon"),
        ({"schedule": "step"}, "constant, linear, cosine"),
        ({"precision": "fp8"}, "float32, bf16, fp16"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"decay_fraction": 1.5}, "between 0 and 1"),
        ({"clip_norm": -1}, "clip_norm is -1"),
    ],
)
def test_a_bad_recipe_is_named(change, words):
    with pytest.raises(BadParameter, match=words):
        replace(RECIPE, **change)
