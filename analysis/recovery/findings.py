"""What chains that go back to human text had lost by then, and how much of it is left at the end.

Everything is an excess over the control of the same seed, turned so that a loss is positive. Half
of what was lost is the line, set in advance: above it the loss stays, below it heals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from analysis.claims.effects import Effect, effect, paired_differences
from analysis.statistics import ALPHA, CONFIDENCE
from analysis.study import StudyRecord, metric_values

LOSSES = {
    "human/nll_nats": 1,
    "truth/kl_nats_per_token": 1,
    "truth/valid_fraction": -1,
    "truth/tail_coverage": -1,
}
"""What may be lost, and the sign of a loss."""
LINE = 0.5

Status = Literal["heals", "stays", "undecided", "not told", "nothing lost"]


@dataclass(frozen=True, eq=False)
class Recovery:
    """One metric of an arm that goes back to human text.

    Attributes:
        metric: what may be lost.
        arm: the arm.
        switch: the first generation that reads human text again.
        last: the last generation.
        seeds: those that have arm and control at both.
        lost_N: excess over the control at the generation before the switch, by seed, positive
            where something is lost, in the metric's unit.
        left_N: the same at the last generation.
        gone_on: the arm that does not go back, and was the same until then; None without one.
        gone_on_N: its loss at the last generation, nan for seeds that lack it.
    """

    metric: str
    arm: str
    switch: int
    last: int
    seeds: tuple[int, ...]
    lost_N: NDArray[np.float64]
    left_N: NDArray[np.float64]
    gone_on: str | None
    gone_on_N: NDArray[np.float64]

    @cached_property
    def lost(self) -> Effect:
        """What was lost when it went back."""
        return effect(self.lost_N)

    @cached_property
    def left(self) -> Effect:
        """What is left of it at the end."""
        return effect(self.left_N)

    @cached_property
    def share_left(self) -> tuple[float, tuple[float, float]] | None:
        """What is left as a share of what was lost, with a 95 % interval; None without a loss."""
        interval = ratio_interval(self.left_N, self.lost_N)
        return (self.left_N.mean() / self.lost_N.mean(), interval) if interval else None

    @property
    def status(self) -> Status:
        """Whether the loss heals; both the interval and the exact test have to say so.

        ``not told`` where there is no telling whether anything was lost at all.
        """
        if self.share_left is None:
            return "not told"
        if self.lost_N.mean() < 0:
            return "nothing lost"
        beyond = effect(self.left_N - LINE * self.lost_N)
        if beyond.interval is None or beyond.p is None or beyond.p > ALPHA:
            return "undecided"
        if beyond.interval[0] <= 0 <= beyond.interval[1]:
            return "undecided"
        return "stays" if beyond.interval[0] > 0 else "heals"


@dataclass(frozen=True, eq=False)
class RecoveryFindings:
    """All that a study's switches back to human text say.

    Attributes:
        record: the study.
        recoveries: by metric, then in the order of the switches.
    """

    record: StudyRecord
    recoveries: tuple[Recovery, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that there is anything of."""
        return tuple(dict.fromkeys(one.metric for one in self.recoveries))

    def of(self, metric: str) -> tuple[Recovery, ...]:
        """One metric's arms, the earliest switch first."""
        return tuple(one for one in self.recoveries if one.metric == metric)

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms to draw: those that were the same and went on, then those that went back."""
        others = dict.fromkeys(one.gone_on for one in self.recoveries if one.gone_on)
        return (*others, *dict.fromkeys(one.arm for one in self.recoveries))


def recovery_findings(record: StudyRecord) -> RecoveryFindings | None:
    """Work out everything; None for a study in which no arm goes back, or none is measured."""
    found = [
        one
        for metric, sign in LOSSES.items()
        for arm, switch in sorted(record.returns.items(), key=lambda item: item[1])
        if (one := _recovery(record, metric, sign, arm, switch)) is not None
    ]
    return RecoveryFindings(record, tuple(found)) if found else None


def excess_by_generation(record: StudyRecord, metric: str, arm: str) -> Mapping[int, ArrayLike]:
    """Arm minus its control over the seeds that have both, by generation; the metric's own sign."""
    control = record.control_of(arm)
    if control is None:
        return {}
    found = {}
    for generation in range(record.generations + 1):
        pairs = paired_differences(record, metric, arm, control, generation)
        if pairs.seeds:
            found[generation] = pairs.differences
    return found


