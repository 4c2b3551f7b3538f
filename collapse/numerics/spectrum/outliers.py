"""Extreme eigenvalues and their certificates."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.errors import BadParameter

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outlier:
    """An extreme eigenvalue and its certificate.

    Attributes:
        value: the Ritz value.
        residual_bound: some eigenvalue lies within this distance, rounding included.
        gap: distance to the nearest other Ritz value, infinite where there is none.
        certified: the bound is small beside the magnitude, and beside the gap.
    """

    value: float
    residual_bound: float
    gap: float
    certified: bool


def certify_outliers(
    ritz_values: ArrayLike,
    residual_bounds: ArrayLike,
    k: int = 3,
    *,
    tolerance: float = 1e-2,
    rounding: float = 0.0,
) -> tuple[Outlier, ...]:
    """The k Ritz values of largest magnitude with their certificates, largest first.

    One is certified where its bound is at most `tolerance` of its magnitude, and less than half
    its gap, so that its neighbour is another eigenvalue and its vector can be projected off.

    Args:
        ritz_values: of one Lanczos run, (m,).
        residual_bounds: (m,).
        k: how many; fewer come back from a run of fewer steps.
        tolerance: largest certified bound relative to the magnitude.
        rounding: added to each bound (`LanczosResult.rounding`).

    Raises:
        BadParameter: k below 1, or values and bounds of different lengths.
    """
    if k < 1:
        raise BadParameter(f"{k} outliers: at least 1 is needed")
    values = np.asarray(ritz_values, dtype=np.float64)
    order = np.argsort(-np.abs(values), kind="stable")[:k]
    return tuple(_outlier(values, residual_bounds, int(i), tolerance, rounding) for i in order)


def certify_extremes(
    ritz_values: ArrayLike,
    residual_bounds: ArrayLike,
    *,
    tolerance: float = 1e-2,
    rounding: float = 0.0,
) -> tuple[Outlier, Outlier]:
    """The algebraically smallest and largest Ritz value, certified as `certify_outliers` does."""
    values = np.asarray(ritz_values, dtype=np.float64)
    low, high = (
        _outlier(values, residual_bounds, int(i), tolerance, rounding)
        for i in (values.argmin(), values.argmax())
    )
    return low, high


def _outlier(
    values: Floats, residual_bounds: ArrayLike, index: int, tolerance: float, rounding: float
) -> Outlier:
    bounds = np.asarray(residual_bounds, dtype=np.float64)
    if bounds.shape != values.shape:
        raise BadParameter(f"{values.size} Ritz values with {bounds.size} bounds: one bound each")
    value, bound = float(values[index]), float(bounds[index]) + rounding
    others = np.delete(values, index)
    gap = float(np.abs(others - value).min()) if others.size else float("inf")
    certified = bound <= tolerance * abs(value) and bound < gap / 2
    return Outlier(value, bound, gap, certified)
