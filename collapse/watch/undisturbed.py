"""A training run goes on as if nobody had looked."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.tensor import DTensor

from collapse.errors import BadModel
from collapse.probes.measuring import measuring


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


def refuse_parts(model: nn.Module) -> None:
    """Refuse a model of which no process has all weights: a look is one process's alone.

    Raises:
        BadModel: sharded by FSDP or tensor parallelism, or by DeepSpeed's ZeRO-3.
    """
    is_sharded = any(isinstance(one, FullyShardedDataParallel) for one in model.modules())
    if is_sharded or any(isinstance(p, DTensor) or hasattr(p, "ds_id") for p in model.parameters()):
        raise BadModel(
            "the weights are spread over processes (FSDP, ZeRO-3 or tensor parallelism): an "
            "EarlyWarning looks in one process, which must hold them all, as under plain DDP"
        )


@contextmanager
def in_full(model: nn.Module) -> Iterator[nn.Module]:
    """The model to be measured, in float32 from its weights to its predictions.

    Within the block autocast and products of fewer bits are off, whoever turned them on: a plain
    loop, or a Trainer with ``bf16`` or ``fp16``. The latter's Accelerate gives the model a
    ``forward`` of its own that enters autocast anew at every call (and keeps another as
    ``_original_forward``): meanwhile the class's is called.

    Args:
        model: the model in training; given back as it was.

    Yields:
        It, or a copy where its weights are of another type.
    """
    cast = [module for module in model.modules() if "_original_forward" in vars(module)]
    wrappers = [(module, vars(module).pop("forward", None)) for module in cast]
    try:
        measured = _in_float32(model)
        with measuring(measured):
            yield measured
    finally:
        for module, wrapper in wrappers:
            if wrapper is not None:
                vars(module)["forward"] = wrapper


def _in_float32(model: nn.Module) -> nn.Module:
    """The model, or a copy of it in float32 where its weights are of another type."""
    if all(parameter.dtype == torch.float32 for parameter in model.parameters()):
        return model
    return copy.deepcopy(model).float()
