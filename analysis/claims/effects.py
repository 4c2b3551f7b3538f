"""Paired differences over seeds, and the verdict that they allow on a claim.

The unit is the chain: one arm, one seed. Arms of one seed share their first model and their random
streams, so that an arm is compared with its control within each seed. Mixed models, analyses of
variance, effect sizes and corrections for several comparisons are in `analysis.inference`; claims
on a lead are judged in `analysis.early_warning`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.claims.reasons import arms_in_words, left_out_in_words
from analysis.claims.weighing import Status, weigh_beyond, weigh_similar
from analysis.statistics import least_sign_flip_p, sign_flip_p, t_interval
from analysis.study import StudyRecord, metric_values
from collapse.claims import Claim


@dataclass(frozen=True)
class PairedDifferences:
    """Arm minus control of one metric at one generation, seed by seed.

    Attributes:
        seeds: the seeds that have both values.
        differences: one a seed, in the metric's unit.
        left_out: the planned seeds where either value is missing.
    """

    seeds: tuple[int, ...]
    differences: NDArray[np.float64]
    left_out: tuple[int, ...]


@dataclass(frozen=True)
class Effect:
    """A paired effect with its uncertainty.

    Attributes:
        n_seeds: number of pairs.
        mean: mean difference; None without pairs.
        interval: 95 % t-interval of the mean; None for fewer than two pairs.
        p: exact two-sided sign-flip p against no difference; None without pairs.
        least_p: the least p that so many pairs can reach.
    """

    n_seeds: int
    mean: float | None
    interval: tuple[float, float] | None
    p: float | None
    least_p: float


@dataclass(frozen=True)
class Verdict:
    """What the data say about a claim.

    Attributes:
        claim: the claim.
        status: supported, refuted or undecided.
        generation: where the arms were compared.
        estimate: mean difference, arm minus control, or of a claim on one arm the mean of its
            values; None where there is none.
        interval: its 95 % t-interval; None for fewer than two pairs.
        p: exact two-sided sign-flip p against a difference of just the margin; of a claim that
            two arms are similar the equivalence p, unless it is refuted; None without pairs.
        least_p: the least two-sided p that so many pairs can reach.
        n_seeds: number of pairs.
        reasons: why, one sentence each.
    """

    claim: Claim
    status: Status
    generation: int
    estimate: float | None
    interval: tuple[float, float] | None
    p: float | None
    least_p: float
    n_seeds: int
    reasons: tuple[str, ...]


def paired_differences(
    record: StudyRecord, metric: str, arm: str, control: str, generation: int
) -> PairedDifferences:
    """Arm minus control, seed by seed.

    Args:
        record: the study.
        metric: the metric's name.
        arm: the arm.
        control: what it is compared with.
        generation: where.

    Returns:
        The differences of the seeds that have both values, and the seeds that do not.
    """
    values, planned = metric_values(record, metric), record.seeds_of(arm, control)
    found: dict[int, float] = {}
    for seed in planned:
        pair = [values.get((name, seed, generation)) for name in (arm, control)]
        if pair[0] is not None and pair[1] is not None:
            found[seed] = float(pair[0]) - float(pair[1])
    return PairedDifferences(
        tuple(found),
        np.array(list(found.values())),
        tuple(seed for seed in planned if seed not in found),
    )


def own_values(record: StudyRecord, metric: str, arm: str, generation: int) -> PairedDifferences:
    """An arm's own values, seed by seed: its differences from nothing."""
    values, planned = metric_values(record, metric), record.seeds_of(arm)
    found = {
        seed: float(values[arm, seed, generation])
        for seed in planned
        if (arm, seed, generation) in values.index
    }
    left_out = tuple(seed for seed in planned if seed not in found)
    return PairedDifferences(tuple(found), np.array(list(found.values())), left_out)


def effect(differences: ArrayLike) -> Effect:
    """Mean, interval and sign-flip p of paired differences."""
    differences_N = np.asarray(differences, dtype=float)
    n = differences_N.size
    return Effect(
        n,
        float(differences_N.mean()) if n else None,
        t_interval(differences_N),
        sign_flip_p(differences_N) if n else None,
        least_sign_flip_p(n),
    )


