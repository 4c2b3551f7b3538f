"""Whether two metrics move together, beyond what both share with their arm and generation.

In a study of collapse nearly every metric drifts with the generation, and two that drift correlate
whatever they have to do with each other. So the correlation that counts is that of *residuals*:
each value minus the mean of its arm at its generation over seeds. What is left is how a chain
differs from its siblings in other seeds; where two metrics are linked, a chain that is ahead in one
is ahead in the other.

A seed is the unit. Arms of one seed share their first model and their random streams, and
generations of one chain follow from each other, so that only whole seeds are exchangeable: p
permutes them, each with all its trajectories in all arms. Permuting chains within each arm by
itself would take arms of one seed for independent: where the residuals of three arms have half of
their variance in common, such a test at 5 % rejected in 12 % of 400 simulated null studies of six
seeds, that of whole seeds in 6 %.
"""

from dataclasses import dataclass
from itertools import permutations, product
from math import factorial, prod

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.families import step_down_p
from analysis.statistics import CONFIDENCE

Array = NDArray[np.float64]

DRAWS = 10_000
LEAST_SEEDS = 4
"""Fewer seeds have too few permutations: three have six, and p = 1/6 at the least."""

# Of the values themselves.
_ROUNDING = 1e-10
# Fisher's transform of a correlation of 1 has no end.
_NEARLY_ONE = 1 - 1e-12


@dataclass(frozen=True)
class RepeatedMeasures:
    """The repeated-measures correlation of Bakdash and Marusich (2017).

    Attributes:
        r: the correlation within chains, each about its own mean.
        df: observations - chains - 1.
        p: Student's, which takes the generations of a chain for independent.
    """

    r: float
    df: int
    p: float


@dataclass(frozen=True, eq=False)
class Links:
    """The correlations of M metrics with K others; nan where there is too little.

    Attributes:
        r_MxK: correlation of the residuals.
        lower_MxK: lower end of its 95 % interval.
        upper_MxK: upper end.
        p_MxK: two-sided permutation p.
        corrected_MxK: the same, corrected for the size of the table by step-down max-T.
        rearrangements: permutations of seeds behind p.
    """

    r_MxK: Array
    lower_MxK: Array
    upper_MxK: Array
    p_MxK: Array
    corrected_MxK: Array
    rearrangements: int


def repeated_measures_correlation(x_CxG: Array, y_CxG: Array) -> RepeatedMeasures | None:
    """The correlation within chains, trends and all: what a naive analysis would report.

    Analysis of covariance with one common slope and a level a chain; it is the Pearson
    correlation of values about their chain's mean. A trend that all chains share counts as a link.

    Args:
        x_CxG: one row a chain, one column a generation; nan where it was not measured.
        y_CxG: the other metric.

    Returns:
        None where there are too few values, or no spread.
    """
    known_CxG = np.isfinite(x_CxG) & np.isfinite(y_CxG)
    counts_C = known_CxG.sum(axis=1)
    df = int(counts_C.sum() - (counts_C > 0).sum() - 1)
    centred, flat = [], []
    for values_CxG in (x_CxG, y_CxG):
        filled_CxG = np.where(known_CxG, values_CxG, 0.0)
        mean_C = filled_CxG.sum(axis=1) / np.maximum(counts_C, 1)
        centred.append(np.where(known_CxG, filled_CxG - mean_C[:, None], 0.0))
        flat.append(np.abs(centred[-1]).max() <= _ROUNDING * np.abs(filled_CxG).max())
    x_CxG, y_CxG = centred
    length = float(np.sqrt((x_CxG**2).sum() * (y_CxG**2).sum()))
    if df < 1 or any(flat):
        return None
    r = float(np.clip((x_CxG * y_CxG).sum() / length, -1, 1))
    # r as a t statistic: infinite where the fit is perfect.
    t = abs(r) * np.sqrt(df / max(1 - r**2, 1e-300))
    return RepeatedMeasures(r, df, 2 * float(stats.t.sf(t, df)))


def residuals(values: Array) -> Array:
    """Values minus the mean over seeds of their arm and generation.

    Args:
        values: (..., A, S, G); nan where it was not measured.

    Returns:
        The same shape; nan too where no other seed was measured, and everywhere where seeds do not
        differ by more than rounding: nothing is left then.
    """
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    counts = known.sum(axis=-2, keepdims=True)
    left = filled - filled.sum(axis=-2, keepdims=True) / np.maximum(counts, 1)
    left = np.where(known & (counts > 1), left, 0.0)
    largest, of_values = (
        np.abs(some).max(axis=(-3, -2, -1), keepdims=True) for some in (left, filled)
    )
    return np.where(known & (counts > 1) & (largest > _ROUNDING * of_values), left, np.nan)


def links(x: Array, y: Array, rng: np.random.Generator) -> Links:
    """Correlate residuals of every metric of one kind with every metric of another.

    The interval leaves out one whole seed at a time: Fisher's z of r, the jackknife's standard
    error, and Student's t with seeds - 1. Of nominal 95 % it covered 95 to 97 % with 6 and with 12
    seeds, residuals independent or correlated by 0.8 from generation to generation, and r 0 or
    0.6; percentiles of resampled seeds covered 89 to 93 %, Fisher's z over values 76 to 97 %.

    Args:
        x: (M, A, S, G) values by metric, arm, seed and generation; nan where not measured.
        y: (K, A, S, G) values of the other metrics.
        rng: draws permutations, where there are more than 10,000.
    """
    shape = (len(x), len(y))
    r_MxK = _correlations(residuals(x), residuals(y))
    orders_PxS = seed_orders(x, y, rng)
    p_MxK, corrected_MxK = _permuted(residuals(x), residuals(y), orders_PxS)
    left_out = [
        _correlations(residuals(np.delete(x, seed, axis=2)), residuals(np.delete(y, seed, axis=2)))
        for seed in range(x.shape[2])
    ]
    lower_MxK, upper_MxK = _jackknife(r_MxK, np.array(left_out).reshape(-1, *shape))
    return Links(r_MxK, lower_MxK, upper_MxK, p_MxK, corrected_MxK, len(orders_PxS))


