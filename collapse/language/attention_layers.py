"""Where each kind of model keeps the queries and keys of its heads, their norms and rotations.

Shapes: B batch, T positions, H query heads, K key-value heads, E width of a head, D width of the
model, W width of what a projection gives.
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
    def query_norm(self) -> Any:
        """QK-norm of the queries, over ``(B, T, H, E)``; None where there is none."""
        return getattr(self.module, "q_norm", None)

    @property
    def key_norm(self) -> Any:
        """QK-norm of the keys, over ``(B, T, K, E)``; None where there is none."""
        return getattr(self.module, "k_norm", None)

    @property
    def key_projection(self) -> nn.Module:
        """The module whose output ``(B, T, W)`` holds the keys, in `key_columns`."""
        return self._projections()[1]

    @property
    def key_columns(self) -> slice:
        """Where the keys lie in what `key_projection` gives."""
        begin = self.heads * self.width if self.family.fused is not None else 0
        return slice(begin, begin + self.kv_heads * self.width)

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

    def _projections(self) -> tuple[Any, Any]:
        """The modules that project to queries and to keys; one and the same where fused."""
        fused = self.family.fused
        names = ("q_proj", "k_proj") if fused is None else (fused, fused)
        query, key = (getattr(self.module, name) for name in names)
        return query, key

    def _sources(self, site: str) -> list[tuple[str, nn.Module]]:
        query, key = self._projections()
        if self.family.fused is not None:
            return [("fused", query)]
        if site != "projection" and None not in (self.query_norm, self.key_norm):
            query, key = self.query_norm, self.key_norm
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
        weight = self._projections()[place].weight
        if self.family.fused is not None:
            # transformers' Conv1D keeps its weight as (in, out).
            weight = weight.mT.chunk(3)[place]
        return weight.detach().reshape(heads, self.width, -1)


def attention_layers(model: nn.Module) -> tuple[LayerAttention, ...]:
    """The attention of every layer, first to last.

    Args:
        model: a causal language model with our decoder's shape, or Llama, Qwen2, Qwen3 or GPT-2
            of transformers.

    Raises:
        BadModel: any other model, or a trunk without its head.
    """
    config: Any = getattr(model, "config", None)
    kind = model_type(model)
    if kind not in _FAMILIES:
        raise BadModel(
            f"{type(model).__name__}: attention heads of a model of type {kind!r} cannot be found; "
            f"known are {', '.join(_FAMILIES)}"
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
            f"{type(model).__name__} has no {family.layers}.*.{family.attention}: give the model "
            "with its head"
        ) from error
    return tuple(
        LayerAttention(layer, module, heads, kv_heads, width, family)
        for layer, module in enumerate(modules)
    )


def model_type(model: nn.Module) -> str:
    """The kind of a model as its configuration has it; its class's name where it has none."""
    config = getattr(model, "config", None)
    return str(getattr(config, "model_type", type(model).__name__))


def _keeper(seen: dict[str, Any], name: str) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        seen[name] = output.detach()

    return keep


def _rotation_keeper(seen: dict[str, Any], keyword: str) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: Any, keywords: dict[str, Any]) -> None:
        seen["rotation"] = keywords.get(keyword)

    return keep
