"""Gradients of several models' losses on the same tokens: their norms, and the angles between them.

Shapes: M parts of the batch, K models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from collapse.errors import BadInput
from collapse.numerics.parts import OverParts, over_parts
from collapse.probes.curvature import Microbatch
from collapse.probes.curvature.batch import shares_of
from collapse.probes.curvature.graph import loss_and_gradients
from collapse.probes.measuring import measuring
from collapse.probes.mechanism.drift import blocks_of

Floats = NDArray[np.float64]
Gradient = dict[str, Tensor]

_PIECE = 1 << 22


@dataclass(frozen=True, eq=False)
class BlockProducts:
    """Scalar products of the gradients of K models in one layer.

    Attributes:
        whole_KxK: of the gradients on the whole batch.
        with_whole_MxKxK: of the first model's gradient on a part with the second's on the whole.
        of_parts_MxKxK: of both gradients on the same part.
    """

    whole_KxK: Floats
    with_whole_MxKxK: Floats
    of_parts_MxKxK: Floats


@dataclass(frozen=True, eq=False)
class GradientProducts:
    """What norms of gradients and angles between them are made of, layer by layer.

    All models are looked at on the same tokens: what chance put into the batch is common to their
    gradients, and so part of their cosine.

    Attributes:
        blocks: by layer; ``all`` is the whole model.
        shares_M: of each part in the batch.
    """

    blocks: Mapping[str, BlockProducts]
    shares_M: Floats

    def norm(self, block: str, model: int = 0) -> OverParts | None:
        """Norm of a model's gradient, nats per unit of a parameter."""
        return self._over_parts(lambda out: float(np.sqrt(self._product(block, model, model, out))))

    def cosine(self, block: str, model: int, other: int) -> OverParts | None:
        """Cosine of the angle between two models' gradients; None where one is zero."""

        def cosine(out: int | None) -> float | None:
            across, own_1, own_2 = (
                self._product(block, *pair, out)
                for pair in ((model, other), (model, model), (other, other))
            )
            return across / float(np.sqrt(own_1 * own_2)) if min(own_1, own_2) > 0 else None

        return self._over_parts(cosine)

    def signal_share(self, block: str, model: int = 0) -> OverParts | None:
        """What share of the gradient's squared norm another batch would have, too.

        On few tokens the gradient of a trained model is mostly noise of the batch, which adds to
        its norm. Products of gradients on different parts are free of it: their mean estimates the
        squared norm on unlimited text without bias. Near 0, or below, the gradient is noise; 1 is a
        gradient that every part agrees on. None for a single part.
        """
        return self._over_parts(lambda out: self._signal(block, model, out))

    def _signal(self, block: str, model: int, out: int | None) -> float | None:
        shares_M = self.shares_M.copy()
        if out is not None:
            shares_M[out] = 0.0
            shares_M /= shares_M.sum()
        whole = self._product(block, model, model, out)
        own = shares_M**2 @ self.blocks[block].of_parts_MxKxK[:, model, model]
        alone = float((shares_M**2).sum())
        return float((whole - own) / (1 - alone) / whole) if whole > 0 and alone < 1 else None

    def _product(self, block: str, model: int, other: int, out: int | None) -> float:
        """Of two whole gradients, or of those without one part."""
        products = self.blocks[block]
        whole = float(products.whole_KxK[model, other])
        if out is None:
            return whole
        share = self.shares_M[out]
        with_whole_KxK = products.with_whole_MxKxK[out]
        once = with_whole_KxK[model, other] + with_whole_KxK[other, model]
        twice = products.of_parts_MxKxK[out, model, other]
        # Rounding may leave a square just below zero.
        left = float((whole - share * once + share**2 * twice) / (1 - share) ** 2)
        return max(left, 0.0) if model == other else left

    def _over_parts(self, statistic: Callable[[int | None], float | None]) -> OverParts | None:
        return over_parts(statistic, self.shares_M.tolist())


def gradient_products(models: Sequence[nn.Module], parts: Sequence[Microbatch]) -> GradientProducts:
    """Take the gradients of the mean token cross-entropy of several models on the same batch.

    In float32, dropout off, products summed in float64; the models are left as they were, and no
    ``grad`` is touched. Two gradients a model are in memory at once: where there are several parts
    all gradients are taken twice, the second time to hold them against their sums.

    Args:
        models: of one shape.
        parts: of the batch.

    Raises:
        BadCorpus: there is no part, or one predicts nothing.
        BadInput: a gradient is not finite.
        BadModel: the models differ in shape.
    """
    blocks = blocks_of(models)
    shares = shares_of(parts)
    wholes = [_mean_gradient(model, parts, shares) for model in models]
    whole = _products(wholes, wholes, blocks)
    for products_KxK in whole.values():
        if not np.isfinite(products_KxK).all():
            raise BadInput("the loss has no finite gradient here: the weights are damaged")
    with_whole, of_parts = [], []
    for part in parts if len(parts) > 1 else ():
        gradients = [_gradient(model, part) for model in models]
        with_whole.append(_products(gradients, wholes, blocks))
        of_parts.append(_products(gradients, gradients, blocks))
    if len(parts) == 1:
        with_whole, of_parts = [whole], [whole]
    return GradientProducts(
        {
            block: BlockProducts(
                whole[block],
                np.stack([one[block] for one in with_whole]),
                np.stack([one[block] for one in of_parts]),
            )
            for block in blocks
        },
        np.array(shares),
    )


def _mean_gradient(
    model: nn.Module, parts: Sequence[Microbatch], shares: Sequence[float]
) -> Gradient:
    total: Gradient = {}
    for part, share in zip(parts, shares, strict=True):
        for name, gradient in _gradient(model, part).items():
            if name in total:
                total[name].add_(gradient, alpha=share)
            else:
                total[name] = gradient * share
    return total


def _gradient(model: nn.Module, part: Microbatch) -> Gradient:
    """Of one part's mean loss, by parameter; a parameter that the loss does not see is absent."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with measuring(model) as device:
        _, gradients = loss_and_gradients(model, part.to(device), tuple(named.values()))
    pairs = zip(named, gradients, strict=True)
    return {name: gradient for name, gradient in pairs if gradient is not None}


def _products(
    ones: Sequence[Gradient], others: Sequence[Gradient], blocks: Mapping[str, Sequence[str]]
) -> dict[str, Floats]:
    """Scalar products of each of some gradients with each of others, by layer, (K, K)."""
    zero = np.zeros((len(ones), len(others)))
    of_name = {
        name: _scalar_products([one[name] for one in ones], [other[name] for other in others])
        for name in ones[0]
    }
    return {
        block: np.sum([of_name.get(name, zero) for name in names], axis=0)
        for block, names in blocks.items()
    }


def _scalar_products(ones: Sequence[Tensor], others: Sequence[Tensor]) -> Floats:
    """In float64, piece by piece: a large matrix is not held in float64 as a whole."""
    total = np.zeros((len(ones), len(others)))
    every = [tensor.flatten().split(_PIECE) for tensor in (*ones, *others)]
    for pieces in zip(*every, strict=True):
        rows = torch.stack(pieces).double()
        total += (rows[: len(ones)] @ rows[len(ones) :].T).cpu().numpy()
    return total
