"""Sudden or gradual: a step against a smooth change, each tried as the truth by simulation.

What can be known depends on when one looked. So both words are meant of a schedule: a change is
*sudden* if all of it lies between two neighbouring checkpoints, and *gradual* if it follows a
smooth curve that has no more than ``MOST_IN_ONE`` of its change between any two of them. A fall
and a rise are neither, and mostly count as no change that is shown.

Neither kind contains the other, so that no F test applies. The statistic is the logarithm of the
residual sum of squares of the best gradual curve over that of the best step (positive: a step fits
better). What it would be if either were true is found by simulating chains from that fit and
fitting both kinds to them again: Cox's test (1961) in the form of Williams (1970), who asked the
same of enzymes: segmented or smooth. One chain of ten points says little; the chains of an arm are
independent, and their statistics are summed, draw by draw.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ranks.chains import positions
from analysis.statistics import ALPHA

Floats = NDArray[np.float64]
Word = Literal["sudden", "gradual", "neither", "undecided", "not shown", "not measured"]

MOST_IN_ONE = 0.5
LEAST_POINTS = 6
DRAWS = 999
_WIDTHS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0)
_STEP_DF, _SMOOTH_DF = 3, 4
"""What a fit uses up: level, height, place; and for a smooth curve its width."""


@dataclass(frozen=True)
class ChangeTest:
    """Whether the chains of an arm change, and whether suddenly or gradually.

    Attributes:
        n_chains: chains with enough checkpoints.
        evidence: mean over chains of ln(RSS gradual / RSS sudden); None without chains.
        p_if_flat: p of so much change if there were none (checkpoints exchanged).
        p_if_gradual: p of evidence so far towards sudden if all were gradual.
        p_if_sudden: p of evidence so far towards gradual if all were sudden.
        step: tokens of the checkpoints before and after the best step, of most chains; None
            without chains.
    """

    n_chains: int
    evidence: float | None
    p_if_flat: float
    p_if_gradual: float
    p_if_sudden: float
    step: tuple[float, float] | None

    @property
    def word(self) -> Word:
        """The verdict on these p's as they are; see :func:`change_word`."""
        if not self.n_chains:
            return "not measured"
        return change_word(self.p_if_flat, self.p_if_gradual, self.p_if_sudden)


def change_word(p_if_flat: float, p_if_gradual: float, p_if_sudden: float) -> Word:
    """The one kind that is not rejected where the other is; else neither, or undecided."""
    if p_if_flat > ALPHA:
        return "not shown"
    rejected = (p_if_gradual <= ALPHA, p_if_sudden <= ALPHA)
    words: dict[tuple[bool, bool], Word] = {
        (True, False): "sudden",
        (False, True): "gradual",
        (True, True): "neither",
        (False, False): "undecided",
    }
    return words[rejected]


def change_test(
    chains: Sequence[pd.Series], generator: np.random.Generator, draws: int = DRAWS
) -> ChangeTest:
    """Test the chains of one arm together.

    Args:
        chains: values by tokens; those with fewer than six checkpoints, or on a schedule that knows
            no gradual curve, are left out.
        generator: draws the simulated chains.
        draws: how many of each kind; p's are at least 1 / (draws + 1).
    """
    long_enough = [chain.sort_index() for chain in chains if _can_tell(chain)]
    tried = [_tried(chain, generator, draws) for chain in long_enough]
    if not tried:
        return ChangeTest(0, None, 1.0, 1.0, 1.0, None)
    change, evidence = (sum(one[name][0] for one in tried) for name in ("flat", "gradual"))
    sums = {name: np.sum([one[name][1:] for one in tried], axis=0) for name in tried[0]}
    return ChangeTest(
        len(tried),
        float(evidence / len(tried)),
        _p(sums["flat"] >= change),
        _p(sums["gradual"] >= evidence),
        _p(sums["sudden"] <= evidence),
        Counter(_best_step(chain) for chain in long_enough).most_common(1)[0][0],
    )


def _can_tell(chain: pd.Series) -> bool:
    """Whether both kinds of change can be seen on a chain's schedule."""
    if len(chain) < LEAST_POINTS:
        return False
    return len(shapes(tuple(chain.sort_index().index.astype(float))).smooth_GxT) > 0


