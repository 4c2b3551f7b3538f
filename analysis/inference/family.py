"""Every arm against its control at the last generation: one primary contrast, and a family.

The primary contrast is preset, the first of the study's claims on two arms, and is tested by
itself. All others, metrics times arms, are corrected together by Westfall and Young's max-T with
joint sign flips (DESIGN 4): a seed turns its sign in all of them at once, so that metrics which
say the same thing cost little. More than 16 seeds have too many patterns: Holm's correction then.
Beside contrasts of more seeds those of few may have no chance to hold, whatever they are: each
knows the least p that it could have got.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.claims.effects import Effect, PairedDifferences, effect, paired_differences
from analysis.families import family_p, least_family_p
from analysis.inference.pairs import (
    EffectSize,
    equivalence_t_p,
    size_between_arms,
    size_in_differences,
)
from analysis.statistics import ALPHA, equivalence_p
from analysis.study import StudyRecord, metric_values
from collapse.claims import Claim

# A corrected p, and the least that it could be.
_Ends = tuple[float | None, float | None]


@dataclass(frozen=True)
class Contrast:
    """An arm against its control in one metric.

    Attributes:
        metric: the metric.
        arm: the arm.
        control: its control.
        generation: where they are compared.
        is_primary: the study's one preset primary contrast.
        pairs: arm minus control, by seed.
        found: mean, interval and sign-flip p.
        p_corrected: over the family; of the primary contrast its own p; None without seeds.
        least_corrected: the p_corrected that it would have were all its differences alike; None
            without seeds.
        in_differences: effect size in sd of the differences (d_z); None for too few seeds.
        in_arms: effect size in sd of the arms over seeds (d_av); None for too few seeds.
    """

    metric: str
    arm: str
    control: str
    generation: int
    is_primary: bool
    pairs: PairedDifferences
    found: Effect
    p_corrected: float | None
    least_corrected: float | None
    in_differences: EffectSize | None
    in_arms: EffectSize | None

    @property
    def holds(self) -> bool:
        """Whether it is told from chance, after correction."""
        return self.p_corrected is not None and self.p_corrected <= ALPHA

    @property
    def has_too_few(self) -> bool:
        """Whether so few seeds could not hold beside the rest of the family, however far apart."""
        least = self.least_corrected
        return not self.holds and least is not None and least > ALPHA


@dataclass(frozen=True)
class Equivalence:
    """The tests behind a claim that two arms are similar.

    Attributes:
        claim: the claim.
        n_seeds: seeds with both arms.
        p_flip: exact equivalence p by sign flips; None without seeds.
        p_t: Student's; None for too few seeds.
    """

    claim: Claim
    n_seeds: int
    p_flip: float | None
    p_t: float | None


def primary_claim(record: StudyRecord) -> Claim | None:
    """The first of the study's claims that is on the difference of two arms."""
    return next((c for c in record.claims if len(c.contrast) == 2 and not c.is_lead), None)


def contrasts(record: StudyRecord, metrics: Sequence[str]) -> tuple[Contrast, ...]:
    """The primary contrast first, then every arm against its control in each of the metrics.

    Args:
        record: the study.
        metrics: the metrics of the family; the primary contrast is left out of it.

    Returns:
        Nothing for a study without a control, or one that ends at generation 0 with all arms alike.
    """
    asked: list[tuple[str, str, str, int]] = []
    primary = primary_claim(record)
    if primary is not None:
        at = record.generations if primary.generation is None else primary.generation
        arm, control = primary.contrast
        asked.append((primary.indicator, arm, control, at))
    for metric in metrics if record.control is not None else ():
        for arm in record.arms:
            one = (metric, arm, str(record.control_of(arm)), record.generations)
            if arm != record.control and one not in asked:
                asked.append(one)
    pairs = [paired_differences(record, *one) for one in asked]
    # Arms of a study that ends at generation 0 may share their only training.
    kept = [p for p, one in enumerate(pairs) if record.is_recursion or one.differences.any()]
    first = primary is not None and 0 in kept
    corrected = _corrected(record, [pairs[place] for place in kept], first)
    return tuple(
        _contrast(record, asked[place], pairs[place], ends, first and place == 0)
        for place, ends in zip(kept, corrected, strict=True)
    )