def effects_table(record: StudyRecord, metrics: tuple[str, ...]) -> pd.DataFrame:
    """Every arm against its control at the last generation.

    Args:
        record: the study.
        metrics: the metrics to compare.

    Returns:
        Columns metric, arm, control, n_seeds, mean, lower, upper, p, least_p; no rows without a
        control.
    """
    rows = []
    for metric in metrics:
        for arm in record.arms:
            control = record.control_of(arm)
            if control is None or arm == control:
                continue
            pairs = paired_differences(record, metric, arm, control, record.generations)
            if not record.is_recursion and pairs.seeds and not pairs.differences.any():
                continue  # the arms share their only training
            found = effect(pairs.differences)
            lower, upper = found.interval or (np.nan, np.nan)
            rows.append((metric, arm, control, found.n_seeds, found.mean, lower, upper, found.p))
    columns = ["metric", "arm", "control", "n_seeds", "mean", "lower", "upper", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(least_p=[least_sign_flip_p(n) for n in table["n_seeds"]])


def judge(claim: Claim, record: StudyRecord) -> Verdict:
    """Whether the data support a claim, refute it, or cannot tell.

    A claim on one arm is about its own values, and its margin is the level they must pass; one on
    four arms is about the difference of two differences.
    Supported: the whole 95 % interval lies beyond the margin, in the claimed direction, and a
    sign-flip test against the margin reaches p <= 0.05. Refuted: the whole interval lies on the
    other side of the margin, and the same test reaches p <= 0.05. Else undecided. Testing against
    the margin, not against zero, gives both verdicts the same burden of proof.

    That two arms are similar is supported where the whole 95 % interval lies within the margin on
    either side and the exact equivalence p is at most 0.05. It is refuted where the whole interval
    lies beyond the margin on one side and a sign-flip test against it reaches p <= 0.05.

    Args:
        claim: the claim; one on a lead is judged in `analysis.early_warning`.
        record: the study.

    Returns:
        The verdict with its reasons.
    """
    assert not claim.is_lead, f"claim {claim.id} is about a lead: effects cannot judge it"
    generation = record.generations if claim.generation is None else claim.generation
    pairs = _values_of(claim, record, generation)
    found = effect(pairs.differences)
    reasons = _no_comparison(claim, record, generation, found)
    status: Status = "undecided"
    p = None
    if pairs.seeds:
        weigh = weigh_similar if claim.direction == "similar" else weigh_beyond
        status, p, why = weigh(claim, pairs.differences)
        status, reasons = ("undecided", reasons) if reasons else (status, why)
    return Verdict(
        claim,
        status,
        generation,
        found.mean,
        found.interval,
        p,
        found.least_p,
        found.n_seeds,
        reasons + left_out_in_words(claim, pairs.seeds, pairs.left_out),
    )


def _values_of(claim: Claim, record: StudyRecord, generation: int) -> PairedDifferences:
    """What a claim is about, seed by seed."""
    if claim.is_level:
        return own_values(record, claim.indicator, claim.contrast[0], generation)
    arm, control, *others = claim.contrast
    pairs = paired_differences(record, claim.indicator, arm, control, generation)
    if not others:
        return pairs
    rest = paired_differences(record, claim.indicator, others[0], others[1], generation)
    both = [seed for seed in pairs.seeds if seed in rest.seeds]
    less = dict(zip(rest.seeds, rest.differences, strict=True))
    more = dict(zip(pairs.seeds, pairs.differences, strict=True))
    planned = record.seeds_of(*claim.contrast)
    return PairedDifferences(
        tuple(both),
        np.array([more[seed] - less[seed] for seed in both]),
        tuple(seed for seed in planned if seed not in both),
    )


def _no_comparison(
    claim: Claim, record: StudyRecord, generation: int, found: Effect
) -> tuple[str, ...]:
    """Why there is nothing to weigh; empty where there is something."""
    if generation == 0 and record.is_recursion and not claim.is_level:
        return ("Generation 0 is shared by all arms, so there is nothing to compare.",)
    if generation > record.generations:
        return (f"The study ends at generation {record.generations}, before {generation}.",)
    if not found.n_seeds:
        return (
            f"No seed has {claim.indicator} for {arms_in_words(claim)} at generation {generation}.",
        )
    return ()
