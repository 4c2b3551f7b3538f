"""Moments of an operator without its outliers, from one product a probe."""

from collections.abc import Callable

import torch

from collapse.numerics.lanczos.basis import inner_product

Matvec = Callable[[torch.Tensor], torch.Tensor]


def project_off(vector: torch.Tensor, outlier_vectors_KxP: torch.Tensor) -> torch.Tensor:
    """The part of a vector (P,) orthogonal to orthonormal vectors; projected twice."""
    remaining = vector.clone()
    for _ in range(2):
        for outlier in outlier_vectors_KxP:
            remaining.add_(outlier, alpha=-inner_product(outlier, remaining))
    return remaining


def projected_moments(
    matvec: Matvec, probe: torch.Tensor, outlier_vectors_KxP: torch.Tensor
) -> tuple[float, float]:
    """Samples of the deflated trace and of the deflated squared Frobenius norm; one product.

    Args:
        matvec: product of the symmetric operator H.
        probe: (P,), of independent entries with mean 0 and variance 1 (Hutchinson, 1989).
        outlier_vectors_KxP: orthonormal eigenvectors to take out; K may be 0.

    Returns:
        z^T H z and |Q H z|^2 for z = Q probe, Q the projector off the vectors.
    """
    inside = project_off(probe, outlier_vectors_KxP)
    product = project_off(matvec(inside), outlier_vectors_KxP)
    return inner_product(inside, product), inner_product(product, product)
