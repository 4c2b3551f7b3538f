"""Keys replaced by their projections, for as long as a block lasts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from collapse.errors import BadParameter
from collapse.language.attention_layers import LayerAttention, attention_layers
from collapse.language.key_surgery.places import SITE_OF, why_there

Hook = Callable[[Any, tuple[Any, ...], Tensor], Tensor]


@dataclass(frozen=True)
class KeyEdit:
    """What was done to the keys, for the record.

    Attributes:
        where: one of ``PLACES``.
        site: of the keys that were edited, in the words of DESIGN 4.
        reason: what an edit at that place is, in one line.
        pruned: directions gone, of each layer and of its key-value heads.
        width: E, directions of a head.
    """

    where: str
    site: str
    reason: str
    pruned: tuple[tuple[int, ...], ...]
    width: int


@contextmanager
def pruned_keys(
    model: nn.Module, projectors_per_layer: Sequence[Tensor], *, where: str
) -> Iterator[KeyEdit]:
    """Within the block the model's keys are projected; after it, or an error, it is as before.

    Nothing is written into the weights. A layer of which nothing is pruned is not touched, so that
    with 0 % pruned everywhere all outputs are the same to the bit. One block at a time: `rescaled`
    starts from the norm's input, so that it would not see another edit after the norm.

    Args:
        model: our decoder, or a Llama, Qwen2, Qwen3 or GPT-2 of transformers.
        projectors_per_layer: of each layer ``(K, E, E)``, symmetric and idempotent.
        where: one of ``PLACES``; see the package's text and ``natural_place``.

    Yields:
        What is done, for the record.

    Raises:
        BadModel: the model is not known here.
        BadParameter: an unknown place, a place after a norm where there is none, or projectors
            that do not fit the heads.
    """
    layers = attention_layers(model)
    reason = why_there(where, layers[0])
    _check(layers, projectors_per_layer)
    with ExitStack() as stack:
        for layer, projectors_KxExE in zip(layers, projectors_per_layer, strict=True):
            if not _is_identity(projectors_KxExE):
                stack.callback(_hook(layer, projectors_KxExE, where).remove)
        pruned = tuple(_pruned(projectors_KxExE) for projectors_KxExE in projectors_per_layer)
        yield KeyEdit(where, SITE_OF[where], reason, pruned, layers[0].width)


def _hook(layer: LayerAttention, projectors_KxExE: Tensor, where: str) -> Any:
    """Hang the edit on the layer's module that makes the keys, or that norms them."""
    if where == "weights":
        return layer.key_projection.register_forward_hook(_on_projection(layer, projectors_KxExE))
    edit = _after_norm if where == "after_norm" else _rescaled
    return layer.key_norm.register_forward_hook(edit(projectors_KxExE))


def _on_projection(layer: LayerAttention, projectors_KxExE: Tensor) -> Hook:
    def hook(_: Any, __: tuple[Any, ...], output_BxTxW: Tensor) -> Tensor:
        columns = layer.key_columns
        keys_BxTxKxE = output_BxTxW[..., columns].unflatten(-1, (layer.kv_heads, layer.width))
        pruned_BxTxKE = _project(keys_BxTxKxE, projectors_KxExE).flatten(-2)
        before, after = output_BxTxW[..., : columns.start], output_BxTxW[..., columns.stop :]
        return torch.cat((before, pruned_BxTxKE, after), dim=-1)

    return hook


def _after_norm(projectors_KxExE: Tensor) -> Hook:
    def hook(_: Any, __: tuple[Any, ...], normed_BxTxKxE: Tensor) -> Tensor:
        return _project(normed_BxTxKxE, projectors_KxExE)

    return hook


def _rescaled(projectors_KxExE: Tensor) -> Hook:
    """What the norm would give for the pruned keys, if it measured the whole ones."""

    def hook(norm: Any, inputs: tuple[Any, ...], normed_BxTxKxE: Tensor) -> Tensor:
        keys_BxTxKxE = inputs[0]
        wide = keys_BxTxKxE if keys_BxTxKxE.dtype == torch.float64 else keys_BxTxKxE.float()
        scale_BxTxKx1 = torch.rsqrt(wide.square().mean(-1, keepdim=True) + _epsilon(norm))
        pruned_BxTxKxE = _project(wide, projectors_KxExE) * scale_BxTxKx1 * norm.weight
        return pruned_BxTxKxE.to(normed_BxTxKxE.dtype)

    return hook


def _project(keys_BxTxKxE: Tensor, projectors_KxExE: Tensor) -> Tensor:
    """Each head's keys times its projector; which is symmetric, so that either side will do."""
    return torch.einsum("btke,kef->btkf", keys_BxTxKxE, projectors_KxExE.to(keys_BxTxKxE))


def _epsilon(norm: Any) -> float:
    """What a norm adds to the mean square: ours calls it eps, transformers variance_epsilon."""
    return float(norm.eps if hasattr(norm, "eps") else norm.variance_epsilon)


def _is_identity(projectors_KxExE: Tensor) -> bool:
    identity_ExE = torch.eye(projectors_KxExE.shape[-1]).to(projectors_KxExE)
    return torch.equal(projectors_KxExE, identity_ExE.expand_as(projectors_KxExE))


def _pruned(projectors_KxExE: Tensor) -> tuple[int, ...]:
    """Directions gone from each head: a projector's trace is its rank."""
    kept_K = projectors_KxExE.double().diagonal(dim1=-2, dim2=-1).sum(-1)
    return tuple((projectors_KxExE.shape[-1] - kept_K).round().long().tolist())


def _check(layers: Sequence[LayerAttention], projectors_per_layer: Sequence[Tensor]) -> None:
    if len(layers) != len(projectors_per_layer):
        raise BadParameter(
            f"projectors of {len(projectors_per_layer)} layers for a model of {len(layers)}"
        )
    for number, (layer, projectors_KxExE) in enumerate(
        zip(layers, projectors_per_layer, strict=True)
    ):
        due = (layer.kv_heads, layer.width, layer.width)
        if tuple(projectors_KxExE.shape) != due:
            raise BadParameter(
                f"layer {number}'s projectors have the shape {tuple(projectors_KxExE.shape)}: "
                f"{due} is due"
            )
