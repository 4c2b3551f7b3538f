"""Variance across arms at the last generation, and t-tests between all pairs of arms.

Reported because studies of this kind are asked for it (R2.5); it carries no verdict. One-way, the
seeds of an arm count as independent of the other arms' seeds, which they are not; with seeds as
blocks the pairing is used. Both take the arms' variances over seeds for equal: where arms that
collapse also scatter, their F is too large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.claims.effects import PairedDifferences, paired_differences
from analysis.families import holm
from analysis.statistics import t_interval, t_p
from analysis.study import StudyRecord, metric_values

LEAST_SEEDS = 2


@dataclass(frozen=True)
class Anova:
    """An F test of "all arms have the same mean".

    Attributes:
        design: ``one-way``, or ``seeds as blocks`` (two-way without interaction).
        n_seeds: seeds that all arms have.
        f: the ratio of mean squares; None where the seeds do not vary.
        df_arms: its numerator's degrees of freedom.
        df_rest: its denominator's.
        p: None where f is.
        share: eta squared, the arms' share of the sum of squares; with blocks it is partial (of
            arms and rest).
    """

    design: Literal["one-way", "seeds as blocks"]
    n_seeds: int
    f: float | None
    df_arms: int
    df_rest: int
    p: float | None
    share: float


@dataclass(frozen=True)
class PostHoc:
    """A paired t-test of two arms.

    Attributes:
        first: an arm.
        second: another.
        pairs: first minus second, by seed.
        interval: 95 % t-interval of their mean, not corrected; None for fewer than two seeds.
        p: Student's p; None for fewer than two seeds, or without spread.
        p_holm: by Holm over all pairs of arms.
    """

    first: str
    second: str
    pairs: PairedDifferences
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class ArmsCompared:
    """One metric across all arms at the last generation.

    Attributes:
        metric: the metric.
        arms: the arms with any value.
        left_out: planned seeds that not all of these arms have; no analysis of variance sees them.
        tables: the analyses of variance; none for fewer than two arms or seeds.
        post_hoc: paired t-tests of all pairs of arms, each on the seeds that the two share.
    """

    metric: str
    arms: tuple[str, ...]
    left_out: tuple[int, ...]
    tables: tuple[Anova, ...]
    post_hoc: tuple[PostHoc, ...]


def arms_compared(record: StudyRecord, metric: str) -> ArmsCompared:
    """Analyses of variance and all pairs of arms, at the last generation."""
    values = metric_values(record, metric)
    last = values[values.index.get_level_values("generation") == record.generations]
    table = last.droplevel("generation").unstack("arm")
    arms = tuple(arm for arm in record.arms if arm in table)
    complete = pd.DataFrame(table[list(arms)]).dropna()
    planned = [seed for seed in record.seeds if any(seed in record.seeds_of(arm) for arm in arms)]
    left_out = tuple(seed for seed in planned if seed not in complete.index)
    enough = len(arms) > 1 and len(complete) >= LEAST_SEEDS
    tables = (one_way(complete.to_numpy()), blocked(complete.to_numpy())) if enough else ()
    return ArmsCompared(metric, arms, left_out, tables, _post_hoc(record, metric, arms))


def one_way(values_SxA: ArrayLike) -> Anova:
    """One-way analysis of variance of A arms with S values each."""
    values_SxA = np.asarray(values_SxA, dtype=float)
    n, arms = values_SxA.shape
    between = n * float(((values_SxA.mean(axis=0) - values_SxA.mean()) ** 2).sum())
    within = float(((values_SxA - values_SxA.mean(axis=0)) ** 2).sum())
    return _table("one-way", n, between, within, arms - 1, arms * (n - 1))


def blocked(values_SxA: ArrayLike) -> Anova:
    """Two-way analysis of variance without interaction, each row a block.

    It is also the analysis of repeated measures on S subjects.
    """
    values_SxA = np.asarray(values_SxA, dtype=float)
    n, arms = values_SxA.shape
    of_arm_A, of_seed_S = values_SxA.mean(axis=0), values_SxA.mean(axis=1)
    between = n * float(((of_arm_A - values_SxA.mean()) ** 2).sum())
    rest_SxA = values_SxA - of_arm_A - of_seed_S[:, None] + values_SxA.mean()
    rest = float((rest_SxA**2).sum())
    return _table("seeds as blocks", n, between, rest, arms - 1, (arms - 1) * (n - 1))


def _table(
    design: Literal["one-way", "seeds as blocks"],
    n: int,
    arms: float,
    rest: float,
    df_arms: int,
    df_rest: int,
) -> Anova:
    share = arms / (arms + rest) if arms + rest > 0 else 0.0
    # What rounding leaves of a spread of zero is no spread.
    if rest <= 1e-24 * (arms + rest) or rest == 0:
        return Anova(design, n, None, df_arms, df_rest, None, share)
    f = (arms / df_arms) / (rest / df_rest)
    return Anova(design, n, f, df_arms, df_rest, float(stats.f.sf(f, df_arms, df_rest)), share)


def _post_hoc(record: StudyRecord, metric: str, arms: Sequence[str]) -> tuple[PostHoc, ...]:
    found = [
        (one, other, paired_differences(record, metric, one, other, record.generations))
        for one, other in combinations(arms, 2)
    ]
    p = [t_p(pairs.differences) for _, _, pairs in found]
    corrected = holm([np.nan if one is None else one for one in p])
    return tuple(
        PostHoc(
            one,
            other,
            pairs,
            t_interval(pairs.differences),
            own,
            None if own is None else float(of_all),
        )
        for (one, other, pairs), own, of_all in zip(found, p, corrected, strict=True)
    )
