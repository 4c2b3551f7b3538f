"""Which eigenvalues a run is for, and whether it has them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """When to stop early: these Ritz values have residual bounds below the tolerance.

    Attributes:
        largest: how many of the algebraically largest are wanted.
        smallest: how many of the algebraically smallest.
        magnitude: how many of the largest in magnitude.
        tolerance: of the bound, relative to the largest magnitude of a Ritz value.
    """

    largest: int = 0
    smallest: int = 0
    magnitude: int = 0
    tolerance: float = 1e-3

    @property
    def least_values(self) -> int:
        """Ritz values there must be at least."""
        return max(1, self.largest, self.smallest, self.magnitude)


def wanted_places(target: Target, ritz_values: Floats, more: int = 0) -> list[int]:
    """Places of the wanted among ascending Ritz values, ascending.

    Args:
        target: what is wanted.
        ritz_values: ascending, (m,).
        more: how many more to take of each kind that is wanted at all.
    """
    count = len(ritz_values)
    by_magnitude = np.argsort(-np.abs(ritz_values), kind="stable").tolist()
    largest, smallest, magnitude = (
        min(number + more, count) if number else 0
        for number in (target.largest, target.smallest, target.magnitude)
    )
    return sorted({*range(smallest), *range(count - largest, count), *by_magnitude[:magnitude]})


def is_met(target: Target, ritz_values: Floats, bounds: Floats) -> bool:
    """Whether the wanted Ritz values have bounds below the tolerance."""
    scale = float(np.abs(ritz_values).max())
    return bool((bounds[wanted_places(target, ritz_values)] <= target.tolerance * scale).all())
