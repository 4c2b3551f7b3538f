"""Is a run unlike all healthy runs? Whole runs are compared, whatever they do within themselves.

Shapes: R healthy runs, T looks, K indicators; nan where an indicator was not measured.

**What is promised.** Let R healthy runs and a new one be exchangeable as whole runs (the same
recipe, other seeds). If an alarm is raised as soon as at most m healthy runs are not beaten, then

    P(an alarm is ever raised) <= (2 m + 1) / (R + 1),

whatever the trend and the memory within a run, however its indicators hang together, and at
whichever of the healthy runs' looks the new one was looked at. With m = 0, alpha = 5 % takes 19
healthy runs.

The probability is over the draw of all R + 1 runs. Given one's own R healthy ones, a new run's
chance of an alarm is another number for each such draw, with m = 0 about Beta(1, R) distributed (as
a new value's of exceeding R others is): of 19 runs 5 % in the mean, and above 11 % for one draw in
ten. All runs that are judged by the same healthy ones share that luck.

**Proof.** A run's score against a reference is the largest of its deviations (over looks and
indicators) from the mean of the reference's runs, in their standard deviations. Run i *beats* run j
if its score is the larger one, both scored against the R - 1 runs that are neither i nor j. That
makes a tournament of R + 1 players in which of each two at most one beats the other. Let s of them
have at most m opponents whom they do not beat. Among these s there are s (s - 1) / 2 pairs, so one
of them beats at most (s - 1) / 2 of the others and leaves at least (s - 1) / 2 unbeaten: hence
(s - 1) / 2 <= m. As the runs are exchangeable, the new one is one of the s with a chance of at most
s / (R + 1). And a new run's score only grows with its looks, the healthy runs' do not change: whom
it has beaten once, it has beaten at its end, and a look that was left out can only lower it.

Which looks count, and the floor of a spread, are read off the R healthy runs alone, so that the new
one is not treated quite as they are. Where all runs were measured at all looks, nothing is left out
and this holds as it stands. Otherwise it takes one thing more: that which values healthy runs miss
has nothing to do with what any run's values are or would have been. Then, given which looks count,
the runs at these looks are as exchangeable as before. A budget that skips looks while a machine is
busy is of that kind; values that are missing because they were not finite are not.

**Source.** Such tournaments are those of the jackknife+: Barber, Candes, Ramdas and Tibshirani,
"Predictive inference with the jackknife+", Annals of Statistics 49 (2021); ranks of whole runs are
conformal p-values (Vovk, Gammerman and Shafer, 2005).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.errors import BadParameter

Floats = NDArray[np.float64]

LEAST_RUNS = 3
"""A standard deviation takes two runs beside the one that is left out."""


@dataclass(frozen=True, eq=False)
class RoundRobin:
    """Healthy runs, each one left out in turn.

    Attributes:
        signs_K: 1 where a rise alarms, -1 where a fall does.
        means_RxTxK: of the runs but one.
        spreads_RxTxK: their standard deviations, at each look at least their mean over all looks:
            where healthy runs happen to agree, a hair's breadth must not make the largest score.
        scores_R: of the run left out, against the others.
    """

    signs_K: Floats
    means_RxTxK: Floats
    spreads_RxTxK: Floats
    scores_R: Floats

    @classmethod
    def of(cls, healthy_RxTxK: ArrayLike, signs_K: ArrayLike) -> "RoundRobin":
        """Score every healthy run against all others.

        Args:
            healthy_RxTxK: at the same looks; where one run misses a value, no run's counts.
            signs_K: 1 where a rise alarms, -1 where a fall does.

        Raises:
            BadParameter: fewer than three runs, or nothing that all of them measured.
        """
        healthy, signs = np.array(healthy_RxTxK, dtype=float), np.array(signs_K, dtype=float)
        if len(healthy) < LEAST_RUNS:
            raise BadParameter(f"{len(healthy)} healthy runs: at least {LEAST_RUNS} are needed")
        healthy[:, ~np.isfinite(healthy).all(axis=0)] = np.nan
        if not np.isfinite(healthy).any():
            raise BadParameter("the healthy runs have no look in common: look at the same steps")
        others = [np.delete(healthy, i, axis=0) for i in range(len(healthy))]
        means = np.stack([part.mean(axis=0) for part in others])
        spreads = np.stack([_spread(part) for part in others])
        scores = _deviations(healthy, means, spreads, signs).max(axis=(1, 2))
        return cls(signs, means, spreads, scores)

    def deviations(self, look: int | slice, values_xK: ArrayLike) -> Floats:
        """A new run's deviations at one look, (R, K), or several, (R, T, K), from each reference.

        In standard deviations of the healthy runs, positive in an alarm's direction; minus infinity
        where it or a healthy run has no value.
        """
        values = np.asarray(values_xK, dtype=float)
        return _deviations(
            values, self.means_RxTxK[:, look], self.spreads_RxTxK[:, look], self.signs_K
        )

    def unbeaten(self, scores_R: ArrayLike) -> int:
        """How many healthy runs a run with these scores, the largest deviations so far, leaves."""
        return int((np.asarray(scores_R) <= self.scores_R).sum())

    def bound(self, unbeaten: int) -> float:
        """The chance at most that a healthy run ever leaves no more than so many unbeaten."""
        return min(1.0, (2 * unbeaten + 1) / (len(self.scores_R) + 1))


def runs_needed(alpha: float) -> int:
    """Healthy runs that an alarm at this level takes at least."""
    return max(LEAST_RUNS, int(np.ceil(1 / alpha - 1 - 1e-9)))


def _spread(part_RxTxK: Floats) -> Floats:
    found = part_RxTxK.std(axis=0, ddof=1)
    known = np.isfinite(found)
    mean_K = np.where(known, found, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.maximum(found, mean_K)


def _deviations(values: Floats, means: Floats, spreads: Floats, signs: Floats) -> Floats:
    apart = signs * (values - means)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Without any spread every difference is infinite, and none is zero.
        found = np.where(apart == 0, 0.0, apart / spreads)
    return np.where(np.isnan(found), -np.inf, found)
