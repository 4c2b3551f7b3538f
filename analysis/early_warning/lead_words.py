"""How leads, their intervals and false alarms are written."""

from collections.abc import Sequence

import numpy as np

from analysis.early_warning.threshold import Threshold
from analysis.metrics import MINUS


def signed(lead: float) -> str:
    """A lead with its sign; zero has none."""
    return f"{lead:+g}".replace("-", MINUS) if lead else "0"


def span(ends: tuple[float, float] | None) -> str:
    """What a lead lies between; an infinite end is one that censoring hides."""
    if ends is None:
        return "–"
    low, high = ends
    if np.isinf(low) and np.isinf(high):
        return "any number"
    if np.isinf(high):
        return f"{signed(low)} or more"
    if np.isinf(low):
        return f"{signed(high)} or less"
    return signed(low) if low == high else f"{signed(low)} to {signed(high)}"


def rate_of(threshold: Threshold) -> str:
    """False alarms of control seeds, and what is sure of the true rate."""
    return (
        f"{threshold.false_alarms} false alarm{'s' * (threshold.false_alarms != 1)} of "
        f"{threshold.n_seeds} control seeds (true rate at most {100 * threshold.bound:.0f} %)"
    )


def count_of(seeds: Sequence[int]) -> str:
    """Seeds by number."""
    return f"Seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"
