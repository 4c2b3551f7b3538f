"""Moments of an operator without its outliers, from what a run has told already."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from collapse.numerics.lanczos.sweeps import inner_product


def project_off(vector: torch.Tensor, outlier_vectors_KxP: torch.Tensor) -> torch.Tensor:
    """The part of a vector (P,) orthogonal to orthonormal vectors; projected twice."""
    remaining = vector.clone()
    for _ in range(2):
        for outlier in outlier_vectors_KxP:
            remaining.add_(outlier, alpha=-inner_product(outlier, remaining))
    return remaining


def deflated_moments(
    alpha: ArrayLike,
    beta: ArrayLike,
    squared_length: float,
    overlaps: ArrayLike,
    outlier_values: ArrayLike,
) -> tuple[float, float]:
    """Samples of trace and squared norm, read off the first step of a run from a probe z.

    They are those that a product of its own would give for the probe projected off the outliers,
    Q z with the projector Q: z^T Q H Q z and |Q H Q z|^2 (Hutchinson, 1989; z of independent
    entries with mean 0 and variance 1).

    That step holds z^T H z = alpha_1 |z|^2 and |H z|^2 = (alpha_1^2 + beta_1^2) |z|^2; exact
    eigenvectors u take lambda (u . z)^2 and lambda^2 (u . z)^2 of them. With Ritz vectors, of
    residuals r = H u - lambda u, the first is too large by exactly 2 sum (u . z) (r . z), the
    second to first order by 2 sum (u . z) (lambda r . z + r . H z). For a random probe these are
    about 2 |r| and 2 |r| (lambda + |H r| / |r|), beside a whole bulk of P eigenvalues.

    Args:
        alpha: diagonal of the run's tridiagonal, of any length.
        beta: its residual norms.
        squared_length: z . z, before z was normalised.
        overlaps: u . z with the unit eigenvectors to take out, (K,).
        outlier_values: their eigenvalues, (K,).

    Returns:
        Samples of the deflated trace and of the deflated squared Frobenius norm.
    """
    values = np.asarray(outlier_values, dtype=np.float64)
    shares = np.square(np.asarray(overlaps, dtype=np.float64))
    first, coupled = float(np.asarray(alpha)[0]), float(np.asarray(beta)[0])
    trace = squared_length * first
    squared = squared_length * (first**2 + coupled**2)
    return float(trace - shares @ values), float(squared - shares @ values**2)
