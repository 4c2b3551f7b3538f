"""Optimizers of a language model, and the schedule of their learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from collapse.language.muon import Muon
from collapse.language.precision import fast_type

if TYPE_CHECKING:
    from collapse.language.training.recipe import TrainingRecipe

# A second moment that forgets in about 20 steps rather than 1,000: generations train for 100.
ADAMW_BETAS = (0.9, 0.95)
MUON_MOMENTUM = 0.95


def build_optimizers(model: nn.Module, recipe: TrainingRecipe) -> list[torch.optim.Optimizer]:
    """The optimizers of a recipe over a model's trainable parameters, each parameter in one group.

    Tied weights count once. Weight decay falls on matrices (embeddings too), never on gains or
    biases. :class:`~collapse.language.muon.Muon` takes the two-dimensional weights of the body, and
    multiplies in the type that their device is fast in; embeddings, learned positions and the head,
    tied or not, stay with AdamW. Muon's update of a matrix (out, in) is scaled by
    sqrt(max(1, out / in)); GPT-2 stores its matrices transposed, where the scale uses in / out.

    Args:
        model: a causal language model with ``get_output_embeddings``, or any module.
        recipe: names the optimizer, its rates and its decay.

    Returns:
        ``[AdamW]``, or ``[Muon, AdamW]``. Every group keeps its peak rate in ``initial_lr``.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    body = _body_matrices(model) if recipe.optimizer == "muon" else set()
    muon = [parameter for parameter in trainable if id(parameter) in body]
    adamw = [parameter for parameter in trainable if id(parameter) not in body]
    optimizers: list[torch.optim.Optimizer] = []
    if muon:
        optimizers.append(
            Muon(
                muon,
                lr=recipe.muon_learning_rate,
                momentum=MUON_MOMENTUM,
                weight_decay=recipe.weight_decay,
                dtype=fast_type(muon[0].device),
            )
        )
    if adamw:
        optimizers.append(_adamw(adamw, recipe))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return optimizers


def _adamw(parameters: Sequence[nn.Parameter], recipe: TrainingRecipe) -> torch.optim.AdamW:
    """AdamW in two groups, with and without decay."""
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    vectors = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=ADAMW_BETAS, fused=True)


def _body_matrices(model: nn.Module) -> set[int]:
    """Identities of the two-dimensional weights that are neither embedding nor head."""
    outside = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    head = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if head is not None:
        outside.add(id(head.weight))
    return {id(p) for p in model.parameters() if p.ndim == 2} - outside


def learning_rate_factor(step: int, recipe: TrainingRecipe) -> float:
    """What the peak learning rates are multiplied by in one step.

    Warmup rises as (step + 1) / warmup_steps and reaches 1 in its last step. Then the factor stays
    1 until the last ``decay_fraction`` of the training (never before the warmup ends), and falls,
    linearly (a trapezoid, where decay_fraction < 1) or along half a cosine, towards
    ``final_learning_rate_fraction``, which it would reach in the step after the last: no step has
    a rate of zero. "constant" does not fall.

    Args:
        step: optimizer step, from 0.
        recipe: schedule, warmup and length of the training.

    Returns:
        A factor between 0 and 1.
    """
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    if recipe.schedule == "constant":
        return 1.0
    begin = max(recipe.warmup_steps, round(recipe.steps * (1 - recipe.decay_fraction)))
    if step < begin:
        return 1.0
    done = (step - begin) / (recipe.steps - begin)
    left = 1 - done if recipe.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return recipe.final_learning_rate_fraction + (1 - recipe.final_learning_rate_fraction) * left


def set_learning_rates(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """Set every group's rate to its peak rate times the factor of :func:`learning_rate_factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
