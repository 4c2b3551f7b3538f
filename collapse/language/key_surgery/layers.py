"""Where a model makes its keys, and where they can be edited."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from collapse.errors import BadModel, BadParameter

WITH_SPLIT_KEYS = ("collapse_decoder", "llama", "qwen2", "qwen3")
"""Model types with ``self_attn.k_proj``, and ``self_attn.k_norm`` where they norm their keys."""
WITH_FUSED_KEYS = ("gpt2",)
"""Model types with one ``attn.c_attn`` for queries, keys and values."""

SITE_OF = {"weights": "projection", "rescaled": "projection", "after_norm": "post_norm"}
"""Where to take the keys (DESIGN 4) whose directions an edit at each place is to prune."""
PLACES = tuple(SITE_OF)


@dataclass(frozen=True, eq=False)
class LayerKeys:
    """Where one layer makes its keys.

    Attributes:
        projection: the module whose output ``(B, T, W)`` holds the keys.
        begin: the first column of the keys in that output.
        heads: K, key-value heads.
        width: E, of a head.
        norm: the RMSNorm over each head's keys, ``(B, T, K, E)`` in and out; None without QK-norm.
    """

    projection: nn.Module
    begin: int
    heads: int
    width: int
    norm: Any

    @property
    def end(self) -> int:
        """The first column behind the keys."""
        return self.begin + self.heads * self.width

    def keys_in(self, output_BxTxW: Tensor) -> Tensor:
        """The keys ``(B, T, K, E)`` in what the projection gave."""
        return output_BxTxW[..., self.begin : self.end].unflatten(-1, (self.heads, self.width))


def layer_keys(model: nn.Module) -> list[LayerKeys]:
    """Where each layer of a model makes its keys, from the first layer to the last.

    Raises:
        BadModel: a type of model that is not known here, or a trunk without its head.
    """
    kind = _type_of(model)
    parts: Any = model
    try:
        if kind in WITH_SPLIT_KEYS:
            return [_split_keys(layer.self_attn) for layer in parts.model.layers]
        if kind in WITH_FUSED_KEYS:
            return [_fused_keys(layer.attn) for layer in parts.transformer.h]
    except AttributeError as error:
        raise BadModel(
            f"{type(model).__name__} has no layers where a causal language model has them: give "
            "the model with its head"
        ) from error
    known = ", ".join(WITH_SPLIT_KEYS + WITH_FUSED_KEYS)
    raise BadModel(f"keys of a model of type {kind!r} cannot be found; known are {known}")


def key_gains(model: nn.Module) -> list[Tensor]:
    """A copy of the gains ``(E,)`` of each layer's norm on keys, shared by its heads.

    Raises:
        BadModel: the model is not known here, or has no gains to prune by.
    """
    norms = [layer.norm for layer in layer_keys(model)]
    if None in norms:
        raise BadModel(
            f"strategy 'gamma': a model of type {_type_of(model)!r} without a norm on its keys has "
            "no gains to prune by: take svd or random"
        )
    return [norm.weight.detach().clone() for norm in norms]


def natural_place(model: nn.Module) -> str:
    """``after_norm`` where the keys are normed, ``weights`` where they are not.

    Raises:
        BadModel: a type of model that is not known here.
    """
    return "after_norm" if layer_keys(model)[0].norm is not None else "weights"


def why_there(where: str, layers: Sequence[LayerKeys]) -> str:
    """What an edit at this place is, in one line for the record.

    Raises:
        BadParameter: an unknown place, or one after a norm where there is none.
    """
    if where not in PLACES:
        raise BadParameter(f"where is {where!r}; known are {', '.join(PLACES)}")
    if layers[0].norm is None:
        if where != "weights":
            raise BadParameter(
                f"where is {where!r}, but this model does not norm its keys: take 'weights'"
            )
        return "through W_k; the keys are not normed afterwards"
    return {
        "weights": "through W_k; the norm on the keys re-inflates what is left",
        "rescaled": "through W_k, with the norm dividing by the size of the whole key",
        "after_norm": "after the norm on the keys, which would re-inflate what is left",
    }[where]


def _type_of(model: nn.Module) -> str:
    return str(getattr(getattr(model, "config", None), "model_type", type(model).__name__))


def _split_keys(attention: Any) -> LayerKeys:
    width = attention.head_dim
    heads = attention.k_proj.out_features // width
    return LayerKeys(attention.k_proj, 0, heads, width, getattr(attention, "k_norm", None))


def _fused_keys(attention: Any) -> LayerKeys:
    """Queries, keys and values lie side by side in the output of one matrix."""
    return LayerKeys(
        attention.c_attn, attention.split_size, attention.num_heads, attention.head_dim, None
    )
