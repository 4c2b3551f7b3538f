from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from collapse.errors import BadModel
from collapse.language.packing import PackedBatches
from collapse.language.training import Teacher, TrainingRecipe, train

VOCABULARY = 24
RECIPE = TrainingRecipe(steps=6, tokens_per_step=4 * 16, sequence_length=16, learning_rate=1e-2)
STREAM = np.random.default_rng(0).integers(0, VOCABULARY, 600).astype(np.int32)


def llama(seed: int = 0, vocabulary: int = VOCABULARY, spread: float = 0.02) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=spread,
    )
    return LlamaForCausalLM(config)


def weights(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def test_the_divergence_is_scipys():
    generator = np.random.default_rng(1)
    student, taught = 3 * generator.standard_normal((2, 7, VOCABULARY))
    for temperature in (1.0, 2.5):
        found = Teacher(llama(), temperature=temperature).divergence_nats(
            torch.from_numpy(student).float(), torch.from_numpy(taught).float()
        )
        p, q = (softmax(logits / temperature, axis=1) for logits in (taught, student))
        assert float(found) == pytest.approx(rel_entr(p, q).sum(), rel=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_one_step_is_that_of_the_mixed_loss_written_out(temperature):
    recipe = replace(RECIPE, steps=1, clip_norm=0, learning_rate=1e-3)
    teacher = Teacher(llama(5, spread=0.5), weight=0.3, temperature=temperature)
    model, other = llama(), llama()
    (report,) = train(model, STREAM, recipe, seed=2, teacher=teacher)

    inputs, labels = PackedBatches(STREAM, 16, 4, 2).batch(0)
    logits = other(input_ids=torch.from_numpy(inputs)).logits.flatten(0, 1)
    with torch.no_grad():
        taught = teacher.model(input_ids=torch.from_numpy(inputs)).logits.flatten(0, 1)
    nll = F.cross_entropy(logits, torch.from_numpy(labels).reshape(-1))
    p, q = taught / temperature, logits / temperature
    kl = (p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))).sum(-1).mean()
    (0.7 * nll + 0.3 * temperature**2 * kl).backward()
    norm = torch.stack([w.grad.norm() for w in other.parameters()]).norm()
    assert report.values["train/loss_nats"] == pytest.approx(float(nll), rel=1e-5)
    assert report.values["train/teacher_kl_nats"] == pytest.approx(float(kl), rel=1e-5)
    assert report.values["gradient/norm"] == pytest.approx(float(norm), rel=1e-4)


def test_a_student_comes_to_say_what_its_teacher_says_and_the_teacher_stays():
    teacher = Teacher(llama(5, spread=0.5), weight=1.0)
    before = weights(teacher.model)
    recipe = replace(RECIPE, steps=120)
    reports = list(train(llama(), STREAM, recipe, seed=0, teacher=teacher))
    divergences = [one.values["train/teacher_kl_nats"] for one in reports]
    assert divergences[-1] < 0.7 * divergences[0]
    # The tokens of the text are random: nobody can learn those.
    assert reports[-1].values["train/loss_nats"] > np.log(VOCABULARY) - 0.05
    assert all(torch.equal(w, before[name]) for name, w in weights(teacher.model).items())
    assert all(w.grad is None for w in teacher.model.parameters())


def test_without_weight_the_teacher_changes_nothing_but_what_is_told():
    plain, taught = llama(), llama()
    list(train(plain, STREAM, RECIPE, seed=0))
    reports = list(train(taught, STREAM, RECIPE, seed=0, teacher=Teacher(llama(5), weight=0.0)))
    assert all(torch.equal(w, weights(plain)[name]) for name, w in weights(taught).items())
    assert all("train/teacher_kl_nats" in one.values for one in reports)


def test_micro_batches_do_not_change_what_is_learnt():
    teacher = Teacher(llama(5, spread=0.5), weight=0.6, temperature=2.0)
    reports = [
        list(train(llama(), STREAM, replace(RECIPE, micro_batch=size), seed=0, teacher=teacher))
        for size in (0, 1, 3)
    ]
    for name in ("train/loss_nats", "train/teacher_kl_nats"):
        whole, *parts = [[one.values[name] for one in some] for some in reports]
        for part in parts:
            assert part == pytest.approx(whole, rel=1e-5)


def test_a_killed_run_resumes_with_its_teacher_and_not_with_another(tmp_path):
    recipe = replace(RECIPE, checkpoint_every=2)

    def run(model, teacher, folder=None, stop=None):
        for one in train(model, STREAM, recipe, seed=0, teacher=teacher, state_folder=folder):
            if one.step == stop:
                return model
        return model

    teacher, another = Teacher(llama(5, spread=0.5)), Teacher(llama(6, spread=0.5))
    straight = weights(run(llama(), teacher))
    run(llama(), teacher, tmp_path, stop=5)
    resumed = llama()
    steps = [
        one.step
        for one in train(resumed, STREAM, recipe, seed=0, teacher=teacher, state_folder=tmp_path)
    ]
    assert steps == [5, 6]
    assert all(torch.equal(w, straight[name]) for name, w in weights(resumed).items())
    begun_anew = train(llama(), STREAM, recipe, seed=0, teacher=another, state_folder=tmp_path)
    assert [one.step for one in begun_anew] == [1, 2, 3, 4, 5, 6]


def test_a_teacher_of_another_vocabulary_is_refused_at_the_call():
    with pytest.raises(BadModel, match="tells 30 tokens apart and the student 24"):
        train(llama(), STREAM, RECIPE, seed=0, teacher=Teacher(llama(vocabulary=30)))
