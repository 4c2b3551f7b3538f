"""How far the weights of each layer moved, in shares of their size."""

from collections.abc import Sequence

import torch
from torch import nn

from collapse.errors import BadModel
from collapse.probes.curvature import parameter_blocks

ALL = "all"
"""Stands for the layer where the whole model is meant."""


def blocks_of(models: Sequence[nn.Module]) -> dict[str, tuple[str, ...]]:
    """Names of the trainable parameters by layer, the whole model as ``all`` first.

    Layers are those of :func:`~collapse.probes.curvature.parameter_blocks`: a tied weight counts
    once.

    Args:
        models: at least one; all must have the same parameters.

    Raises:
        BadModel: they differ in the names or shapes of their parameters, or none is trainable.
    """
    shapes = [{name: p.shape for name, p in model.named_parameters()} for model in models]
    for other in shapes[1:]:
        if different := sorted(shapes[0].items() ^ other.items()):
            raise BadModel(
                f"two generations differ in the shape of {different[0][0]!r}: only models of one "
                "shape can be compared"
            )
    blocks = parameter_blocks(models[0])
    if not blocks:
        raise BadModel("the model has no trainable weights: all have requires_grad=False")
    return {ALL: tuple(name for names in blocks.values() for name in names)} | blocks


def relative_drift(model: nn.Module, reference: nn.Module) -> dict[str, float]:
    """``|theta - theta_0| / |theta_0|`` of each layer, and of the whole model as ``all``.

    Weights have gauges (queries and keys may be scaled against each other, channels permuted): two
    models that drifted apart may still be one function. Between a model and what was trained from
    it, as here, that is no concern; between models of different initialisation it says nothing.

    Args:
        model: theta.
        reference: theta_0, of the same shape.

    Returns:
        By layer; one whose reference is all zeros has no relative drift, and is left out.

    Raises:
        BadModel: the models differ in shape.
    """
    blocks = blocks_of([model, reference])
    now, then = dict(model.named_parameters()), dict(reference.named_parameters())
    moved = {name: _square(now[name].detach() - then[name].detach()) for name in blocks[ALL]}
    sizes = {name: _square(then[name].detach()) for name in blocks[ALL]}
    drifts = {}
    for block, names in blocks.items():
        size = sum(sizes[name] for name in names)
        if size > 0:
            drifts[block] = (sum(moved[name] for name in names) / size) ** 0.5
    return drifts


def _square(tensor: torch.Tensor) -> float:
    return float(tensor.double().square().sum())
