"""One look: what the budget allows, the cheapest first, and the run left as it was."""

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from collapse.errors import BadInput
from collapse.numerics.sharing import alone
from collapse.watch.allowance import Budget
from collapse.watch.indicators import CURVATURE, cheap_values, largest_eigenvalue
from collapse.watch.undisturbed import in_full, undisturbed

Measure = Callable[[Any, torch.Tensor, int], dict[str, float]]

# Without these a model has no predictions at all; the others may be undefined in a healthy one.
_MUST_BE_FINITE = ("nll_nats", "entropy_nats")
_TROUBLE = (BadInput, RuntimeError)
"""What ends no training. A RuntimeError is memory that is not there, or the model's own code."""


def take_look(
    model: nn.Module,
    input_ids_BxT: torch.Tensor,
    seed: int,
    budget: Budget,
    complain: Callable[[Exception], None],
) -> dict[str, float]:
    """Measure a model in training, and pay for it.

    What cannot be measured at its first look is an error. Later it is a complaint, and its values
    are missing: a model that could be measured before must not end its training by a look.

    Args:
        model: the model in training.
        input_ids_BxT: the fixed batch.
        seed: of continuations and start vectors.
        budget: of the cheap indicators and, where it is wanted, of the curvature.
        complain: told what could not be measured.

    Returns:
        By indicator; some may be nan.

    Raises:
        BadInput: the first look of a kind cannot be taken.
        RuntimeError: so it is, for want of memory, or in the model's own code.
    """
    values: dict[str, float] = {}
    measured: nn.Module | None = None
    _wait_for(model)
    training_s, paid_s = budget.training_s, budget.clock()
    # Each process looks by its own clock: not all of them at once.
    with undisturbed(model), alone(), ExitStack() as stack:
        for allowance, measure in zip(budget.allowances, _MEASURES, strict=False):
            if allowance.affords(training_s) and first_broken(values) is None:
                try:
                    measured = measured or stack.enter_context(in_full(model))
                    values |= measure(measured, input_ids_BxT, seed)
                except _TROUBLE as error:
                    if allowance.last_s is None:
                        raise
                    complain(error)
                now_s = budget.clock()
                allowance.pay(now_s - paid_s)
                paid_s = now_s
    return values


def first_broken(values: Mapping[str, float]) -> str | None:
    """The first indicator that shows that predictions are not finite; None where none does."""
    return next((n for n in _MUST_BE_FINITE if not math.isfinite(values.get(n, 0.0))), None)


def _curvature_values(model: Any, input_ids_BxT: torch.Tensor, seed: int) -> dict[str, float]:
    return {CURVATURE.name: largest_eigenvalue(model, input_ids_BxT, seed)}


_MEASURES: tuple[Measure, ...] = (cheap_values, _curvature_values)
"""One for each allowance, the cheapest first."""


def _wait_for(model: nn.Module) -> None:
    """What training left to a GPU is training's time, not the look's."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
