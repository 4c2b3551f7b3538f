"""The arm to recommend, and how sure the seeds are of it."""

from dataclasses import dataclass

import numpy as np

from analysis.scaling.tables import ScalingTables
from analysis.statistics import CONFIDENCE, t_interval

DRAWS = 2000


@dataclass(frozen=True)
class Best:
    """The arm with the best mean of one metric.

    Attributes:
        metric: the metric.
        arm: the arm.
        mean: its mean over seeds.
        share: of bootstrap draws of whole seeds, those in which it is best.
        n_seeds: seeds with all arms.
        n_arms: arms that were compared.
        equals: arms that it is not told from, the nearest first: paired t-intervals over seeds,
            corrected by Bonferroni for their number, include 0.
    """

    metric: str
    arm: str
    mean: float
    share: float
    n_seeds: int
    n_arms: int
    equals: tuple[str, ...]


def best_arm(
    tables: ScalingTables, metric: str, more_is_better: bool, rng: np.random.Generator
) -> Best | None:
    """The best of the joint arms; None for fewer than two with seeds in common."""
    arms = [arm for arm in tables.with_metric(metric) if arm in tables.joint]
    sign = 1.0 if more_is_better else -1.0
    values_SxA = sign * tables.by_seed(metric, arms).to_numpy(float)
    n_seeds = len(values_SxA)
    if len(arms) < 2 or not n_seeds:
        return None
    means_A = values_SxA.mean(axis=0)
    place = int(means_A.argmax())
    drawn = values_SxA[rng.integers(0, n_seeds, (DRAWS, n_seeds))].mean(axis=1)
    share = float((drawn.argmax(axis=1) == place).mean())
    confidence = 1 - (1 - CONFIDENCE) / (len(arms) - 1)
    equals = []
    for other in np.argsort(-means_A):
        interval = t_interval(values_SxA[:, place] - values_SxA[:, other], confidence)
        if other != place and (interval is None or interval[0] <= 0):
            equals.append(arms[int(other)])
    mean = sign * float(means_A[place])
    return Best(metric, arms[place], mean, share, n_seeds, len(arms), tuple(equals))
