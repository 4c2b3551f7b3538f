"""One look: what the budget allows, the cheapest first, and the run left as it was."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from collapse.numerics.sharing import alone
from collapse.watch.allowance import Allowance
from collapse.watch.indicators import CURVATURE, cheap_values, largest_eigenvalue
from collapse.watch.undisturbed import in_float32, undisturbed

# Without these a model has no predictions at all; the others may be undefined in a healthy one.
_MUST_BE_FINITE = ("nll_nats", "entropy_nats")


def take_look(
    model: nn.Module,
    input_ids_BxT: torch.Tensor,
    seed: int,
    allowances: Sequence[Allowance],
    training_s: float,
    clock: Callable[[], float],
) -> dict[str, float]:
    """Measure a model in training, and pay for it.

    Args:
        model: the model in training.
        input_ids_BxT: the fixed batch.
        seed: of continuations and start vectors.
        allowances: of the cheap indicators and, where it is wanted, of the curvature.
        training_s: seconds of training so far.
        clock: seconds.

    Returns:
        By indicator; some may be nan.
    """
    values: dict[str, float] = {}
    # Each process looks by its own clock: not all of them at once.
    with undisturbed(model), alone():
        _wait_for(model)
        paid_s = clock()
        measured = in_float32(model)
        for allowance, measure in zip(allowances, _MEASURES, strict=False):
            if allowance.affords(training_s) and first_broken(values) is None:
                values |= measure(measured, input_ids_BxT, seed)
                now_s = clock()
                allowance.pay(now_s - paid_s)
                paid_s = now_s
    return values


def first_broken(values: Mapping[str, float]) -> str | None:
    """The first indicator that shows that predictions are not finite; None where none does."""
    return next((n for n in _MUST_BE_FINITE if not math.isfinite(values.get(n, 0.0))), None)


def _curvature_values(model: Any, input_ids_BxT: torch.Tensor, seed: int) -> dict[str, float]:
    return {CURVATURE.name: largest_eigenvalue(model, input_ids_BxT, seed)}


_MEASURES = (cheap_values, _curvature_values)
"""One for each allowance, the cheapest first."""


def _wait_for(model: nn.Module) -> None:
    """What training left to a GPU is training's time, not the look's."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
