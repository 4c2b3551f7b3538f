"""Paired differences over seeds, and the verdict that they allow on a claim.

The unit is the chain: one arm, one seed. Arms of one seed share their first model and their random
streams, so that an arm is compared with its control within each seed. Mixed models and corrections
for several comparisons are not here yet; ``findings.cautions`` says so where it matters.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from analysis.metrics import metric_info
from analysis.statistics import ALPHA, least_pairs, least_sign_flip_p, sign_flip_p, t_interval
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
        p: exact two-sided sign-flip p against a difference of just the margin; None without pairs.
        least_p: the least p that so many pairs can reach.
        n_seeds: number of pairs.
        reasons: why, one sentence each.
    """

    claim: Claim
    status: Literal["supported", "refuted", "undecided"]
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
    values = metric_values(record, metric)
    found: dict[int, float] = {}
    for seed in record.seeds:
        pair = [values.get((name, seed, generation)) for name in (arm, control)]
        if pair[0] is not None and pair[1] is not None:
            found[seed] = float(pair[0]) - float(pair[1])
    return PairedDifferences(
        tuple(found),
        np.array(list(found.values())),
        tuple(seed for seed in record.seeds if seed not in found),
    )


def own_values(record: StudyRecord, metric: str, arm: str, generation: int) -> PairedDifferences:
    """An arm's own values, seed by seed: its differences from nothing."""
    values = metric_values(record, metric)
    found = {
        seed: float(values[arm, seed, generation])
        for seed in record.seeds
        if (arm, seed, generation) in values.index
    }
    left_out = tuple(seed for seed in record.seeds if seed not in found)
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
    """Every arm against the control at the last generation.

    Args:
        record: the study.
        metrics: the metrics to compare.

    Returns:
        Columns metric, arm, n_seeds, mean, lower, upper, p, least_p; no rows without a control.
    """
    rows = []
    for metric in metrics:
        for arm in record.arms:
            if record.control is None or arm == record.control:
                continue
            pairs = paired_differences(record, metric, arm, record.control, record.generations)
            if not record.is_recursion and not pairs.differences.any():
                continue  # the arms share their only training
            found = effect(pairs.differences)
            lower, upper = found.interval or (np.nan, np.nan)
            rows.append((metric, arm, found.n_seeds, found.mean, lower, upper, found.p))
    table = pd.DataFrame(rows, columns=["metric", "arm", "n_seeds", "mean", "lower", "upper", "p"])
    return table.assign(least_p=[least_sign_flip_p(n) for n in table["n_seeds"]])


def judge(claim: Claim, record: StudyRecord) -> Verdict:
    """Whether the data support a claim, refute it, or cannot tell.

    A claim on one arm is about its own values, and its margin is the level they must pass.
    Supported: the whole 95 % interval lies beyond the margin, in the claimed direction, and a
    sign-flip test against the margin reaches p <= 0.05. Refuted: the whole interval lies on the
    other side of the margin, and the same test reaches p <= 0.05. Else undecided. Testing against
    the margin, not against zero, gives both verdicts the same burden of proof.

    Args:
        claim: the claim.
        record: the study.

    Returns:
        The verdict with its reasons.
    """
    generation = record.generations if claim.generation is None else claim.generation
    if claim.is_level:
        pairs = own_values(record, claim.indicator, claim.contrast[0], generation)
    else:
        arm, control = claim.contrast
        pairs = paired_differences(record, claim.indicator, arm, control, generation)
    found = effect(pairs.differences)
    beyond_N = _beyond(claim, pairs.differences)
    p = sign_flip_p(beyond_N) if found.n_seeds else None
    obstacles = _obstacles(claim, record, generation, found, t_interval(beyond_N), p)
    status: Literal["supported", "refuted", "undecided"] = "undecided"
    reasons = obstacles
    if not obstacles:
        status = "supported" if beyond_N.mean() > 0 else "refuted"
        reasons = (_decided_because(claim, status, found.n_seeds, p),)
    return Verdict(
        claim,
        status,
        generation,
        found.mean,
        found.interval,
        p,
        found.least_p,
        found.n_seeds,
        reasons + _left_out(claim, pairs),
    )


def _beyond(claim: Claim, values_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each seed lies beyond the margin, in the claimed direction."""
    sign = 1 if claim.direction == "increase" else -1
    if claim.is_level:
        return sign * (values_N - claim.margin)
    return sign * values_N - claim.margin


def _obstacles(
    claim: Claim,
    record: StudyRecord,
    generation: int,
    found: Effect,
    beyond: tuple[float, float] | None,
    p: float | None,
) -> tuple[str, ...]:
    """Everything that keeps a claim undecided; ``beyond`` is the interval minus the margin."""
    if generation == 0 and record.is_recursion and not claim.is_level:
        return ("Generation 0 is shared by all arms, so there is nothing to compare.",)
    if generation > record.generations:
        return (f"The study ends at generation {record.generations}, before {generation}.",)
    if p is None:
        return (f"No seed has {claim.indicator} for {_arms(claim)} at generation {generation}.",)
    reasons = []
    if found.least_p > ALPHA:
        reasons.append(_too_few(found.n_seeds))
    elif p > ALPHA:
        reasons.append(f"The sign-flip p against the margin is {p:.3g}, above {ALPHA}.")
    if beyond is not None and beyond[0] <= 0 <= beyond[1]:
        reasons.append("The 95 % interval reaches to both sides of the margin.")
    return tuple(reasons)


def _too_few(n_seeds: int) -> str:
    """The limit of a small number of seeds, and the number that would do."""
    enough = least_pairs()
    return (
        f"{n_seeds} seed{'s' * (n_seeds != 1)}: the smallest p a sign-flip test can reach is "
        f"{least_sign_flip_p(n_seeds):.3g}; {enough} would reach {least_sign_flip_p(enough):.3g}."
    )


def _decided_because(claim: Claim, status: str, n_seeds: int, p: float | None) -> str:
    info = metric_info(claim.indicator)
    if claim.is_level:
        margin = f"level of {info.write(claim.margin)} {info.unit if not info.is_share else ''}"
    else:
        signed = claim.margin if claim.direction == "increase" else -claim.margin
        margin = f"margin of {info.write_difference(signed)}"
    side = "beyond" if status == "supported" else "short of"
    return (
        f"The whole 95 % interval of {n_seeds} seeds lies {side} the {margin.rstrip()}, and the "
        f"sign-flip p against it is {p:.3g}."
    )


def _arms(claim: Claim) -> str:
    return claim.contrast[0] if claim.is_level else f"both {' and '.join(claim.contrast)}"


def _left_out(claim: Claim, pairs: PairedDifferences) -> tuple[str, ...]:
    """Says which seeds are missing, as those that broke may be those that collapsed."""
    if not pairs.left_out or not pairs.seeds:
        return ()
    seeds = ", ".join(map(str, pairs.left_out))
    return (
        f"Seed {seeds} left out: no {claim.indicator} for {_arms(claim)}. If such chains "
        "broke because they collapsed, the estimate is too small.",
    )
