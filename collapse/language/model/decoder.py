"""One decoder-only transformer whose flags span the studies, and its configuration.

This file is copied beside the weights of every saved model, and is then imported where this project
is not installed. Therefore it imports torch and transformers only (and siblings in this folder,
should there be any).

Shapes: B batch, T positions of the input, S positions seen (cache and input), H query heads,
K key-value heads, E width of a head, D width of the model, V vocabulary.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationMixin,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_bidirectional_mask, create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import can_return_tuple
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

FEED_FORWARDS = ("swiglu", "gelu", "relu2")
NORMS = ("rms", "layer")
POSITIONS = ("rope", "learned")
SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
IGNORED_LABEL = -100  # the convention of torch and transformers


class DecoderConfig(PretrainedConfig):
    """Shape and flags of a :class:`DecoderForCausalLM`.

    Attributes:
        feed_forward: ``swiglu`` (three matrices), ``gelu`` or ``relu2`` (two).
        norm: ``rms``, or ``layer`` (mean taken off, and a bias).
        positions: ``rope``, or ``learned`` vectors added to the embeddings.
        qk_norm: RMSNorm over each head's queries and keys, before the rotation; its gains are
            shared by the heads of a layer.
        causal: False leaves the causal mask out, which lets every position see the token it is to
            predict: the fault of the seed's code study, reproduced on purpose.

    The other names are those of transformers' Llama.

    Raises:
        ValueError: a size is not a positive whole number, a flag has an unknown value, or widths do
            not divide.
    """

    model_type = "collapse_decoder"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012  (the base class's name)

    vocab_size: int = 1024
    hidden_size: int = 128
    intermediate_size: int = 512
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 0  # 0: as many as heads
    max_position_embeddings: int = 256
    feed_forward: str = "gelu"
    norm: str = "rms"
    norm_eps: float = 1e-6
    positions: str = "rope"
    rope_theta: float = 10_000.0
    qk_norm: bool = False
    causal: bool = True
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02
    use_cache: bool = True
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in what depends on other fields, and refuse what cannot be built."""
        if not self.num_key_value_heads:
            self.num_key_value_heads = self.num_attention_heads
        if not self.causal:
            # Without the mask, what earlier positions hold changes with every new token, so that
            # nothing of it can be kept.
            self.use_cache = False
        for name in SIZES:
            _require_positive(name, getattr(self, name))
        _require_one_of("feed_forward", self.feed_forward, FEED_FORWARDS)
        _require_one_of("norm", self.norm, NORMS)
        _require_one_of("positions", self.positions, POSITIONS)
        _require_divides("hidden_size", self.hidden_size, self.num_attention_heads)
        _require_divides("num_attention_heads", self.num_attention_heads, self.num_key_value_heads)
        if self.positions == "rope":
            _require_divides("head_dim", self.head_dim, 2)
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Width E of one head."""
        return self.hidden_size // self.num_attention_heads


def _require_positive(name: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r} is not a positive whole number")


def _require_one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; known are {', '.join(known)}")


def _require_divides(name: str, value: int, divisor: int) -> None:
    if value % divisor:
        raise ValueError(f"{name}={value} is not a multiple of {divisor}")


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


class DecoderPreTrainedModel(PreTrainedModel):
    """What transformers must know about the decoder, and its initialisation."""

    config_class = DecoderConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # the loss is a plain mean over the tokens of this batch
    _no_split_modules = ["DecoderLayer"]  # noqa: RUF012
    _supports_sdpa = True
    _supports_attention_backend = True
    _can_record_outputs = {"hidden_states": DecoderLayer, "attentions": Attention}  # noqa: RUF012

    def _init_weights(self, module: nn.Module) -> None:
        """Normal weights; those that write into the residual stream are smaller (GPT-2).

        With 2L writers of equal size the stream's variance would grow with depth.
        """
        if isinstance(module, ResidualLinear):
            std = self.config.initializer_range / math.sqrt(2 * self.config.num_hidden_layers)
            nn.init.normal_(module.weight, std=std)
        else:
            super()._init_weights(module)


class DecoderModel(DecoderPreTrainedModel):
    """Embeddings, layers and the final norm: token ids in, hidden states out."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        if config.positions == "learned":
            self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.layers = nn.ModuleList(
            DecoderLayer(config, layer_idx) for layer_idx in range(config.num_hidden_layers)
        )
        self.norm = build_norm(config)
        self.gradient_checkpointing = False
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Hidden states ``(B, T, D)`` after the final norm, and the cache where it is used.

        Raises:
            ValueError: both or neither of ids and embeddings; a cache without a causal mask; more
                positions than were learned.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        hidden_BxTxD = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        past_key_values = self._cache(past_key_values, use_cache)
        mask = self._mask(hidden_BxTxD, attention_mask, past_key_values, position_ids)
        if position_ids is None:
            seen = past_key_values.get_seq_length() if past_key_values is not None else 0
            stop = seen + hidden_BxTxD.shape[1]
            position_ids = torch.arange(seen, stop, device=hidden_BxTxD.device)[None]
        hidden_BxTxD, rotation = self._locate(hidden_BxTxD, position_ids)
        for layer in self.layers:
            hidden_BxTxD = layer(
                hidden_BxTxD,
                attention_mask=mask,
                rotation=rotation,
                past_key_values=past_key_values,
                **kwargs,
            )
        return BaseModelOutputWithPast(
            last_hidden_state=self.norm(hidden_BxTxD),
            past_key_values=past_key_values,
        )

    def _cache(self, past_key_values: Cache | None, use_cache: bool | None) -> Cache | None:
        if not self.config.causal:
            if past_key_values is not None:
                raise ValueError(
                    "a decoder with causal=False keeps no cache; call generate(use_cache=False)"
                )
            return None
        if use_cache and past_key_values is None:
            return DynamicCache(config=self.config)
        return past_key_values

    def _mask(
        self,
        hidden_BxTxD: Tensor,
        attention_mask: Tensor | None,
        past_key_values: Cache | None,
        position_ids: Tensor | None,
    ) -> Tensor | None:
        """The mask that the chosen attention implementation wants: 4-D, or None where it may."""
        if not self.config.causal:
            return create_bidirectional_mask(
                config=self.config, inputs_embeds=hidden_BxTxD, attention_mask=attention_mask
            )
        return create_causal_mask(
            config=self.config,
            inputs_embeds=hidden_BxTxD,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            position_ids=position_ids,
        )

    def _locate(
        self, hidden_BxTxD: Tensor, positions_BxT: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Tell the model where its tokens stand: add learned vectors, or make the rotation."""
        if self.config.positions == "learned":
            if hidden_BxTxD.shape[1] > self.config.max_position_embeddings:
                raise ValueError(
                    f"{hidden_BxTxD.shape[1]} tokens exceed the "
                    f"{self.config.max_position_embeddings} learned positions"
                )
            return hidden_BxTxD + self.embed_positions(positions_BxT), None
        half_BxTxE = rotary_angles(self.config, positions_BxT, hidden_BxTxD.dtype)
        angles_BxTxE = torch.cat((half_BxTxE, half_BxTxE), dim=-1)
        dtype = hidden_BxTxD.dtype
        return hidden_BxTxD, (angles_BxTxE.cos().to(dtype), angles_BxTxE.sin().to(dtype))


class DecoderForCausalLM(DecoderPreTrainedModel, GenerationMixin):
    """The decoder with its language-modelling head."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.model = DecoderModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Next-token logits, and the loss where labels are given.

        Args:
            input_ids: token ids ``(B, T)``.
            attention_mask: 1 where a token is real, 0 where it is padding, ``(B, S)``.
            position_ids: ``(B, T)``; counted from the cache's length where absent.
            past_key_values: keys and values of the positions before.
            inputs_embeds: ``(B, T, D)`` in place of ``input_ids``.
            labels: ``(B, T)``, not shifted; -100 is ignored.
            use_cache: return keys and values; the configuration's where None.
            logits_to_keep: only the last so many positions (0: all), or these positions.
            **kwargs: handed to the attention implementation.

        Returns:
            ``logits`` ``(B, T, V)``; ``loss``: mean cross-entropy in nats over the predicted
            tokens, in float32 at least.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits_BxTxV = self.lm_head(outputs.last_hidden_state[:, kept])
        return CausalLMOutputWithPast(
            loss=None if labels is None else next_token_loss(logits_BxTxV, labels),
            logits=logits_BxTxV,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


def next_token_loss(logits_BxTxV: Tensor, labels_BxT: Tensor) -> Tensor:
    """Mean cross-entropy in nats of each label under the logits one position before it."""
    wide = logits_BxTxV if logits_BxTxV.dtype == torch.float64 else logits_BxTxV.float()
    targets_N = labels_BxT[:, 1:].reshape(-1)
    predicted_NxV = wide[:, :-1].reshape(-1, wide.shape[-1])
    return F.cross_entropy(predicted_NxV, targets_N, ignore_index=IGNORED_LABEL)


# Both names go into the auto_map of a saved configuration, so that the code is saved with it.
DecoderConfig.register_for_auto_class()
DecoderForCausalLM.register_for_auto_class("AutoModelForCausalLM")

# A copy that was loaded from a model's folder must not take the place of the project's own classes.
if not __name__.startswith("transformers_modules."):
    AutoConfig.register(DecoderConfig.model_type, DecoderConfig)
    AutoModelForCausalLM.register(DecoderConfig, DecoderForCausalLM)
