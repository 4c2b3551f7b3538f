"""Power laws of loss, E + A N^-alpha, and the reasons not to tell one.

Residuals are relative, (y - f) / y, which to first order are those of the logarithm: the spread of
losses over seeds grows with the loss, and a fit of plain differences would hear the worst models
alone. Huber's weights are not used: with four to six sizes an outlier cannot be told from a bend,
and the test of lack of fit speaks where either is there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics import ALPHA, CONFIDENCE, t_interval
from collapse.figures.view import written

Array = NDArray[np.float64]

LEAST_SIZES, LEAST_RANGE = 4, 5.0
DRAWS = 500
_STEP = 0.005
# No exponent of the grid is 0, where the floor and the power are one and the same.
_ALPHAS_G = np.arange(-1.0, 3.0, _STEP) + _STEP / 2


@dataclass(frozen=True, eq=False)
class Fits:
    """Least-squares fits, one for each of D rows of values: floor + scale (x / centre)^-alpha."""

    alpha_D: Array
    scale_D: Array
    floor_D: Array
    centre: float

    def at(self, x_X: Array) -> Array:
        """Fitted values, (D, X)."""
        power = (x_X / self.centre)[None, :] ** -self.alpha_D[:, None]
        return self.floor_D[:, None] + self.scale_D[:, None] * power


@dataclass(frozen=True, eq=False)
class Law:
    """A power law over sizes or steps, or why there is none.

    Attributes:
        of: what is fitted, in words, such as ``"loss"``.
        over: what it is fitted over, such as ``"parameters"``.
        x_A: the sizes, rising.
        y_SxA: the values, a row a seed.
        refusal: why no law is told, in a sentence; empty where one is.
        has_floor: whether E is part of the law, by leave-one-out.
        fits: the fit to the means over seeds, first, and then those to draws of seeds; None where
            nothing was fitted.
        alpha: the exponent; nan where nothing was fitted.
        alpha_interval: 95 %, over seeds.
        floor_interval: 95 %, of E; (0, 0) for a law without E.
        left_out_errors: root mean square relative error of a size left out, without and with E.
        fit_p: p of lack of fit.
    """

    of: str
    over: str
    x_A: Array
    y_SxA: Array
    refusal: str = ""
    has_floor: bool = False
    fits: Fits | None = None
    alpha: float = np.nan
    alpha_interval: tuple[float, float] = (np.nan, np.nan)
    floor_interval: tuple[float, float] = (np.nan, np.nan)
    left_out_errors: tuple[float, float] = (np.nan, np.nan)
    fit_p: float = np.nan

    @property
    def is_told(self) -> bool:
        """Whether the points support a law."""
        return not self.refusal


def power_law(
    of: str, over: str, x_A: Array, y_SxA: Array, rng: np.random.Generator, draws: int = DRAWS
) -> Law:
    """Fit y = E + A x^-alpha with and without E, choose by leave-one-out, and judge it.

    For a given alpha the model is linear, so alpha alone is searched (G. H. Golub and V. Pereyra,
    1973), on a grid with a parabola through its least three points. Whole seeds are drawn with
    replacement (B. Efron, 1979). Percentiles of so few seeds would be too narrow: the bootstrap's
    standard error is widened by sqrt(S / (S - 1)) and taken times Student's quantile with S - 1
    degrees of freedom, which for a mean is its t-interval.

    Args:
        of: what is fitted, in words.
        over: what it is fitted over, in words.
        x_A: sizes, rising and positive.
        y_SxA: positive values, a row a seed.
        rng: of the bootstrap.
        draws: of seeds.
    """
    bare = Law(of, over, x_A, y_SxA)
    refusal = _too_little(bare) or _rise(bare)
    if refusal:
        return Law(of, over, x_A, y_SxA, refusal)
    n_seeds = len(y_SxA)
    errors = (_left_out(x_A, y_SxA, has_floor=False), _left_out(x_A, y_SxA, has_floor=True))
    has_floor = errors[1] < errors[0]
    drawn_DxS = rng.integers(0, n_seeds, (draws, n_seeds))
    means_DxA = np.vstack([y_SxA.mean(axis=0), y_SxA[drawn_DxS].mean(axis=1)])
    fits = fit_powers(x_A, means_DxA, has_floor)
    alpha_interval = _over_draws(fits.alpha_D, n_seeds)
    fit_p = _lack_of_fit_p(x_A, y_SxA, fits, n_parameters=3 if has_floor else 2)
    return Law(
        *(of, over, x_A, y_SxA),
        refusal=_no_law(float(fits.alpha_D[0]), alpha_interval, fit_p),
        has_floor=has_floor,
        fits=fits,
        alpha=float(fits.alpha_D[0]),
        alpha_interval=alpha_interval,
        floor_interval=_over_draws(fits.floor_D, n_seeds),
        left_out_errors=errors,
        fit_p=fit_p,
    )


def fit_powers(x_A: Array, y_DxA: Array, has_floor: bool) -> Fits:
    """Fit every row by least squares of relative residuals, with A > 0 and E >= 0.

    Args:
        x_A: sizes.
        y_DxA: rows of values; the first one's are the weights of all.
        has_floor: whether E may be above 0.
    """
    centre = float(np.exp(np.log(x_A).mean()))
    weights_A = 1.0 / y_DxA[0]
    z_DxA = weights_A * y_DxA
    powers_GxA = weights_A * (x_A / centre)[None, :] ** -_ALPHAS_G[:, None]
    _, _, loss_DxG = _linear(z_DxA[:, None, :], powers_GxA[None], weights_A, has_floor)
    best_D = loss_DxG.argmin(axis=1).clip(1, len(_ALPHAS_G) - 2)
    rows = np.arange(len(y_DxA))
    before, here, after = (loss_DxG[rows, best_D + shift] for shift in (-1, 0, 1))
    bend = before - 2 * here + after
    shift_D = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend > 0)
    alpha_D = _ALPHAS_G[best_D] + _STEP * shift_D.clip(-1, 1)
    own_DxA = weights_A * (x_A / centre)[None, :] ** -alpha_D[:, None]
    scale_D, floor_D, _ = _linear(z_DxA, own_DxA, weights_A, has_floor)
    return Fits(alpha_D, scale_D, floor_D, centre)


def _linear(
    z: Array, power: Array, weights_A: Array, has_floor: bool
) -> tuple[Array, Array, Array]:
    """Scale, floor and squared residuals at given exponents; sizes are the last axis."""
    power_2, by_power = (power * power).sum(-1), (power * z).sum(-1)
    scale = by_power / power_2
    floor = np.zeros_like(scale)
    if has_floor:
        ones_2, mixed = weights_A @ weights_A, (power * weights_A).sum(-1)
        by_one = (z * weights_A).sum(-1)
        determinant = ones_2 * power_2 - mixed**2
        both = (ones_2 * by_power - mixed * by_one) / determinant
        level = (power_2 * by_one - mixed * by_power) / determinant
        allowed = (both > 0) & (level > 0)
        scale, floor = np.where(allowed, both, scale), np.where(allowed, level, 0.0)
    residuals = z - scale[..., None] * power - floor[..., None] * weights_A
    return scale, floor, (residuals**2).sum(-1)


def _over_draws(values_D: Array, n_seeds: int) -> tuple[float, float]:
    """The 95 % interval of the first value, from the spread of the others over draws of seeds."""
    error = float(values_D[1:].std()) * np.sqrt(n_seeds / (n_seeds - 1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n_seeds - 1)) * error
    return float(values_D[0]) - half, float(values_D[0]) + half


def _left_out(x_A: Array, y_SxA: Array, has_floor: bool) -> float:
    """Root mean square relative error of the sizes, each foretold by the others."""
    means_A = y_SxA.mean(axis=0)
    misses = []
    for place in range(len(x_A)):
        kept = np.arange(len(x_A)) != place
        fits = fit_powers(x_A[kept], means_A[None, kept], has_floor)
        misses.append(float(fits.at(x_A[~kept])[0, 0] / means_A[place] - 1))
    return float(np.sqrt(np.mean(np.square(misses))))


def _lack_of_fit_p(x_A: Array, y_SxA: Array, fits: Fits, n_parameters: int) -> float:
    """F test of the means' distance from the curve against what is left within seeds and sizes.

    Seeds are blocks: what moves all sizes of a seed together is no distance from the curve.
    """
    n_seeds, n_sizes = y_SxA.shape
    means_A = y_SxA.mean(axis=0)
    relative_SxA = y_SxA / means_A
    within = relative_SxA - relative_SxA.mean(axis=1, keepdims=True)
    free, free_within = n_sizes - n_parameters, (n_sizes - 1) * (n_seeds - 1)
    between = n_seeds * float((((means_A - fits.at(x_A)[0]) / means_A) ** 2).sum()) / free
    spread = float((within**2).sum()) / free_within
    return float(stats.f.sf(between / max(spread, 1e-24), free, free_within))


def _too_little(law: Law) -> str:
    sizes, n_seeds = np.unique(law.x_A), len(law.y_SxA)
    if len(sizes) < LEAST_SIZES:
        kinds = f"{len(sizes)} different number{'s' * (len(sizes) != 1)} of {law.over}"
        return f"There are {kinds}; a law needs {LEAST_SIZES}."
    if sizes[-1] < LEAST_RANGE * sizes[0]:
        ratio = sizes[-1] / sizes[0]
        return f"The {law.over} span a factor of {ratio:.2g}; a law needs {LEAST_RANGE:.0f}."
    if n_seeds < 2:
        return (
            f"{'One seed has' if n_seeds else 'No seed has'} all points; a law's errors need two."
        )
    return ""


def _rise(law: Law) -> str:
    """Says where the values rise beyond their errors, paired by seed and corrected for places."""
    steps = len(law.x_A) - 1
    for place in range(steps):
        differences = law.y_SxA[:, place + 1] - law.y_SxA[:, place]
        interval = t_interval(differences, 1 - (1 - CONFIDENCE) / steps)
        if interval and interval[0] > 0:
            start, end = (size_in_words(law.x_A[at]) for at in (place, place + 1))
            rise = written(float(differences.mean()))
            return f"The {law.of} rises by {rise} from {start} to {end} {law.over}."
    return ""


def _no_law(alpha: float, alpha_interval: tuple[float, float], fit_p: float) -> str:
    if alpha >= _ALPHAS_G[-2]:
        return "The best exponent lies at the end of those tried: a fall at once, and no power."
    if fit_p <= ALPHA:
        return (
            f"The points lie further from the best power law than seeds differ (lack of fit, "
            f"p = {fit_p:.2g})."
        )
    if not alpha_interval[0] > 0:
        ends = " to ".join(written(end) for end in alpha_interval)
        return f"The exponent's 95 % interval, {ends}, reaches 0 or below."
    return ""


def size_in_words(size: float) -> str:
    """A number of parameters or steps, in three digits."""
    if size >= 1e9:
        return f"{size / 1e9:.3g}B"
    if size >= 1e5:
        return f"{size / 1e6:.3g}M"
    return f"{size:,.0f}"
