"""A model made ready to be differentiated twice, and put back as it was."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PretrainedConfig

_TWICE_DIFFERENTIABLE = ("eager", "sdpa", None)
"""Attention of transformers that has a second derivative, sdpa with torch's math kernel."""


@contextmanager
def twice_differentiable(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Dropout and autocast off, gradients on, attention of operations that have two derivatives.

    Fused attention kernels have no double backward. torch's own is told to use its plain kernel,
    which costs a little less than eager attention; where transformers calls another, the model is
    switched to its eager implementation. Each module's mode and each configuration's attention are
    put back, after an error, too.

    Args:
        model: any module.
        device: where its weights are.
    """
    with ExitStack() as stack:
        stack.enter_context(exact_gradients(device))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        modes = [(module, module.training) for module in model.modules()]
        stack.callback(_put_back_modes, modes)
        attentions = [(config, config._attn_implementation) for config in _configurations(model)]
        stack.callback(_put_back_attention, attentions)
        model.eval()
        if any(name not in _TWICE_DIFFERENTIABLE for _, name in attentions):
            _switch_to_eager(model)
        yield


@contextmanager
def exact_gradients(device: torch.device) -> Iterator[None]:
    """Gradients on and autocast off, which would round products to half precision, too."""
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield


@contextmanager
def only_trainable(model: nn.Module, parameters: tuple[nn.Parameter, ...]) -> Iterator[None]:
    """Within the block no other parameter is recorded, which saves what others would keep alive."""
    chosen = {id(parameter) for parameter in parameters}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def _configurations(model: nn.Module) -> list[PretrainedConfig]:
    """All configurations of transformers in a model, those within others included."""
    queue = [getattr(module, "config", None) for module in model.modules()]
    found: dict[int, PretrainedConfig] = {}
    for config in queue:
        if isinstance(config, PretrainedConfig) and id(config) not in found:
            found[id(config)] = config
            queue += [getattr(config, name, None) for name in config.sub_configs]
    return list(found.values())


def _switch_to_eager(model: Any) -> None:
    for module in model.modules():
        if hasattr(module, "set_attn_implementation"):
            module.set_attn_implementation("eager")
            return  # it tells its parts itself


def _put_back_attention(attentions: list[tuple[PretrainedConfig, str | None]]) -> None:
    # Not by the model's setter: it would check anew whether a kernel can be had, and load it.
    for config, name in attentions:
        config._attn_implementation_internal = name


def _put_back_modes(modes: list[tuple[nn.Module, bool]]) -> None:
    for module, training in modes:
        module.training = training
