"""Slopes over generations against the control: a mixed model, and per-chain slopes beside it.

The model of an arm and its control, fitted by restricted maximum likelihood (statsmodels), is

    value = arm x generation + seed (level and slope) + chain within seed (level and slope) + rest

with seeds as blocks, and chains random, their levels and slopes free to correlate. The chain, not
the generation, is the unit, which takes three decisions:

*Generation 0 is left out.* All arms of a seed share it, so that it says nothing of their
difference; entered once an arm it would be one measurement counted as several, and as a common
start it would bend the line of an arm whose first generation is a jump. What it does say, that
chains of a seed begin alike, is in the seed's level.

*Chains have slopes of their own.* A generation starts from the one before, so that a chain drifts.
With random levels alone (seed, and chain within seed) the model takes drift for effect: under the
null hypothesis, with 5 generations, its Wald test at 5 % rejects in 16 % of studies where chains'
slopes vary by 0.4 of the noise, with 6 and with 12 seeds alike, and in 19 and 18 % where chains
walk at random; with 10 generations in more than 36 %. With random slopes Wald's test still rejects
in 9 to 10 % (6 seeds) and 7 % (12 seeds), as z takes a variance over a few seeds for known.
Student's t with seeds - 1 degrees of freedom rejects in 4 % (6 seeds) and 5 % (12 seeds), and in 1
to 3 % where slopes do not vary at all (40,000 simulated studies each). It is what stands here for p
and interval; in complete studies it is then the paired t-test of the chains' slopes.

*Seeds are fixed blocks.* Their random levels and slopes would cancel in every complete pair of
chains, and cost two variances more that six seeds cannot tell from zero: with them a fit at the
edge came out with standard errors many times too large, and took twice as long.

That test, the summary-measures approach (a least-squares slope a chain, arm minus control,
Student's t over seeds), always stands beside the model: it is exact for complete chains with
normal slopes (5 % in every case above), and where the model does not converge it is what is left.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from analysis.claims.effects import PairedDifferences
from analysis.statistics import CONFIDENCE, sign_flip_p, t_interval, t_p
from analysis.study import StudyRecord, chain_values, metric_values

FitStatus = Literal["converged", "singular", "not converged", "not fitted"]

LEAST_SEEDS = 3
LEAST_GENERATIONS = 3
# A variance below this share of the residual variance is none.
_NO_VARIANCE = 1e-3


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval and p, by Student's t with seeds - 1."""

    value: float
    interval: tuple[float, float]
    p: float


@dataclass(frozen=True)
class MixedFit:
    """What the mixed model says of an arm against its control.

    Attributes:
        status: ``singular`` means that a variance of chains, or what is left of it beside their
            correlation, is estimated as zero: p is then conservative (see the module);
            ``not converged`` and ``not fitted`` have no numbers.
        why: what is behind a status other than converged.
        slope: arm minus control, per generation.
        last: arm minus control at the last generation, as the lines predict.
    """

    status: FitStatus
    why: str
    slope: Estimate | None = None
    last: Estimate | None = None


@dataclass(frozen=True)
class SlopeContrast:
    """An arm's slope over generations against the control's.

    Attributes:
        metric: the metric.
        arm: the arm.
        control: its control.
        fit: the mixed model.
        pairs: per-chain slopes, arm minus control, in the metric's unit per generation; seeds are
            left out where either chain has fewer than two generations after 0.
        interval: 95 % t-interval of their mean; None for fewer than two seeds.
        p: Student's p of their mean; None for fewer than two seeds, or without spread.
        p_flip: exact sign-flip p; None without seeds.
    """

    metric: str
    arm: str
    control: str
    fit: MixedFit
    pairs: PairedDifferences
    interval: tuple[float, float] | None
    p: float | None
    p_flip: float | None

    @property
    def mean(self) -> float | None:
        """Mean difference of slopes over seeds."""
        return float(self.pairs.differences.mean()) if self.pairs.seeds else None


def slope_contrast(record: StudyRecord, metric: str, arm: str, control: str) -> SlopeContrast:
    """Compare the slopes of an arm and its control over the generations after 0.

    Args:
        record: the study.
        metric: the metric's name.
        arm: the arm.
        control: what it is compared with.
    """
    chains = _chains(record, metric, arm, control)
    slopes = {
        seed: _slope(pair[0]) - _slope(pair[1])
        for seed, pair in chains.items()
        if all(len(chain) > 1 for chain in pair)
    }
    planned = record.seeds_of(arm, control)
    differences_N = np.array(list(slopes.values()), dtype=float)
    rows = [
        (side, seed, generation, value)
        for seed in slopes
        for side, chain in zip((0.5, -0.5), chains[seed], strict=True)
        for generation, value in chain.items()
    ]
    frame = pd.DataFrame(rows, columns=["side", "seed", "generation", "value"])
    return SlopeContrast(
        metric,
        arm,
        control,
        fit_mixed(frame, record.generations),
        PairedDifferences(
            tuple(slopes), differences_N, tuple(seed for seed in planned if seed not in slopes)
        ),
        t_interval(differences_N),
        t_p(differences_N),
        sign_flip_p(differences_N) if slopes else None,
    )


