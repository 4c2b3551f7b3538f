"""Muon: momentum whose matrices are orthogonalised, many of one shape at a time."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

# Of Newton-Schulz's quintic; its slope at 0 is as steep as singular values near 1 allow.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
_LEAST_NORM = 1e-7
_MOST_ENTRIES = 2**24
"""In one batch: 64 MiB in float32."""


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) over matrices, with a choice of the type it multiplies in.

    The update is that of ``torch.optim.Muon``, which always multiplies in bfloat16: Nesterov
    momentum of the gradients (as running means), orthogonalised, times ``sqrt(max(1, rows /
    columns))``, after decoupled weight decay. Matrices of one shape, tall ones turned on their
    side, are orthogonalised in one batch. Pieces of matrices (``DTensor``) are put together for it.

    Args:
        parameters: matrices.
        lr: learning rate.
        momentum: share of the running mean that stays.
        weight_decay: times the learning rate.
        dtype: the type of the products, float32 or bfloat16. It is part of the state, so that a
            resumed training goes on in it.

    Raises:
        ValueError: a parameter is no matrix.

    Example:
        >>> weight = nn.Parameter(torch.zeros(2, 2))
        >>> muon = Muon([weight], lr=0.1, dtype=torch.float32)
        >>> weight.grad = torch.eye(2)
        >>> muon.step()
        >>> bool((weight[0, 0] < -0.05) and weight[0, 1].abs() < 1e-6)
        True
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "dtype": dtype}
        super().__init__(parameters, defaults)
        for group in self.param_groups:
            for one in group["params"]:
                if one.ndim != 2:
                    raise ValueError(f"Muon takes matrices: one parameter is {tuple(one.shape)}")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Take one step along the gradients that there are."""
        for group in self.param_groups:
            weights = [one for one in group["params"] if one.grad is not None]
            if not weights:
                continue
            directions = self._directions(weights, group["momentum"])
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            for places in _alike(directions):
                batch = _orthogonal([directions[place] for place in places], group["dtype"])
                for place, update in zip(places, batch, strict=True):
                    rows, columns = weights[place].shape
                    scale = group["lr"] * math.sqrt(max(1, rows / columns))
                    weights[place].add_(_as_piece(update, weights[place]), alpha=-scale)

    def _directions(self, weights: list[nn.Parameter], momentum: float) -> list[Tensor]:
        """Nesterov's look ahead along the running means, which are brought up to date."""
        gradients = [one.grad for one in weights]
        for one in weights:
            if not self.state[one]:
                self.state[one]["momentum_buffer"] = torch.zeros_like(one)
        means = [self.state[one]["momentum_buffer"] for one in weights]
        torch._foreach_lerp_(means, gradients, 1 - momentum)
        return [
            one.full_tensor() if isinstance(one, DTensor) else one
            for one in torch._foreach_lerp(gradients, means, momentum)
        ]


def orthogonalised(matrices_BxMxN: Tensor) -> Tensor:
    """Wide matrices (M <= N) with all singular values moved towards 1, in their own type.

    Five Newton-Schulz iterations. They leave what was above 0.3 % of the norm between 0.68 and
    1.21, and turn no singular vector.

    Args:
        matrices_BxMxN: of a Frobenius norm of at most 1.
    """
    a, b, c = COEFFICIENTS
    x = matrices_BxMxN
    for _ in range(ITERATIONS):
        gram_BxMxM = x @ x.mT
        x = torch.baddbmm(
            x, torch.baddbmm(gram_BxMxM, gram_BxMxM, gram_BxMxM, beta=b, alpha=c), x, beta=a
        )
    return x


def _orthogonal(matrices: list[Tensor], dtype: torch.dtype) -> Iterator[Tensor]:
    """Matrices of one shape, or of that shape turned on its side, each orthogonalised."""
    wide_BxMxN = torch.stack([one if _is_wide(one) else one.T for one in matrices])
    norms_Bx1x1 = torch.linalg.vector_norm(wide_BxMxN, dim=(1, 2), keepdim=True)
    found = orthogonalised((wide_BxMxN / norms_Bx1x1.clamp(min=_LEAST_NORM)).to(dtype))
    for matrix, one in zip(matrices, found.to(wide_BxMxN.dtype), strict=True):
        yield one if _is_wide(matrix) else one.T


def _is_wide(matrix: Tensor) -> bool:
    return matrix.shape[0] <= matrix.shape[1]


def _alike(matrices: list[Tensor]) -> Iterator[list[int]]:
    """Places of matrices that fit in one batch, those on their side among them."""
    by_shape: dict[tuple[Any, ...], list[int]] = {}
    for place, one in enumerate(matrices):
        by_shape.setdefault((*sorted(one.shape), one.device, one.dtype), []).append(place)
    for places in by_shape.values():
        most = max(1, _MOST_ENTRIES // matrices[places[0]].numel())
        for begin in range(0, len(places), most):
            yield places[begin : begin + most]


def _as_piece(whole: Tensor, like: Tensor) -> Tensor:
    """This process's piece of what all of them have computed alike."""
    if not isinstance(like, DTensor):
        return whole
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)
