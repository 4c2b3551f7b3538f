"""Whether the gain of a key norm tells what its coordinate of K carries.

``key_rms`` is the gain times ``unit_rms``: it follows the gain by construction where the normed
keys are alike in all coordinates. Only a relation of the gain with ``unit_rms``, what the
coordinate carried before the gain, is more than that.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.ranks.tables import RankTables
from analysis.statistics import t_interval


@dataclass(frozen=True)
class GainRelation:
    """Rank correlations of the gain, within layers; chains are the unit.

    Attributes:
        arm: the arm.
        n_chains: chains with gains that differ.
        with_rms: Spearman's correlation with ``key_rms``, mean over heads, layers and chains.
        rms_interval: its 95 % t-interval over chains; None for fewer than two.
        with_unit: the same with ``unit_rms``.
        unit_interval: the same.
    """

    arm: str
    n_chains: int
    with_rms: float
    rms_interval: tuple[float, float] | None
    with_unit: float
    unit_interval: tuple[float, float] | None


def gain_relation(tables: RankTables, arm: str) -> GainRelation | None:
    """The relation in one arm; None where no chain of it has gains that differ within a layer."""
    rows = tables.gains[tables.gains["arm"] == arm]
    chains = [found for _, chain in rows.groupby("seed") if (found := _of_chain(chain))]
    if not chains:
        return None
    with_rms, with_unit = np.array(chains).T
    return GainRelation(
        arm,
        len(chains),
        float(with_rms.mean()),
        t_interval(with_rms),
        float(with_unit.mean()),
        t_interval(with_unit),
    )


def _of_chain(chain: pd.DataFrame) -> tuple[float, float] | None:
    """Mean over layers of the mean over heads; layers of equal gains order nothing."""
    layers = []
    for _, layer in chain.groupby("layer"):
        heads = [
            tuple(_spearman(head["gain"], head[other]) for other in ("key_rms", "unit_rms"))
            for _, head in layer.groupby("head")
        ]
        known = [pair for pair in heads if np.isfinite(pair).all()]
        if known:
            layers.append(np.mean(known, axis=0))
    return tuple(np.mean(layers, axis=0)) if layers else None


def _spearman(gains: pd.Series, others: pd.Series) -> float:
    known = others.notna()
    if gains[known].nunique() < 2 or others[known].nunique() < 2:
        return float("nan")
    return float(stats.spearmanr(gains[known], others[known]).statistic)
