"""Held-out loss after pruning keys, per chain and strategy: do gains guide as well as the SVD?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from analysis.ranks.tables import RankTables
from analysis.study import is_measured

PRESET_PERCENT = 50.0
"""Where strategies are compared; fixed before any study was run."""
LOSS_MARGIN_NATS = 0.05
"""The least difference that matters: the practical size of DESIGN 4's events."""
STRATEGIES = ("svd", "gamma", "random")


def surgery_curves(tables: RankTables) -> pd.Series:
    """Loss by (arm, seed, strategy, basis, percent), mean over draws, nats a token."""
    rows = tables.surgery[is_measured(tables.surgery["nll_nats"])]
    keys = ["arm", "seed", "strategy", "basis", "percent"]
    return rows.groupby(keys)["nll_nats"].mean()


def losses_at(tables: RankTables, arm: str, percent: float = PRESET_PERCENT) -> pd.DataFrame:
    """What pruning costs each chain of an arm, by strategy.

    Of the two bases of ``random`` each chain's better one counts, so that no strategy looks good
    against a poor basis.

    Args:
        tables: as planned.
        arm: the arm.
        percent: of the directions; straight lines between the percentages that were tried.

    Returns:
        Index seed, columns ``STRATEGIES``: nats a token, nan where the curve does not reach.
    """
    return _by_strategy(tables, arm, lambda curve: _loss_at(curve, percent))


def mean_losses(tables: RankTables, arm: str, most: float) -> pd.DataFrame:
    """As `losses_at`, but the mean loss from 0 to ``most`` per cent: the area under the curve."""
    return _by_strategy(tables, arm, lambda curve: _mean_loss(curve, most))


def _by_strategy(
    tables: RankTables, arm: str, number: Callable[[pd.Series], float]
) -> pd.DataFrame:
    """One number a chain and strategy, the lower of the bases."""
    curves = surgery_curves(tables)
    curves = curves[curves.index.get_level_values("arm") == arm].droplevel("arm")
    found: dict[str, dict[int, float]] = {strategy: {} for strategy in STRATEGIES}
    groups: Any = curves.groupby(level=["seed", "strategy", "basis"])
    for (seed, strategy, _), curve in groups:
        value = number(curve.droplevel(["seed", "strategy", "basis"]).sort_index())
        if strategy in found:
            found[strategy][seed] = np.fmin(found[strategy].get(seed, np.nan), value)
    return pd.DataFrame(found, columns=list(STRATEGIES)).sort_index()


def _loss_at(curve: pd.Series, percent: float) -> float:
    tried = curve.index.to_numpy(float)
    if not tried[0] <= percent <= tried[-1]:
        return float("nan")
    return float(np.interp(percent, tried, curve.to_numpy()))


def _mean_loss(curve: pd.Series, most: float) -> float:
    tried = curve.index.to_numpy(float)
    if tried[0] > 0 or tried[-1] < most or most <= 0:
        return float("nan")
    kept = np.append(tried[tried < most], most)
    return float(np.trapezoid(np.interp(kept, tried, curve.to_numpy()), kept) / most)