def _best_step(chain: pd.Series) -> tuple[float, float]:
    """The checkpoints before and after the step that fits best."""
    tokens = tuple(chain.index.astype(float))
    after = 1 + int(np.argmax(np.abs(shapes(tokens).steps_SxT @ chain.to_numpy(float))))
    return tokens[after - 1], tokens[after]


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Curves on one schedule of T checkpoints, centred and of length 1."""

    steps_SxT: Floats
    smooth_GxT: Floats


@cache
def shapes(tokens: tuple[float, ...]) -> _Shapes:
    """All steps between neighbouring checkpoints, and all gradual curves.

    Gradual ones: straight lines in tokens and in doublings, and logistic curves in doublings of
    many places and widths, of which those stay that are gradual on this schedule.
    """
    places_T = positions(tokens)
    steps = np.arange(len(places_T)) >= np.arange(1, len(places_T))[:, None]
    curves = [places_T, np.array(tokens)]
    for width in _WIDTHS:
        for middle in np.arange(-1.0, places_T[-1] + 1.0, width / 2):
            curves.append(1 / (1 + np.exp(-(places_T - middle) / width)))
    gradual = [curve for curve in curves if _steepest_share(curve) <= MOST_IN_ONE]
    return _Shapes(_unit(steps.astype(float)), _unit(np.array(gradual).reshape(-1, len(tokens))))


def _steepest_share(curve_T: Floats) -> float:
    """The largest share of a rising curve's change between two neighbouring checkpoints."""
    return float(np.diff(curve_T).max() / (curve_T[-1] - curve_T[0]))


def _unit(curves_CxT: Floats) -> Floats:
    centred_CxT = curves_CxT - curves_CxT.mean(axis=1, keepdims=True)
    return centred_CxT / np.linalg.norm(centred_CxT, axis=1, keepdims=True)


def _tried(chain: pd.Series, generator: np.random.Generator, draws: int) -> dict[str, Floats]:
    """The chain's statistics, observed first, then as drawn if it were flat, gradual, sudden.

    ``flat`` has ln(total sum of squares / the best fit's), the others the evidence.
    """
    known = shapes(tuple(chain.index.astype(float)))
    values_T = chain.to_numpy(float) - chain.mean()
    noise_DxT = generator.standard_normal((draws, len(values_T)))
    exchanged_DxT = generator.permuted(np.tile(values_T, (draws, 1)), axis=1)
    smooth_T = _simulated(values_T, known.smooth_GxT, _SMOOTH_DF, noise_DxT)
    step_T = _simulated(values_T, known.steps_SxT, _STEP_DF, noise_DxT)
    return {
        "flat": _change(np.vstack([values_T, exchanged_DxT]), known),
        "gradual": _evidence(np.vstack([values_T, smooth_T]), known),
        "sudden": _evidence(np.vstack([values_T, step_T]), known),
    }


def _simulated(values_T: Floats, curves_CxT: Floats, df: int, noise_DxT: Floats) -> Floats:
    """The best fit of one kind, with fresh noise of the size of its residuals."""
    heights_C = curves_CxT @ values_T
    best = int(np.argmax(np.abs(heights_C)))
    fit_T = heights_C[best] * curves_CxT[best]
    noise = np.sqrt(((values_T - fit_T) ** 2).sum() / (len(values_T) - df))
    return fit_T + noise * noise_DxT


def _residuals(values_DxT: Floats, curves_CxT: Floats) -> Floats:
    """Residual sum of squares of the best curve, with a floor at rounding."""
    centred_DxT = values_DxT - values_DxT.mean(axis=1, keepdims=True)
    total_D = (centred_DxT**2).sum(axis=1)
    best_D = ((centred_DxT @ curves_CxT.T) ** 2).max(axis=1)
    return np.maximum(total_D - best_D, 1e-12 * total_D + np.finfo(float).tiny)


def _evidence(values_DxT: Floats, known: _Shapes) -> Floats:
    smooth_D, step_D = (
        _residuals(values_DxT, curves_CxT) for curves_CxT in (known.smooth_GxT, known.steps_SxT)
    )
    return np.log(smooth_D / step_D)


def _change(values_DxT: Floats, known: _Shapes) -> Floats:
    centred_DxT = values_DxT - values_DxT.mean(axis=1, keepdims=True)
    total_D = np.maximum((centred_DxT**2).sum(axis=1), np.finfo(float).tiny)
    return np.log(total_D / _residuals(values_DxT, np.vstack([known.smooth_GxT, known.steps_SxT])))


def _p(as_far_D: NDArray[np.bool_]) -> float:
    """The share of draws as far as the observed one, which counts as one of them."""
    return float((as_far_D.sum() + 1) / (len(as_far_D) + 1))
