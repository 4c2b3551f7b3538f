"""What the layers of a model hold on one batch: rank, size, likeness to another model's layers.

Shapes: N tokens of the batch, D width of the model.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from collapse.errors import BadModel
from collapse.numerics.cka import linear_cka
from collapse.numerics.parts import OverParts, over_parts
from collapse.numerics.rank import participation_ratio
from collapse.probes.curvature import Microbatch
from collapse.probes.measuring import measuring

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerActivations:
    """What one layer gives to the next, on every token of a batch.

    Attributes:
        layer: its name, as :func:`~collapse.probes.curvature.parameter_blocks` has it.
        features_NxD: the rows of all parts below each other; float32.
        part_tokens: tokens of each part.
    """

    layer: str
    features_NxD: NDArray[np.float32]
    part_tokens: tuple[int, ...]

    @property
    def shares(self) -> list[float]:
        """Of each part in the batch; they sum to 1."""
        return [count / len(self.features_NxD) for count in self.part_tokens]

    def parts(self) -> list[Floats]:
        """The features of each part, float64."""
        ends = np.cumsum(self.part_tokens)[:-1]
        return np.split(self.features_NxD.astype(np.float64), ends)


def layer_activations(
    model: nn.Module, parts: Sequence[Microbatch]
) -> tuple[LayerActivations, ...]:
    """The outputs of the embedding and of every layer, all tokens of the batch.

    From one forward pass a part, in float32, dropout and autocast off, by hooks that only look.

    Args:
        model: any causal language model of transformers: its layers are the modules under a number.
        parts: of the batch, without padding.

    Raises:
        BadModel: no layers are found, or two under one number, or activations are not finite.
    """
    modules = _layer_modules(model)
    seen: dict[str, list[Tensor]] = {name: [] for name in modules}
    with ExitStack() as stack:
        device = stack.enter_context(measuring(model))
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(_keeper(seen[name])).remove)
        # The trunk alone: logits say nothing about the layers.
        trunk: Any = model.base_model
        for part in parts:
            trunk(input_ids=part.input_ids_BxT.to(device), use_cache=False)
    found = []
    for name, pieces in seen.items():
        features_NxD = torch.cat(pieces)
        if not features_NxD.isfinite().all():
            raise BadModel(f"activations of {name} are not finite: the weights are damaged")
        tokens = tuple(len(piece) for piece in pieces)
        found.append(LayerActivations(name, features_NxD.numpy(), tokens))
    return tuple(found)


def activation_norm(activations: LayerActivations) -> OverParts | None:
    """Mean length of a token's activation."""
    lengths = [np.linalg.norm(part, axis=1).sum() for part in activations.parts()]
    counts = activations.part_tokens

    def mean(out: int | None) -> float:
        kept = [place for place in range(len(counts)) if place != out]
        return float(sum(lengths[k] for k in kept) / sum(counts[k] for k in kept))

    return over_parts(mean, activations.shares)


def activation_rank(activations: LayerActivations) -> OverParts | None:
    """Participation ratio of the singular values of the activations, their mean taken off.

    The mean is one direction that all tokens share, often the longest: left in, it would hide how
    many directions tell tokens apart. Singular values come from the D x D matrix of scalar
    products in float64: what that loses of the smallest is far below anything that counts here.
    At most ``min(N - 1, D)``, and lower on few tokens than on many.
    """
    parts = activations.parts()
    squares = [part.T @ part for part in parts]
    sums, counts = [part.sum(0) for part in parts], activations.part_tokens

    def rank(out: int | None) -> float | None:
        kept = [place for place in range(len(counts)) if place != out]
        tokens, total_D = sum(counts[k] for k in kept), sum(sums[k] for k in kept)
        spread_DxD = sum(squares[k] for k in kept) - np.outer(total_D, total_D) / tokens
        values_D = np.sqrt(np.linalg.eigvalsh(spread_DxD).clip(min=0))
        ratio = float(participation_ratio(values_D))
        return ratio if np.isfinite(ratio) else None

    return over_parts(rank, activations.shares)


def activation_similarity(
    activations: LayerActivations, reference: LayerActivations
) -> OverParts | None:
    """Debiased linear CKA of a layer's activations to another model's on the same tokens."""
    return linear_cka(
        activations.features_NxD, reference.features_NxD, part_rows=activations.part_tokens
    )


def _layer_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The embedding and the layers, first to last, by the names of their parameters' blocks."""
    embedding = getattr(model, "get_input_embeddings", lambda: None)()
    found: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if module is embedding:
            found[name.rpartition(".")[2]] = module
        elif number := re.fullmatch(r"[^\d.]\w*(?:\.[^\d.]\w*)*\.(\d+)", name):
            layer = f"layer_{number[1]}"
            if layer in found:
                raise BadModel(
                    f"{type(model).__name__} has two modules under the number {number[1]}: its "
                    "layers cannot be told"
                )
            found[layer] = module
    if not found:
        raise BadModel(f"{type(model).__name__} has no layers under numbers: none can be looked at")
    return found


def _keeper(kept: list[Tensor]) -> Callable[..., None]:
    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        # Some layers give a tuple, their hidden states first.
        hidden_BxTxD = output if isinstance(output, Tensor) else output[0]
        kept.append(hidden_BxTxD.detach().flatten(0, 1).float().cpu())

    return keep
