"""One small model of every kind that the probe of heads knows, random and not at its start."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from collapse.language.model.decoder import DecoderConfig, DecoderForCausalLM
from collapse.numerics.streams import torch_stream

VOCABULARY = 97
HEADS, KV_HEADS, WIDTH, LAYERS = 4, 2, 8, 2

SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "max_position_embeddings": 64,
}


def gpt2(**changes: Any) -> PreTrainedModel:
    shape = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": LAYERS, "n_head": HEADS}
    return GPT2LMHeadModel(GPT2Config(**shape, n_positions=64, **changes))


# The head width of Qwen3 is its own setting, here not the model's over the heads.
MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "decoder": lambda: DecoderForCausalLM(DecoderConfig(**SHAPE)),
    "decoder_qk_norm": lambda: DecoderForCausalLM(DecoderConfig(**SHAPE, qk_norm=True)),
    "decoder_learned": lambda: DecoderForCausalLM(
        DecoderConfig(**SHAPE, norm="layer", positions="learned")
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=12)),
    "gpt2": gpt2,
}
QK_NORM = ("decoder_qk_norm", "qwen3")
ROPE = ("decoder", "decoder_qk_norm", "llama", "qwen2", "qwen3")


def made_up(kind: str, scale: float = 0.3) -> PreTrainedModel:
    """A model all of whose weights, gains and biases are drawn, so that none is trivial."""
    with torch.random.fork_rng(devices=[]):
        model = MODELS[kind]()
    generator = torch_stream(0, "heads", kind)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            gain = "norm" in name or "ln_" in name
            parameter.copy_(1 + 0.4 * noise if gain and "bias" not in name else scale * noise)
    model.tie_weights()
    return model.eval()


def tokens(rows: int = 3, length: int = 40) -> torch.Tensor:
    return torch.randint(VOCABULARY, (rows, length), generator=torch_stream(0, "ids"))