def fit_mixed(frame: pd.DataFrame, last: int) -> MixedFit:
    """Fit the model of an arm and its control.

    Args:
        frame: columns side (0.5 the arm, -0.5 its control), seed, generation and value.
        last: the generation to predict for.
    """
    if lacking := _lacking(frame):
        return MixedFit("not fitted", lacking)
    n, spread = frame["seed"].nunique(), float(frame["value"].std(ddof=0))
    centre, width = frame["generation"].mean(), frame["generation"].std(ddof=0)
    model = _model(frame, (frame["generation"] - centre) / width, spread)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Gradients stall at variances of zero and say that they converged: Powell does not.
            found = model.fit(reml=True, method="powell")
            covariance_2x2 = np.asarray(found.cov_params())[:2, :2]
    except (np.linalg.LinAlgError, ValueError) as error:
        return MixedFit("not fitted", f"statsmodels: {error}")
    if not found.converged or not np.all(np.linalg.eigvalsh(covariance_2x2) > 0):
        return MixedFit("not converged", "the likelihood has no maximum that was found")
    effects_2 = np.asarray(found.fe_params)[:2]
    slope_2 = np.array([0.0, spread / width])
    last_2 = np.array([spread, spread * (last - centre) / width])
    estimates = [_estimate(effects_2, covariance_2x2, one, n) for one in (slope_2, last_2)]
    if np.linalg.eigvalsh(np.asarray(found.cov_re)).min() < _NO_VARIANCE * found.scale:
        why = "a variance of chains within seeds is estimated as zero"
        return MixedFit("singular", why, *estimates)
    return MixedFit("converged", "", *estimates)


def _lacking(frame: pd.DataFrame) -> str:
    """What there is too little of for a fit; empty where there is enough."""
    if (n := frame["seed"].nunique()) < LEAST_SEEDS:
        return f"{n} of at least {LEAST_SEEDS} seeds"
    if frame["generation"].nunique() < LEAST_GENERATIONS:
        return f"fewer than {LEAST_GENERATIONS} generations after 0"
    return "all values are equal" if frame["value"].nunique() == 1 else ""


def _model(frame: pd.DataFrame, x: pd.Series, spread: float) -> Any:
    """The model, with everything near 1, where optimisers are at home; arm effects come first."""
    side_N, x_N, seeds_N = frame["side"].to_numpy(), x.to_numpy(), frame["seed"].to_numpy()
    of_arm_Nx2 = np.column_stack([side_N, side_N * x_N])
    of_seed_NxS = (seeds_N[:, None] == np.unique(seeds_N)).astype(float)
    return MixedLM(
        (frame["value"].to_numpy() - frame["value"].mean()) / spread,
        np.column_stack([of_arm_Nx2, of_seed_NxS, of_seed_NxS * x_N[:, None]]),
        seeds_N,
        # With two chains a seed, their random effects are one difference of level, one of slope.
        exog_re=of_arm_Nx2,
    )


def _estimate(
    effects_2: NDArray[np.float64],
    covariance_2x2: NDArray[np.float64],
    contrast_2: NDArray[np.float64],
    n_seeds: int,
) -> Estimate:
    value = float(contrast_2 @ effects_2)
    error = float(np.sqrt(contrast_2 @ covariance_2x2 @ contrast_2))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n_seeds - 1)) * error
    p = 2 * float(stats.t.sf(abs(value) / error, n_seeds - 1))
    return Estimate(value, (value - half, value + half), p)


def _chains(
    record: StudyRecord, metric: str, arm: str, control: str
) -> dict[int, tuple[pd.Series, pd.Series]]:
    """Each planned seed's chain of the arm and of the control, generation 0 left out."""
    values = metric_values(record, metric)
    values = values[values.index.get_level_values("generation") > 0]
    return {
        seed: (chain_values(values, arm, seed), chain_values(values, control, seed))
        for seed in record.seeds_of(arm, control)
    }


def _slope(chain: pd.Series) -> float:
    """The least-squares slope of a chain over its generations."""
    generations_G = chain.index.to_numpy(dtype=float)
    centred_G = generations_G - generations_G.mean()
    return float(centred_G @ chain.to_numpy(dtype=float) / (centred_G @ centred_G))