def seed_orders(x: Array, y: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Permutations of seeds, the order itself first; only seeds with the same arms change places.

    Args:
        x: (M, A, S, G) values.
        y: (K, A, S, G) values.
        rng: draws them where there are more than 10,000.

    Returns:
        (P, S); all of them, or 10,000.
    """
    has_AxS = np.isfinite(x).any(axis=(0, 3)) | np.isfinite(y).any(axis=(0, 3))
    _, kind_S = np.unique(has_AxS, axis=1, return_inverse=True)
    groups = [np.flatnonzero(kind_S == kind) for kind in np.unique(kind_S)]
    n = has_AxS.shape[1]
    if prod(factorial(len(group)) for group in groups) <= DRAWS:
        every = product(*(permutations(group) for group in groups))
        orders_PxS = np.empty((prod(factorial(len(group)) for group in groups), n), dtype=np.intp)
        for row, chosen in enumerate(every):
            for group, order in zip(groups, chosen, strict=True):
                orders_PxS[row, group] = order
        return orders_PxS
    orders_PxS = np.tile(np.arange(n), (DRAWS, 1))
    for group in groups:
        orders_PxS[1:, group] = rng.permuted(orders_PxS[1:, group], axis=1)
    return orders_PxS


def _correlations(x: Array, y: Array) -> Array:
    """Correlations of residuals, (M, K); nan without spread."""
    sums, of_x, of_y = (
        np.einsum("mks->mk", np.einsum("mkss->mks", pairs)) for pairs in _seed_pairs(x, y)
    )
    return _ratio(sums, of_x, of_y)


def _seed_pairs(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """For each pair of seeds, sums over arms and generations that both have: xy, xx and yy.

    Permuting seeds then only picks other pairs.

    Args:
        x: (M, A, S, G) residuals.
        y: (K, A, S, G) residuals.

    Returns:
        Three arrays (M, K, S, S): the seed of x, and the seed of y.
    """
    known_x, known_y = (np.isfinite(values).astype(float) for values in (x, y))
    x, y = np.nan_to_num(x), np.nan_to_num(y)
    return (
        np.einsum("masg,katg->mkst", x, y, optimize=True),
        np.einsum("masg,katg->mkst", x**2, known_y, optimize=True),
        np.einsum("masg,katg->mkst", known_x, y**2, optimize=True),
    )


def _ratio(sums: Array, of_x: Array, of_y: Array) -> Array:
    length = np.sqrt(of_x * of_y)
    return np.divide(sums, length, out=np.full_like(sums, np.nan), where=length > 0)


def _permuted(x: Array, y: Array, orders_PxS: NDArray[np.intp]) -> tuple[Array, Array]:
    """P values of every cell, and corrected ones, both (M, K)."""
    shape, seeds_S = (len(x), len(y)), np.arange(x.shape[2])
    pairs = [some.reshape(-1, *some.shape[2:]) for some in _seed_pairs(x, y)]
    null_PxC = np.empty((len(orders_PxS), len(pairs[0])))
    for cell, (sums, of_x, of_y) in enumerate(zip(*pairs, strict=True)):
        # Row: whose x; column: whose y.
        picked = [some[orders_PxS, seeds_S].sum(axis=1) for some in (sums, of_x, of_y)]
        null_PxC[:, cell] = np.abs(_ratio(*picked))
    tested_C = np.isfinite(null_PxC[0])
    p_C, corrected_C = np.full(len(tested_C), np.nan), np.full(len(tested_C), np.nan)
    if tested_C.any() and len(orders_PxS) > 1:
        null_PxT = np.nan_to_num(null_PxC[:, tested_C])
        p_C[tested_C] = (null_PxT >= null_PxT[0] - 1e-12).mean(axis=0)
        # Trajectories that are smooth correlate more by chance: each cell on its own scale.
        size_T = np.sqrt((null_PxT**2).mean(axis=0))
        scaled_PxT = np.divide(null_PxT, size_T, out=np.zeros_like(null_PxT), where=size_T > 0)
        corrected_C[tested_C] = step_down_p(scaled_PxT[0], scaled_PxT)
    return p_C.reshape(shape), corrected_C.reshape(shape)


def _jackknife(r_MxK: Array, left_out_SxMxK: Array) -> tuple[Array, Array]:
    """Ends of the interval, from correlations without each seed."""
    n = len(left_out_SxMxK)
    z_SxMxK = np.arctanh(np.clip(left_out_SxMxK, -_NEARLY_ONE, _NEARLY_ONE))
    z_MxK = np.arctanh(np.clip(r_MxK, -_NEARLY_ONE, _NEARLY_ONE))
    half_MxK = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * np.sqrt((n - 1) * z_SxMxK.var(axis=0))
    return np.tanh(z_MxK - half_MxK), np.tanh(z_MxK + half_MxK)
