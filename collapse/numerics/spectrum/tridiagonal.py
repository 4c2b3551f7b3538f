"""What can be read again off a stored Lanczos tridiagonal, without its operator."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal

from collapse.errors import BadParameter
from collapse.numerics.spectrum.estimate import Estimate
from collapse.numerics.spectrum.quadrature import NEGATIVE_MARGIN

Floats = NDArray[np.float64]


def gauss_nodes(
    alpha: ArrayLike, beta: ArrayLike, steps: int | None = None
) -> tuple[Floats, Floats]:
    """Nodes and weights of the Gauss quadrature after some steps of a Lanczos run.

    Args:
        alpha: diagonal of the tridiagonal, (m,).
        beta: residual norms, (m,) or (m - 1,).
        steps: how many steps to look at; all of them where None.

    Returns:
        Nodes, ascending, and their weights, which sum to 1; both (steps,).

    Raises:
        BadParameter: fewer steps were made, or none is asked for.
    """
    diagonal, below = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    count = len(diagonal) if steps is None else steps
    if not 1 <= count <= len(diagonal) or len(below) < count - 1:
        raise BadParameter(f"{count} steps of a Lanczos run that has {len(diagonal)}")
    nodes, vectors = eigh_tridiagonal(diagonal[:count], below[: count - 1])
    return nodes, vectors[0] ** 2


def residual_bounds(alpha: ArrayLike, beta: ArrayLike) -> Floats:
    """Residual norms of a run's Ritz pairs, without the rounding of its vectors, (steps,).

    Args:
        alpha: diagonal of the tridiagonal, (m,).
        beta: residual norms, (m,): the last one couples to a step that was not made.
    """
    diagonal, below = np.asarray(alpha, dtype=np.float64), np.asarray(beta, dtype=np.float64)
    _, vectors = eigh_tridiagonal(diagonal, below[: len(diagonal) - 1])
    return np.abs(below[len(diagonal) - 1] * vectors[-1])


def negative_mass(
    alphas: Sequence[ArrayLike], betas: Sequence[ArrayLike], reference: float
) -> Estimate:
    """Mass of the spectrum below -0.001 of a reference eigenvalue, and how well it is known.

    A quadrature node stands for all the spectrum around it. Most of a network's spectrum lies in a
    spike at zero, hundreds of times narrower than the range, and whether the node that stands for
    the spike falls on this or that side of the threshold is an accident of the number of steps.
    Therefore the mass is a mean over all numbers of steps from half of them on, and the error has
    both spreads: over these, which no number of probes makes smaller, and over probes.

    Args:
        alphas: diagonals of the tridiagonals, one a probe vector.
        betas: their residual norms.
        reference: a positive scale, such as the study's median generation-0 lambda_max.

    Raises:
        BadParameter: a reference that is not positive, or no probe vector.
    """
    if not reference > 0:
        raise BadParameter(f"reference eigenvalue {reference}: it must be positive")
    if not len(alphas) or len(alphas) != len(betas):
        raise BadParameter(f"{len(alphas)} diagonals with {len(betas)} residuals: one of each")
    threshold = -NEGATIVE_MARGIN * reference
    masses = [_masses_below(threshold, *pair) for pair in zip(alphas, betas, strict=True)]
    means = np.array([mass.mean() for mass in masses])
    over_steps = float(np.mean([mass.var() for mass in masses]))
    over_probes = float(means.var(ddof=1)) / len(means) if len(means) > 1 else 0.0
    return Estimate(float(means.mean()), (over_steps + over_probes) ** 0.5)


def _masses_below(threshold: float, alpha: ArrayLike, beta: ArrayLike) -> Floats:
    """The quadrature's mass below a threshold after each number of steps from half of them on."""
    most = len(np.asarray(alpha))
    masses = []
    for steps in range((most + 1) // 2, most + 1):
        nodes, weights = gauss_nodes(alpha, beta, steps)
        masses.append(weights[nodes < threshold].sum())
    return np.array(masses)