def _corrected(
    record: StudyRecord, pairs: Sequence[PairedDifferences], has_primary: bool
) -> list[_Ends]:
    """Each contrast's corrected p and the least there is; the primary, the first, has its own."""
    found: list[_Ends] = [(None, None)] * len(pairs)
    if has_primary and pairs[0].seeds:
        own = effect(pairs[0].differences)
        found[0] = (own.p, own.least_p)
    rest = range(int(has_primary), len(pairs))
    columns = {place: _by_seed(pairs[place]) for place in rest}
    joint_NxM = pd.DataFrame(columns, index=list(record.seeds), dtype=float).dropna(how="all")
    if joint_NxM.empty:
        return found
    for place, p, least in zip(rest, family_p(joint_NxM), least_family_p(joint_NxM), strict=True):
        if not np.isnan(p):
            found[place] = (float(p), float(least))
    return found


def _by_seed(pairs: PairedDifferences) -> dict[int, float]:
    return dict(zip(pairs.seeds, pairs.differences.tolist(), strict=True))


def _contrast(
    record: StudyRecord,
    asked: tuple[str, str, str, int],
    pairs: PairedDifferences,
    corrected: _Ends,
    is_primary: bool,
) -> Contrast:
    metric, arm, control, generation = asked
    values = metric_values(record, metric)
    of_arm, of_control = (
        np.array([values[name, seed, generation] for seed in pairs.seeds], dtype=float)
        for name in (arm, control)
    )
    return Contrast(
        metric,
        arm,
        control,
        generation,
        is_primary,
        pairs,
        effect(pairs.differences),
        *corrected,
        size_in_differences(pairs.differences),
        size_between_arms(of_arm, of_control),
    )


def equivalences(record: StudyRecord) -> tuple[Equivalence, ...]:
    """Both equivalence tests for every claim that two arms are similar."""
    found = []
    for claim in record.claims:
        if claim.direction != "similar":
            continue
        at = record.generations if claim.generation is None else claim.generation
        arm, control = claim.contrast
        values_N = paired_differences(record, claim.indicator, arm, control, at).differences
        p_flip = equivalence_p(values_N, claim.margin) if values_N.size else None
        p_t = equivalence_t_p(values_N, claim.margin)
        found.append(Equivalence(claim, values_N.size, p_flip, p_t))
    return tuple(found)


def contrasts_table(found: Sequence[Contrast]) -> pd.DataFrame:
    """One row a contrast, for a file; missing numbers are nan."""
    rows = []
    for one in found:
        low, high = one.found.interval or (np.nan, np.nan)
        row: dict[str, object] = {
            "metric": one.metric,
            "arm": one.arm,
            "control": one.control,
            "generation": one.generation,
            "is_primary": one.is_primary,
            "n_seeds": one.found.n_seeds,
            "left_out": " ".join(map(str, one.pairs.left_out)),
            "mean": one.found.mean,
            "lower": low,
            "upper": high,
            "p": one.found.p,
            "p_corrected": one.p_corrected,
            "least_p": one.found.least_p,
            "least_p_corrected": one.least_corrected,
        }
        for name, size in (("z", one.in_differences), ("av", one.in_arms)):
            ends = size.interval if size else (np.nan, np.nan)
            row |= {
                f"d_{name}": size.d if size else np.nan,
                f"g_{name}": size.g if size else np.nan,
                f"d_{name}_lower": ends[0],
                f"d_{name}_upper": ends[1],
            }
        rows.append(row)
    return pd.DataFrame(rows)
