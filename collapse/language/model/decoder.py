"""One decoder-only transformer whose flags span the studies.

This file and its siblings are copied beside the weights of every saved model, and are then imported
where this project is not installed. Therefore they import torch, transformers and each other only,
each other by relative imports, from which transformers knows what to copy.

Shapes: B batch, T positions of the input, S positions seen (cache and input), E width of a head,
D width of the model, V vocabulary.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache
from transformers.masking_utils import create_bidirectional_mask, create_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils import can_return_tuple
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .decoder_config import DecoderConfig
from .decoder_layers import Attention, DecoderLayer, ResidualLinear, build_norm, rotary_angles

__all__ = ["DecoderConfig", "DecoderForCausalLM"]

IGNORED_LABEL = -100  # the convention of torch and transformers


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
        seen = past_key_values.get_seq_length() if past_key_values is not None else 0
        stop = seen + hidden_BxTxD.shape[1]
        self._require_room(stop)
        if position_ids is None:
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

    def _require_room(self, tokens: int) -> None:
        most = self.config.max_position_embeddings
        if self.config.positions == "learned" and tokens > most:
            raise ValueError(f"{tokens} tokens exceed the {most} learned positions")

    def _locate(
        self, hidden_BxTxD: Tensor, positions_BxT: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Tell the model where its tokens stand: add learned vectors, or make the rotation."""
        if self.config.positions == "learned":
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
