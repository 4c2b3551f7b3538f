"""Keys and queries of every head on one batch.

Shapes: B batch, T positions, N = B T tokens, H query heads, K key-value heads, E width of a head.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from collapse.errors import BadModel, BadParameter
from collapse.language.attention_layers import SITES, attention_layers
from collapse.probes.measuring import measuring


@dataclass(frozen=True, eq=False)
class HeadMatrices:
    """The heads of one layer on one batch; float32.

    Attributes:
        layer: its number, from 0.
        site: one of ``SITES``, where they were taken.
        queries_HxNxE: of the query heads, the tokens of all rows of the batch below each other.
        keys_KxNxE: of the key-value heads; H is a multiple of K.
    """

    layer: int
    site: str
    queries_HxNxE: Tensor
    keys_KxNxE: Tensor


def head_matrices(
    model: nn.Module, input_ids_BxT: Tensor, site: str = "post_norm"
) -> tuple[HeadMatrices, ...]:
    """Keys and queries of every layer and head, from one forward pass.

    In float32, dropout and autocast off, by hooks that only look: the model, its mode and its
    gradients are left as they were, and no random number is drawn.

    Args:
        model: see :func:`~collapse.language.attention_layers.attention_layers`.
        input_ids_BxT: token ids without padding; moved to the model's device.
        site: ``projection``, ``post_norm`` or ``post_rope``.

    Returns:
        One a layer, first to last, on the model's device.

    Raises:
        BadModel: an unknown kind of model, weights that are not float32, or keys or queries that
            are not finite.
        BadParameter: an unknown site, or a batch that is empty, not (B, T), or longer than the
            model's context.
    """
    layers = attention_layers(model)
    _check(model, input_ids_BxT, site)
    sights: list[dict[str, Any]] = [{} for _ in layers]
    with ExitStack() as stack:
        device = stack.enter_context(measuring(model))
        for layer, seen in zip(layers, sights, strict=True):
            for handle in layer.watch(seen, site):
                stack.callback(handle.remove)
        # The trunk alone: the head over the vocabulary says nothing about the layers.
        trunk: nn.Module = model.base_model
        trunk(input_ids=input_ids_BxT.to(device), use_cache=False)
        found = [layer.heads_at(seen) for layer, seen in zip(layers, sights, strict=True)]
    return tuple(
        HeadMatrices(layer.layer, site, *(_tokens_together(one, layer.layer) for one in pair))
        for layer, pair in zip(layers, found, strict=True)
    )


def _tokens_together(x_BxHxTxE: Tensor, layer: int) -> Tensor:
    x_HxNxE = x_BxHxTxE.transpose(0, 1).flatten(1, 2)
    if not x_HxNxE.isfinite().all():
        raise BadModel(f"keys or queries of layer {layer} are not finite: its weights are damaged")
    return x_HxNxE


def _check(model: nn.Module, input_ids_BxT: Tensor, site: str) -> None:
    if site not in SITES:
        raise BadParameter(f"unknown site {site!r}; known are {', '.join(SITES)}")
    if input_ids_BxT.ndim != 2 or input_ids_BxT.numel() == 0:
        raise BadParameter(f"input_ids of shape {tuple(input_ids_BxT.shape)}: must be (B, T)")
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and input_ids_BxT.shape[1] > context:
        raise BadParameter(
            f"input_ids have {input_ids_BxT.shape[1]} positions and the model {context}: give the "
            "tokens in more rows"
        )
    for parameter in model.parameters():
        if parameter.dtype != torch.float32:
            raise BadModel(
                f"the weights are {parameter.dtype}: load the model with dtype=torch.float32 to "
                "measure ranks"
            )
