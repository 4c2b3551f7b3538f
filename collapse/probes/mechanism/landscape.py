"""The loss on a plane through the weights, spanned by two random directions.

Source: Li, Xu, Taylor, Studer and Goldstein, Visualizing the loss landscape of neural nets, NeurIPS
2018. Each filter of a direction is scaled to the length of the weights' own filter, as a network
can be rescaled layer by layer without becoming another function: steps of equal size in the weights
mean different things in networks of different scale. Gains and biases stay where they are.

Two things differ from there. Filters are scaled to those of a reference, generation 0, and not to
the model's own: all generations of a chain are then drawn on one scale. And the directions are
drawn from the study's seed by name: all of a study are cut by the same plane.

A plane is two directions out of millions. It shows neither the sharpest nor the flattest one, and
says nothing of what lies along others; the Hessian's ends do.

Shapes: M parts of the batch, S steps along either direction.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from collapse.errors import BadModel, BadParameter
from collapse.numerics.parts import OverParts, over_parts
from collapse.numerics.streams import torch_stream
from collapse.probes.curvature import Microbatch
from collapse.probes.curvature.batch import IGNORED_LABEL, shares_of
from collapse.probes.measuring import measuring

Floats = NDArray[np.float64]
Direction = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class LossSlice:
    """The mean token cross-entropy, in nats, on a square grid around the weights.

    Attributes:
        offsets_S: steps along the first direction (rows) and the second (columns); the middle is 0.
        part_losses_MxSxS: of each part of the batch.
        shares_M: of each part in the batch.
    """

    offsets_S: Floats
    part_losses_MxSxS: Floats
    shares_M: Floats

    def losses(self) -> Floats:
        """Of the whole batch, (S, S)."""
        return np.tensordot(self.shares_M, self.part_losses_MxSxS, axes=1)

    def rises(self) -> Floats:
        """The same less the loss of the model itself, (S, S)."""
        losses_SxS, middle = self.losses(), len(self.offsets_S) // 2
        return np.asarray(losses_SxS - losses_SxS[middle, middle])

    def mean_rise(self, radius: float) -> OverParts | None:
        """Mean rise of the loss around a circle, nats a token; None where no point is near it.

        Over the points of the grid that are less than half a step off the circle. The error is
        over parts of the batch: what other directions would give is not in it.

        Args:
            radius: of the circle, in the unit of the offsets.
        """
        middle = len(self.offsets_S) // 2
        # In steps, which are whole numbers: a point half a step off is off on every side.
        steps_S = np.arange(len(self.offsets_S)) - middle
        far_SxS = np.hypot(steps_S[:, None], steps_S[None, :])
        on_SxS = np.abs(far_SxS - radius / self.offsets_S[-1] * middle) < 0.5
        if not on_SxS.any():
            return None
        parts_M = self.part_losses_MxSxS[:, on_SxS].mean(1)
        rises_M = parts_M - self.part_losses_MxSxS[:, middle, middle]

        def mean(out: int | None) -> float:
            kept = np.arange(len(rises_M)) != (-1 if out is None else out)
            return float(np.average(rises_M[kept], weights=self.shares_M[kept]))

        return over_parts(mean, self.shares_M.tolist())


def slice_offsets(points: int, radius: float) -> Floats:
    """Equal steps from ``-radius`` to ``radius``, exactly 0 in the middle.

    Raises:
        BadParameter: points is even or below 3, or radius is not positive.
    """
    if points < 3 or points % 2 == 0 or not radius > 0:
        raise BadParameter(
            f"{points} points within {radius:g}: an odd number of points is due, 3 or more, and a "
            "radius above 0"
        )
    steps = np.arange(points) - points // 2
    return np.asarray(steps * (radius / (points // 2)), dtype=np.float64)


def filter_directions(reference: nn.Module, seed: int) -> tuple[Direction, Direction]:
    """Two random directions, each filter as long as the reference's.

    A filter is what makes one output: a row of a linear map's weight (a column in GPT-2's Conv1D),
    a token's row of an embedding.

    Args:
        reference: whose filters give the lengths.
        seed: of the study; a direction of a parameter depends on it, its name and its shape alone.

    Returns:
        By name, for every parameter with two axes or more that is trainable, on its device.
    """
    transposed = {
        f"{name}.weight" for name, m in reference.named_modules() if isinstance(m, Conv1D)
    }
    matrices = {
        name: p.detach()
        for name, p in reference.named_parameters()
        if p.requires_grad and p.ndim > 1
    }
    first, second = (
        {
            name: _scaled(weight, torch_stream(seed, "landscape", which, name), name in transposed)
            for name, weight in matrices.items()
        }
        for which in range(2)
    )
    return first, second


def _scaled(weight: Tensor, generator: torch.Generator, is_transposed: bool) -> Tensor:
    drawn = torch.randn(weight.shape, generator=generator).to(weight)
    along = (0,) if is_transposed else tuple(range(1, weight.ndim))
    lengths = [torch.linalg.vector_norm(one, dim=along, keepdim=True) for one in (weight, drawn)]
    return drawn * (lengths[0] / lengths[1])


def loss_slice(
    model: nn.Module,
    parts: Sequence[Microbatch],
    directions: tuple[Direction, Direction],
    offsets_S: Floats,
    advance: Callable[[int], None] = lambda _points: None,
) -> LossSlice:
    """The loss on the plane ``theta + a d_1 + b d_2``.

    The model is called with moved copies of its weights: its own are never touched.

    Args:
        model: theta; a causal language model in float32.
        parts: of the batch.
        directions: from :func:`filter_directions`, for a model of this shape.
        offsets_S: see :func:`slice_offsets`.
        advance: told after each point.

    Raises:
        BadCorpus: there is no part, or one predicts nothing.
        BadModel: the directions are for a model of another shape.
    """
    shares = np.array(shares_of(parts))
    losses = np.empty((len(parts), len(offsets_S), len(offsets_S)))
    weights = {name: p.detach() for name, p in model.named_parameters()}
    for name, one in directions[0].items():
        if name not in weights or weights[name].shape != one.shape:
            raise BadModel(f"there is a direction for {name!r}, which the model has not so")
    with measuring(model) as device:
        here = [part.to(device) for part in parts]
        for row, a in enumerate(offsets_S.tolist()):
            for column, b in enumerate(offsets_S.tolist()):
                moved = _moved(weights, directions, (a, b))
                losses[:, row, column] = [_loss(model, moved, part) for part in here]
                advance(1)
    return LossSlice(offsets_S, losses, shares)


def _moved(
    weights: Mapping[str, Tensor], directions: tuple[Direction, Direction], by: tuple[float, float]
) -> dict[str, Tensor]:
    first, second = directions
    return {
        name: torch.add(weight + by[0] * first[name], second[name], alpha=by[1])
        if name in first
        else weight
        for name, weight in weights.items()
    }


def _loss(model: nn.Module, weights: Mapping[str, Tensor], part: Microbatch) -> float:
    """Mean token cross-entropy of one part under these weights; infinite where it overflows."""
    inputs = {"input_ids": part.input_ids_BxT, "use_cache": False}
    logits_BxTxV = functional_call(model, dict(weights), (), inputs).logits
    nll_N = F.cross_entropy(
        logits_BxTxV.flatten(0, 1).float(),
        part.shifted_targets(),
        ignore_index=IGNORED_LABEL,
        reduction="none",
    )
    loss = float(nll_N.double().sum()) / part.predicted_tokens
    return loss if math.isfinite(loss) else math.inf
