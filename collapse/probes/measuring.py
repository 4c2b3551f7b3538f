"""A model as it is measured: nothing random, nothing recorded, every digit of float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

_PRODUCTS = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
"""Whoever may make matrix products with fewer bits than float32 has."""


@contextmanager
def measuring(model: nn.Module) -> Iterator[torch.device]:
    """Dropout, gradients, autocast and products in TF32 or bfloat16 are off within the block.

    Each module's mode and torch's settings are put back afterwards, after an error, too.

    Args:
        model: any module with weights, all on one device.

    Yields:
        That device.
    """
    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    precisions = [(backend, backend.fp32_precision) for backend in _PRODUCTS]
    model.eval()
    try:
        for backend in _PRODUCTS:
            backend.fp32_precision = "ieee"
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield device
    finally:
        for backend, precision in precisions:
            backend.fp32_precision = precision
        for module, training in modes:
            module.training = training
