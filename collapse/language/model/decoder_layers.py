"""The decoder's layers. Copied beside the weights of every saved model; see decoder.py.

Shapes: B batch, T positions of the input, S positions seen (cache and input), H query heads,
K key-value heads, E width of a head, D width of the model.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.cache_utils import Cache
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .decoder_config import DecoderConfig


class RMSNorm(nn.Module):
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last axis (Zhang and Sennrich, 2019).

    Written out, as torch's fused kernel has no double backward on GPUs.
    """

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x``, in float32 at least; same shape and type out."""
        wide = x if x.dtype == torch.float64 else x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return (wide * scale).to(x.dtype) * self.weight


class ResidualLinear(nn.Linear):
    """A projection whose output is added to the residual stream; it starts smaller."""


def build_norm(config: DecoderConfig) -> nn.Module:
    """The normalisation over the model's width that ``config.norm`` names."""
    if config.norm == "rms":
        return RMSNorm(config.hidden_size, config.norm_eps)
    return nn.LayerNorm(config.hidden_size, config.norm_eps)


def rotary_angles(config: DecoderConfig, positions_BxT: Tensor, dtype: torch.dtype) -> Tensor:
    """Angles of the rotary embedding, ``(B, T, E / 2)`` (Su et al., 2021).

    Computed anew from the configuration and not kept in a buffer: buffers that are not saved come
    back uninitialised from some ways of loading.
    """
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    exponents = torch.arange(0, config.head_dim, 2, device=positions_BxT.device, dtype=wide)
    frequencies = config.rope_theta ** (-exponents / config.head_dim)
    return positions_BxT[..., None].to(wide) * frequencies


def rotate(x_BxHxTxE: Tensor, cos_BxTxE: Tensor, sin_BxTxE: Tensor) -> Tensor:
    """Rotate the pairs (i, i + E/2) of every head by the angles of its position."""
    first, second = x_BxHxTxE.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return x_BxHxTxE * cos_BxTxE[:, None] + turned * sin_BxTxE[:, None]


def eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention of plain operations, all of which can be differentiated twice.

    Args:
        module: gives ``num_key_value_groups``, the query heads that share a key-value head.
        query: ``(B, H, T, E)``.
        key: ``(B, K, S, E)``.
        value: ``(B, K, S, E)``.
        attention_mask: added to the scores, ``(B, 1, T, S)``, or None.
        scaling: factor of the scores.

    Returns:
        The mixed values ``(B, T, H, E)`` and the weights ``(B, H, T, S)``.
    """
    groups = module.num_key_value_groups
    if groups > 1:
        key = key.repeat_interleave(groups, dim=1)
        value = value.repeat_interleave(groups, dim=1)
    scores_BxHxTxS = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores_BxHxTxS = scores_BxHxTxS + attention_mask
    wide = torch.float64 if query.dtype == torch.float64 else torch.float32
    weights_BxHxTxS = scores_BxHxTxS.softmax(-1, dtype=wide).to(query.dtype)
    return (weights_BxHxTxS @ value).transpose(1, 2).contiguous(), weights_BxHxTxS


class Attention(nn.Module):
    """Multi-head attention, with fewer key-value heads where the configuration says so."""

    def __init__(self, config: DecoderConfig, layer_idx: int) -> None:
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx  # the cache and transformers' attention functions ask for these
        self.head_dim = config.head_dim
        self.num_key_value_groups = config.num_attention_heads // config.num_key_value_heads
        self.scaling = config.head_dim**-0.5
        self.is_causal = config.causal
        key_width = config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, key_width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, key_width, bias=False)
        self.o_proj = ResidualLinear(config.hidden_size, config.hidden_size, bias=False)
        if config.qk_norm:
            self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
            self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(
        self,
        hidden_BxTxD: Tensor,
        attention_mask: Tensor | None,
        rotation: tuple[Tensor, Tensor] | None,
        past_key_values: Cache | None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Mix the positions; returns the output ``(B, T, D)`` and the weights where eager."""
        batch, length, _ = hidden_BxTxD.shape
        by_head = (batch, length, -1, self.head_dim)
        query = self.q_proj(hidden_BxTxD).view(by_head)
        key = self.k_proj(hidden_BxTxD).view(by_head)
        value = self.v_proj(hidden_BxTxD).view(by_head).transpose(1, 2)
        if self.config.qk_norm:
            query, key = self.q_norm(query), self.k_norm(key)
        query, key = query.transpose(1, 2), key.transpose(1, 2)
        if rotation is not None:
            query, key = rotate(query, *rotation), rotate(key, *rotation)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend: Callable[..., tuple[Tensor, Tensor | None]] = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention
        )
        mixed, weights = attend(
            self, query, key, value, attention_mask, dropout=0.0, scaling=self.scaling, **kwargs
        )
        return self.o_proj(mixed.reshape(batch, length, -1)), weights


class FeedForward(nn.Module):
    """SwiGLU (Shazeer, 2020), GELU, or squared ReLU (So et al., 2021), at each position alone."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.kind = config.feed_forward
        if self.kind == "swiglu":
            self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = ResidualLinear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform every position alone; ``(..., D)`` in and out."""
        inner = self.up_proj(hidden)
        if self.kind == "swiglu":
            inner = F.silu(self.gate_proj(hidden)) * inner
        elif self.kind == "gelu":
            inner = F.gelu(inner)
        else:
            inner = F.relu(inner).square()
        return self.down_proj(inner)


class DecoderLayer(GradientCheckpointingLayer):
    """Attention and feed-forward, each on its normalised input and added to the residual stream."""

    def __init__(self, config: DecoderConfig, layer_idx: int) -> None:
        super().__init__()
        self.input_layernorm = build_norm(config)
        self.self_attn = Attention(config, layer_idx)
        self.post_attention_layernorm = build_norm(config)
        self.mlp = FeedForward(config)

    def forward(self, hidden_BxTxD: Tensor, **kwargs: Any) -> Tensor:
        """Residual stream in, residual stream out."""
        mixed_BxTxD, _ = self.self_attn(self.input_layernorm(hidden_BxTxD), **kwargs)
        hidden_BxTxD = hidden_BxTxD + mixed_BxTxD
        return hidden_BxTxD + self.mlp(self.post_attention_layernorm(hidden_BxTxD))
