import math
from dataclasses import replace

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from collapse.language.muon import Muon
from collapse.language.optimizers import (
    build_optimizers,
    learning_rate_factor,
    set_learning_rates,
)
from collapse.language.training.recipe import TrainingRecipe

RECIPE = TrainingRecipe(steps=100, tokens_per_step=64, sequence_length=16, weight_decay=0.1)
MUON = replace(RECIPE, optimizer="muon")


def llama(*, tied: bool) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=32,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            tie_word_embeddings=tied,
        )
    )


def gpt2() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=8))


def names(model, parameters):
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    return {name_of[id(parameter)] for parameter in parameters}


def grouped(optimizers):
    return [
        p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]
    ]


@pytest.mark.parametrize("recipe", [RECIPE, MUON], ids=["adamw", "muon"])
@pytest.mark.parametrize("build", [lambda: llama(tied=True), lambda: llama(tied=False), gpt2])
def test_every_parameter_is_in_one_group(build, recipe):
    model = build()
    parameters = grouped(build_optimizers(model, recipe))
    assert len(parameters) == len({id(p) for p in parameters})
    assert {id(p) for p in parameters} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("build", [lambda: llama(tied=True), lambda: llama(tied=False), gpt2])
def test_muon_takes_the_bodys_matrices_only(build):
    model = build()
    muon, adamw = build_optimizers(model, MUON)
    assert isinstance(muon, Muon)
    assert isinstance(adamw, torch.optim.AdamW)
    outside = ("embed", "lm_head", "wte", "wpe")
    expected = {
        name
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2 and not any(word in name for word in outside)
    }
    assert names(model, muon.param_groups[0]["params"]) == expected
    assert len(expected) == (14 if isinstance(model, LlamaForCausalLM) else 8)


def test_decay_falls_on_matrices_only():
    for model in (llama(tied=True), gpt2()):
        (adamw,) = build_optimizers(model, RECIPE)
        decay = {group["weight_decay"]: group["params"] for group in adamw.param_groups}
        assert set(decay) == {0.1, 0.0}
        assert all(p.ndim >= 2 for p in decay[0.1])
        assert all(p.ndim == 1 for p in decay[0.0])
        muon, _ = build_optimizers(model, MUON)
        assert [group["weight_decay"] for group in muon.param_groups] == [0.1]


def test_frozen_gains_are_left_out():
    model = llama(tied=True)
    frozen = [p for name, p in model.named_parameters() if "norm" in name]
    for parameter in frozen:
        parameter.requires_grad_(False)
    ids = {id(p) for p in grouped(build_optimizers(model, MUON))}
    assert not ids & {id(p) for p in frozen}
    assert len(ids) == len(list(model.parameters())) - len(frozen)


def test_one_factor_scales_both_rates():
    optimizers = build_optimizers(llama(tied=True), MUON)
    for factor in (0.5, 0.25, 1.0):
        set_learning_rates(optimizers, factor)
        assert [o.param_groups[0]["lr"] for o in optimizers] == [0.02 * factor, 3e-3 * factor]


def test_warmup_rises_linearly_to_one():
    recipe = replace(RECIPE, warmup_steps=10)
    assert [learning_rate_factor(s, recipe) for s in (0, 4, 9, 10, 99)] == [0.1, 0.5, 1, 1, 1]


def test_linear_decay_is_a_trapezoid():
    recipe = replace(
        RECIPE,
        warmup_steps=10,
        schedule="linear",
        decay_fraction=0.4,
        final_learning_rate_fraction=0.2,
    )
    factors = [learning_rate_factor(step, recipe) for step in range(100)]
    assert factors[9:61] == [1.0] * 52
    assert factors[80] == pytest.approx(0.6)  # half way from 1 to 0.2
    assert factors[99] == pytest.approx(0.2 + 0.8 / 40)


def test_cosine_follows_its_closed_form():
    recipe = replace(RECIPE, warmup_steps=20, schedule="cosine", final_learning_rate_fraction=0.1)
    for step in (20, 40, 60, 99):
        expected = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 20) / 80))
        assert learning_rate_factor(step, recipe) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_no_step_has_a_rate_of_zero(schedule):
    recipe = replace(RECIPE, schedule=schedule, warmup_steps=3)
    factors = [learning_rate_factor(step, recipe) for step in range(100)]
    assert all(0 < factor <= 1 for factor in factors)
    # A warmup as long as the training is no division by zero.
    long = replace(RECIPE, schedule=schedule, warmup_steps=100)
    assert learning_rate_factor(99, long) == 1