def ratio_interval(above: ArrayLike, below: ArrayLike) -> tuple[float, float] | None:
    """The 95 % interval of a ratio of two means of pairs, by Fieller's (1954) theorem.

    It holds every ratio r for which the mean of ``above - r * below`` is not told from zero by
    Student's t: exact for normal pairs, however they hang together.

    Args:
        above: one value a pair, shape (n,).
        below: the other, shape (n,).

    Returns:
        None for fewer than two pairs, or where the mean of ``below`` is not told from zero: then
        no ratio is ruled out on one side at least.
    """
    above_N, below_N = np.asarray(above, float), np.asarray(below, float)
    n = above_N.size
    if n < 2:
        return None
    mean_above, mean_below = above_N.mean(), below_N.mean()
    covariance_2x2 = np.cov(above_N, below_N) / n * stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) ** 2
    # The ends solve (mean_above - r mean_below)^2 = var_above - 2 r covariance + r^2 var_below.
    square = mean_below**2 - covariance_2x2[1, 1]
    if square <= 0:
        return None
    half = mean_above * mean_below - covariance_2x2[0, 1]
    rest = mean_above**2 - covariance_2x2[0, 0]
    root = np.sqrt(max(half**2 - square * rest, 0.0))
    return float((half - root) / square), float((half + root) / square)


def recoveries_table(found: Sequence[Recovery]) -> pd.DataFrame:
    """One row a metric and arm, for a file; missing numbers are nan."""
    rows = []
    for one in found:
        share, (low, high) = one.share_left or (np.nan, (np.nan, np.nan))
        row = {
            "metric": one.metric,
            "arm": one.arm,
            "switch": one.switch,
            "generations_after": one.last - one.switch + 1,
            "n_seeds": len(one.seeds),
            "status": one.status,
            "share_left": share,
            "share_left_lower": low,
            "share_left_upper": high,
            "gone_on": one.gone_on or "",
            "gone_on_lost": np.nanmean(one.gone_on_N) if one.gone_on else np.nan,
        }
        for name, what in (("lost", one.lost), ("left", one.left)):
            ends = what.interval or (np.nan, np.nan)
            row |= {name: what.mean, f"{name}_lower": ends[0], f"{name}_upper": ends[1]}
        rows.append(row)
    return pd.DataFrame(rows)


def _recovery(
    record: StudyRecord, metric: str, sign: int, arm: str, switch: int
) -> Recovery | None:
    """One metric of one arm; None where nothing can be compared."""
    last = record.generations
    if record.control_of(arm) is None or not 2 <= switch <= last:
        return None
    before = _losses(record, metric, sign, arm, switch - 1)
    after = _losses(record, metric, sign, arm, last)
    seeds = tuple(seed for seed in before if seed in after)
    if not seeds:
        return None
    gone_on = _same_until(record, metric, arm, switch)
    of_it = _losses(record, metric, sign, gone_on, last) if gone_on else {}
    return Recovery(
        metric,
        arm,
        switch,
        last,
        seeds,
        np.array([before[seed] for seed in seeds]),
        np.array([after[seed] for seed in seeds]),
        gone_on,
        np.array([of_it.get(seed, np.nan) for seed in seeds]),
    )


def _losses(
    record: StudyRecord, metric: str, sign: int, arm: str, generation: int
) -> dict[int, float]:
    pairs = paired_differences(record, metric, arm, str(record.control_of(arm)), generation)
    return dict(zip(pairs.seeds, (sign * pairs.differences).tolist(), strict=True))


def _same_until(record: StudyRecord, metric: str, arm: str, switch: int) -> str | None:
    """The arm that measured just the same until the switch, and does not go back."""
    values = metric_values(record, metric)
    own = _before(values, arm, switch)
    for other in record.arms:
        if other in {arm, record.control_of(arm)} or record.returns.get(other):
            continue
        theirs = _before(values, other, switch).reindex(own.index)
        if len(own) and own.equals(theirs):
            return other
    return None


def _before(values: pd.Series, arm: str, switch: int) -> pd.Series:
    is_arm = values.index.get_level_values("arm") == arm
    is_before = values.index.get_level_values("generation") < switch
    return values[is_arm & is_before].droplevel("arm")
