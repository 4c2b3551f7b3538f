"""Density and negative mass from the nodes and weights of stochastic Lanczos quadrature."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.errors import BadParameter
from collapse.numerics.spectrum.estimate import Estimate, jackknife

Floats = NDArray[np.float64]

# Nearer to zero than this share of the reference, a negative eigenvalue is a zero with noise.
NEGATIVE_MARGIN = 1e-3


@dataclass(frozen=True)
class SpectralDensity:
    """A smoothed spectral density.

    Attributes:
        grid: eigenvalues, evenly spaced, (G,).
        density: mass per unit of eigenvalue, (G,); its trapezoidal integral is 1.
        standard_error: of the density over probes, (G,), None from a single probe.
        bandwidth: standard deviation of the kernel, in units of the eigenvalues.
    """

    grid: Floats
    density: Floats
    standard_error: Floats | None
    bandwidth: float


def slq_density(
    nodes: Sequence[ArrayLike],
    weights: Sequence[ArrayLike],
    *,
    relative_bandwidth: float = 0.01,
    points_per_bandwidth: int = 8,
) -> SpectralDensity:
    """Stochastic Lanczos quadrature, smoothed with Gaussians (Lin, Saad and Yang, 2016).

    Args:
        nodes: Ritz values of each probe.
        weights: their weights; those of a probe sum to 1.
        relative_bandwidth: kernel's standard deviation over the range of all nodes.
        points_per_bandwidth: resolution of the grid, which reaches 6 bandwidths beyond the nodes.

    Raises:
        BadParameter: no probes, nodes without weights, weights that do not sum to 1, a
            bandwidth that is not positive, or fewer than 2 points a bandwidth.
    """
    if not relative_bandwidth > 0 or points_per_bandwidth < 2:
        raise BadParameter(
            f"bandwidth {relative_bandwidth} with {points_per_bandwidth} points: "
            "the bandwidth must be positive, with at least 2 points"
        )
    pairs = _quadratures(nodes, weights)
    everything = np.concatenate([theta for theta, _ in pairs])
    low, high = everything.min(), everything.max()
    # A spectrum of one point has no range: its own magnitude sets the scale, or 1 at zero.
    bandwidth = relative_bandwidth * float((high - low) or abs(high) or 1.0)
    count = int(np.ceil((high - low) / bandwidth + 12) * points_per_bandwidth) + 1
    grid = np.linspace(low - 6 * bandwidth, high + 6 * bandwidth, count)
    curves = np.array([_smoothed(grid, theta, mass, bandwidth) for theta, mass in pairs])
    error = curves.std(0, ddof=1) / len(pairs) ** 0.5 if len(pairs) > 1 else None
    return SpectralDensity(grid, curves.mean(0), error, bandwidth)


def _smoothed(grid: Floats, theta: Floats, mass: Floats, bandwidth: float) -> Floats:
    curve = np.zeros_like(grid)
    for node, share in zip(theta, mass, strict=True):
        curve += share * np.exp(-0.5 * ((grid - node) / bandwidth) ** 2)
    return curve / np.trapezoid(curve, grid)


def _quadratures(
    nodes: Sequence[ArrayLike], weights: Sequence[ArrayLike]
) -> list[tuple[Floats, Floats]]:
    if not len(nodes) or len(nodes) != len(weights):
        raise BadParameter(
            f"{len(nodes)} sets of nodes and {len(weights)} of weights: one of each a probe"
        )
    pairs = [
        (np.asarray(theta, dtype=np.float64), np.asarray(mass, dtype=np.float64))
        for theta, mass in zip(nodes, weights, strict=True)
    ]
    for theta, mass in pairs:
        if theta.shape != mass.shape or abs(mass.sum() - 1) > 1e-6:
            raise BadParameter(
                f"{theta.size} nodes with {mass.size} weights of sum {mass.sum():.6g}: "
                "each node has one weight, and the weights of a probe sum to 1"
            )
    return pairs


def negative_share(nodes: Sequence[ArrayLike], weights: Sequence[ArrayLike]) -> Estimate | None:
    """Share of the mean |lambda| that is negative; None for a spectrum of zeros alone."""
    samples = np.array(
        [
            [float(mass @ np.maximum(-theta, 0)), float(mass @ np.abs(theta))]
            for theta, mass in _quadratures(nodes, weights)
        ]
    )
    return jackknife(samples, lambda below, whole: below / whole if whole > 0 else None)
