"""Means over probes, and functions of them, with standard errors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean over probes and its standard error, None from a single probe."""

    value: float
    standard_error: float | None


def jackknife(
    samples_Nx2: Floats, function: Callable[[float, float], float | None]
) -> Estimate | None:
    """A function of two means and its jackknife error; None where the function has no value."""
    value = function(*samples_Nx2.mean(0).tolist())
    if value is None:
        return None
    count = len(samples_Nx2)
    if count < 2:
        return Estimate(value, None)
    left_out = [function(*np.delete(samples_Nx2, i, 0).mean(0).tolist()) for i in range(count)]
    known = np.array([other for other in left_out if other is not None])
    if len(known) < count:
        return Estimate(value, None)
    return Estimate(value, float(np.sqrt((count - 1) * known.var())))
