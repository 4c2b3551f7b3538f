import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from collapse.language.presets import load_preset, preset_names
from collapse.probes.causality import causality_violation

LIMIT = 1e-4
SHAPE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
}
FOREIGN = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4, n_positions=32)
    ),
}


def loud(model: torch.nn.Module) -> torch.nn.Module:
    """Freshly initialised attention hardly moves a logit; larger weights make a leak show."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_causal_and_the_leak_is_seen_without_the_mask(name, attention):
    shrunken = {"num_hidden_layers": 2, "vocab_size": 60}
    model = loud(load_preset(name, **shrunken))
    model.set_attn_implementation(attention)
    assert causality_violation(model, 60, 12, seed=0) < LIMIT
    leaking = loud(load_preset(name, **shrunken, causal=False))
    leaking.set_attn_implementation(attention)
    assert causality_violation(leaking, 60, 12, seed=0) > 100 * LIMIT


@pytest.mark.parametrize("kind", FOREIGN)
def test_models_of_transformers_are_causal(kind):
    assert causality_violation(loud(FOREIGN[kind]()), 60, 12, seed=0) < LIMIT


def test_a_leak_of_one_position_is_seen():
    model = loud(load_preset("pocket", vocab_size=60))

    def peek(module, args, output):
        output[:, 4] += output[:, 5]
        return output

    model.model.embed_tokens.register_forward_hook(peek)
    assert causality_violation(model, 60, 12, seed=0) > 100 * LIMIT


def test_model_is_left_as_it_was_and_not_a_number_is_no_pass():
    model = load_preset("pocket", vocab_size=60).train()
    causality_violation(model, 60, 4, seed=0)
    assert model.training
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.nan
    assert causality_violation(model, 60, 4, seed=0) == float("inf")
