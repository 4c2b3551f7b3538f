"""A training run goes on as if nobody had looked."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put back what a look may touch: random states, each module's mode, what is trainable.

    The states of torch on the CPU and on every GPU in use, of NumPy and of Python. No probe draws
    from them; this also holds for what a foreign model's own code may draw.

    Args:
        model: the model in training.
    """
    modes = [(module, module.training) for module in model.modules()]
    trainable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    of_numpy, of_python = np.random.get_state(), random.getstate()
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)
        for parameter, wanted in trainable:
            parameter.requires_grad_(wanted)
        for module, training in modes:
            module.training = training


def bare(model: nn.Module) -> nn.Module:
    """The model itself, without the wrappers of torch.compile and of data parallelism."""
    for name in ("_orig_mod", "module"):
        inner = getattr(model, name, None)
        if isinstance(inner, nn.Module):
            return bare(inner)
    return model


def in_float32(model: nn.Module) -> nn.Module:
    """The model, or a copy of it in float32 where its weights are of another type."""
    if all(parameter.dtype == torch.float32 for parameter in model.parameters()):
        return model
    return copy.deepcopy(model).float()
