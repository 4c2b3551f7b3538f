"""Where each kind of model keeps the keys and queries of its heads.

Shapes: B batch, T positions, H query heads, K key-value heads, E width of a head, D width of the
model.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from collapse.errors import BadModel

SITES = ("projection", "post_norm", "post_rope")
"""``W x``; after QK-norm; after the rotation, as attention sees it. A step may be absent."""


@dataclass(frozen=True)
class _Family:
    """How the attention of one family of models is written.

    Attributes:
        layers: path from the model to the list of its layers.
        attention: the attention's name in a layer.
        fused: name of the one projection to queries, keys and values; None: q_proj and k_proj.
        rotation: keyword by which a layer hands the attention ``(cos, sin)``; None: no rotation.
        rotary: the function beside the attention's class that rotates.
        rotary_takes_both: it rotates queries and keys in one call.
    """

    layers: str = "model.layers"
    attention: str = "self_attn"
    fused: str | None = None
    rotation: str | None = "position_embeddings"
    rotary: str = "apply_rotary_pos_emb"
    rotary_takes_both: bool = True


_FAMILIES = {
    "collapse_decoder": _Family(rotation="rotation", rotary="rotate", rotary_takes_both=False),
    "llama": _Family(),
    "qwen2": _Family(),
    "qwen3": _Family(),
    "gpt2": _Family(layers="transformer.h", attention="attn", fused="c_attn", rotation=None),
}


@dataclass(frozen=True, eq=False)
class LayerAttention:
    """The attention of one layer, seen alike for every kind of model.

    Attributes:
        layer: its number, from 0.
        module: the attention.
        heads: H.
        kv_heads: K; H is a multiple of it.
        width: E.
    """

    layer: int
    module: nn.Module
    heads: int
    kv_heads: int
    width: int
    family: _Family

    @property
    def query_weights(self) -> Tensor:
        """W of each head's query projection ``W x + b``, (H, E, D)."""
        return self._weight(0, self.heads)

    @property
    def key_weights(self) -> Tensor:
        """W of each key-value head's key projection, (K, E, D)."""
        return self._weight(1, self.kv_heads)

    @property
    def query_norm(self) -> nn.Module | None:
        """QK-norm of the queries, None where there is none."""
        return getattr(self.module, "q_norm", None)

    @property
    def key_norm(self) -> nn.Module | None:
        """QK-norm of the keys, None where there is none."""
        return getattr(self.module, "k_norm", None)

    def watch(self, seen: dict[str, Any], site: str) -> list[Any]:
        """Hook into the forward pass so that ``seen`` receives what :meth:`heads_at` needs.

        Returns:
            Handles, whose ``remove`` undoes it.
        """
        handles = []
        for name, module in self._sources(site):
            handles.append(module.register_forward_hook(_keeper(seen, name)))
        if site == "post_rope" and self.family.rotation is not None:
            keep = _rotation_keeper(seen, self.family.rotation)
            handles.append(self.module.register_forward_pre_hook(keep, with_kwargs=True))
        return handles

    def heads_at(self, seen: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Queries ``(B, H, T, E)`` and keys ``(B, K, T, E)`` from what a forward pass showed."""
        if self.family.fused is not None:
            query, key, _ = seen["fused"].chunk(3, dim=-1)
        else:
            query, key = seen["query"], seen["key"]
        batch, length = query.shape[:2]
        query = query.reshape(batch, length, self.heads, self.width).transpose(1, 2)
        key = key.reshape(batch, length, self.kv_heads, self.width).transpose(1, 2)
        rotation = seen.get("rotation")
        return (query, key) if rotation is None else self._rotated(query, key, rotation)

    def _sources(self, site: str) -> list[tuple[str, nn.Module]]:
        if self.family.fused is not None:
            return [("fused", getattr(self.module, self.family.fused))]
        query, key = self.query_norm, self.key_norm
        if site == "projection" or query is None or key is None:
            query, key = self.module.q_proj, self.module.k_proj
        return [("query", query), ("key", key)]

    def _rotated(
        self, query: Tensor, key: Tensor, rotation: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Rotated by the model's own function."""
        rotary: Callable[..., Any] = getattr(
            sys.modules[type(self.module).__module__], self.family.rotary
        )
        if self.family.rotary_takes_both:
            return rotary(query, key, *rotation)
        return rotary(query, *rotation), rotary(key, *rotation)

    def _weight(self, place: int, heads: int) -> Tensor:
        if self.family.fused is not None:
            # transformers' Conv1D keeps its weight as (in, out).
            weight = getattr(self.module, self.family.fused).weight.mT.chunk(3)[place]
        else:
            weight = (self.module.q_proj, self.module.k_proj)[place].weight
        return weight.detach().reshape(heads, self.width, -1)


def attention_layers(model: nn.Module) -> tuple[LayerAttention, ...]:
    """The attention of every layer, first to last.

    Args:
        model: a causal language model with our decoder's shape, or Llama, Qwen2, Qwen3 or GPT-2
            of transformers.

    Raises:
        BadModel: any other model.
    """
    config: Any = getattr(model, "config", None)
    kind = getattr(config, "model_type", None)
    if kind not in _FAMILIES:
        raise BadModel(
            f"attention heads of a {type(model).__name__} (model_type {kind!r}) are unknown; known "
            f"are causal language models of {', '.join(_FAMILIES)}"
        )
    family = _FAMILIES[kind]
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    try:
        blocks = model.get_submodule(family.layers)
        modules = [block.get_submodule(family.attention) for block in blocks.children()]
    except AttributeError as error:
        raise BadModel(
            f"{type(model).__name__} has no {family.layers}.*.{family.attention}: give the causal "
            "language model itself, with its head"
        ) from error
    return tuple(
        LayerAttention(layer, module, heads, kv_heads, width, family)
        for layer, module in enumerate(modules)
    )


def _keeper(seen: dict[str, Any], name: str) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        seen[name] = output.detach()

    return keep


def _rotation_keeper(seen: dict[str, Any], keyword: str) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: Any, keywords: dict[str, Any]) -> None:
        seen["rotation"] = keywords.get(keyword)

    return keep
