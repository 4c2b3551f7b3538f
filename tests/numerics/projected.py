"""Moments of an operator between two projectors, by a product of their own: a reference."""

from collections.abc import Callable

import torch


def projected_moments(
    matvec: Callable[[torch.Tensor], torch.Tensor], probe: torch.Tensor, vectors_KxP: torch.Tensor
) -> tuple[float, float]:
    """z^T Q H Q z and |Q H Q z|^2 with Q = 1 - V^T V, for orthonormal rows V."""

    def off(vector: torch.Tensor) -> torch.Tensor:
        return vector - vectors_KxP.T @ (vectors_KxP @ vector)

    inside = off(off(probe))
    product = off(off(matvec(inside)))
    return float(inside @ product), float(product @ product)
