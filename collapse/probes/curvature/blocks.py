"""Blocks of the Hessian: the parameters of one layer, and those around the layers."""

import re

from torch import nn


def parameter_blocks(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Names of the trainable parameters by block: ``layer_0``, ``layer_1``, ..., and the rest.

    A layer is what stands under one number (`model.layers.3.`, `transformer.h.3.`); what stands
    under none goes by the name of its module, such as ``embed_tokens``. A tied weight is in the
    block of its first name.
    """
    blocks: dict[str, list[str]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            number = re.search(r"\.(\d+)\.", name)
            block = f"layer_{number[1]}" if number else name.split(".")[-2]
            blocks.setdefault(block, []).append(name)
    return {block: tuple(names) for block, names in blocks.items()}
