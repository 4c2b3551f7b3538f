"""Small models of every family, and their dense matrices by another road than the operator's."""

from collections.abc import Callable

import torch
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.nn import functional as F
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

from collapse.language.presets import load_preset

VOCABULARY = 13
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 8,
    "intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 16,
    "initializer_range": 0.3,
}


def _decoder(**flags: object) -> PreTrainedModel:
    return load_preset("pocket", **SHAPE | flags)


def _foreign(model: type, config: type, **more: object) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = model(config(**(SHAPE if config is not GPT2Config else {}) | more)).eval()
        # Gains of 1 and biases of 0 would hide terms.
        for parameter in made.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return made


MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "tied, grouped keys, qk-norm": lambda: _decoder(qk_norm=True, feed_forward="swiglu"),
    "layer norm, learned positions": lambda: _decoder(
        norm="layer", positions="learned", tie_word_embeddings=False, num_key_value_heads=2
    ),
    "llama": lambda: _foreign(LlamaForCausalLM, LlamaConfig),
    "qwen2 (biases)": lambda: _foreign(Qwen2ForCausalLM, Qwen2Config),
    "qwen3": lambda: _foreign(Qwen3ForCausalLM, Qwen3Config, head_dim=4, tie_word_embeddings=True),
    "gpt2": lambda: _foreign(
        GPT2LMHeadModel,
        GPT2Config,
        vocab_size=VOCABULARY,
        n_embd=8,
        n_layer=2,
        n_head=2,
        n_inner=12,
        n_positions=16,
        bos_token_id=0,
        eos_token_id=0,
    ),
}


def tokens(rows: int = 3, length: int = 6, seed: int = 0) -> torch.Tensor:
    """Random ids (rows, length)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(VOCABULARY, (rows, length), generator=generator)


def direction(like: torch.Tensor | int, seed: int = 1, dtype: torch.dtype = torch.float64):
    """A random vector."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(int(like), generator=generator, dtype=torch.float64).to(dtype)


class Dense:
    """Loss and logits of a float64 model as plain functions of one flat vector."""

    def __init__(self, model: PreTrainedModel, ids: torch.Tensor, labels: torch.Tensor) -> None:
        if hasattr(model, "set_attn_implementation"):
            model.set_attn_implementation("eager")
        self.model, self.ids, self.labels = model, ids, labels
        named = {name: p.detach() for name, p in model.named_parameters()}
        self.shapes = {name: p.shape for name, p in named.items()}
        self.point_P = torch.cat([p.flatten() for p in named.values()])

    def logits(self, vector_P: torch.Tensor) -> torch.Tensor:
        """Those that predict something, (N, V)."""
        parts = vector_P.split([shape.numel() for shape in self.shapes.values()])
        weights = {n: p.view(s) for (n, s), p in zip(self.shapes.items(), parts, strict=True)}
        inputs = {"input_ids": self.ids, "use_cache": False}
        logits = functional_call(self.model, weights, (), inputs).logits
        return logits[:, :-1][self.labels[:, 1:] != -100]

    def loss(self, vector_P: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy."""
        targets = self.labels[:, 1:]
        return F.cross_entropy(self.logits(vector_P), targets[targets != -100])

    def hessian(self) -> torch.Tensor:
        """By forward differentiation of the gradient, (P, P)."""
        basis = torch.eye(len(self.point_P), dtype=torch.float64)
        columns = vmap(lambda v: jvp(grad(self.loss), (self.point_P,), (v,))[1], chunk_size=256)(
            basis
        )
        return columns.T

    def gauss_newton(self) -> torch.Tensor:
        """J^T H J with both written out, (P, P)."""
        jacobian_NxVxP = jacrev(self.logits)(self.point_P)
        p_NxV = self.logits(self.point_P).softmax(-1)
        inner_NxVxV = torch.diag_embed(p_NxV) - p_NxV[:, :, None] * p_NxV[:, None, :]
        total = torch.einsum("nvp,nvw,nwq->pq", jacobian_NxVxP, inner_NxVxV, jacobian_NxVxP)
        return total / len(p_NxV)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Norm of the difference over the norm of what is right."""
    return float((found.double() - expected).norm() / expected.norm())
