"""Comparisons over seeds, corrected as one family, each with a verdict or the reason for none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analysis.families import family_p
from analysis.statistics import (
    ALPHA,
    equivalence_p,
    hedges_g,
    least_pairs,
    least_sign_flip_p,
    sign_flip_p,
    t_interval,
)

Verdict = Literal["higher", "lower", "similar", "undecided", "not measured"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """One thing to be compared with another, seed by seed.

    Attributes:
        question: its name among those of the family.
        first: what is compared, in words.
        second: what it is compared with.
        at: where, or in what: equal tokens, equal loss, a share pruned; collapse rate.
        unit: of the differences.
        differences: first minus second, by seed; seeds without both are not there.
        reference: mean of the second over these seeds; None where a share of it means nothing.
        margin: the least difference that matters, positive; preset.
        is_primary: the study's one preset primary contrast, which no other test weakens.
        note: why there are no differences, or what is particular in them.
    """

    question: str
    first: str
    second: str
    at: str
    unit: str
    differences: pd.Series
    reference: float | None
    margin: float
    is_primary: bool = False
    note: str = ""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a comparison says.

    Attributes:
        asked: the comparison.
        n_seeds: seeds with both.
        mean: mean difference, in its unit; None without seeds.
        interval: its 95 % t-interval over seeds; None for fewer than two.
        g: Hedges' g of the paired differences; None for fewer than three.
        p: exact two-sided sign-flip p against no difference; None without seeds.
        p_corrected: over the family, by max-T, or by Holm with more than 16 seeds (of the primary
            contrast, p itself); None without seeds.
        p_equivalence: exact p against a difference of the margin or more; None without seeds.
        verdict: higher, lower or similar; else undecided or not measured.
        reasons: why it is undecided, one sentence each.
    """

    asked: Comparison
    n_seeds: int
    mean: float | None
    interval: tuple[float, float] | None
    g: float | None
    p: float | None
    p_corrected: float | None
    p_equivalence: float | None
    verdict: Verdict
    reasons: tuple[str, ...]

    @property
    def is_decided(self) -> bool:
        """Whether there is a finding."""
        return self.verdict in {"higher", "lower", "similar"}


def answers(family: Sequence[Comparison]) -> tuple[Answer, ...]:
    """Judge comparisons that were asked together.

    *Higher* or *lower*: the 95 % interval lies wholly beyond the margin, and the corrected p
    against no difference is at most 0.05. *Similar*: the interval lies wholly within the margin
    on either side, and the exact equivalence p is at most 0.05 (not corrected for the number of
    comparisons; the interval is 95 % where two tests at 0.05 would ask 90 %). Else undecided.

    Args:
        family: all of it; those without differences count for nothing. The primary contrast is
            tested by itself, before all others (DESIGN 4).
    """
    corrected = _corrected(family)
    return tuple(_judged(asked, p) for asked, p in zip(family, corrected, strict=True))


def _corrected(family: Sequence[Comparison]) -> list[float | None]:
    """Each comparison's p, corrected for those of the others that are not primary."""
    found: list[float | None] = [None] * len(family)
    others = []
    for place, asked in enumerate(family):
        if asked.differences.empty:
            continue
        if asked.is_primary:
            found[place] = sign_flip_p(asked.differences)
        else:
            others.append(place)
    if others:
        joint = pd.concat([family[place].differences for place in others], axis=1)
        for place, p in zip(others, family_p(joint.to_numpy()), strict=True):
            found[place] = float(p)
    return found


def _judged(asked: Comparison, p_corrected: float | None) -> Answer:
    values_N = asked.differences.to_numpy(float)
    if p_corrected is None:
        why = asked.note or f"No seed has both {asked.first} and {asked.second}."
        return Answer(asked, 0, None, None, None, None, None, None, "not measured", (why,))
    interval = t_interval(values_N)
    p_equivalence = equivalence_p(values_N, asked.margin)
    verdict = _verdict(interval, asked.margin, p_corrected, p_equivalence)
    reasons = () if verdict != "undecided" else _obstacles(asked, interval, p_corrected)
    return Answer(
        asked,
        values_N.size,
        float(values_N.mean()),
        interval,
        hedges_g(values_N),
        sign_flip_p(values_N),
        p_corrected,
        p_equivalence,
        verdict,
        reasons,
    )


def _verdict(
    interval: tuple[float, float] | None, margin: float, p_corrected: float, p_equivalence: float
) -> Verdict:
    if interval is None:
        return "undecided"
    low, high = interval
    if p_corrected <= ALPHA and (low > margin or high < -margin):
        return "higher" if low > margin else "lower"
    if p_equivalence <= ALPHA and -margin < low and high < margin:
        return "similar"
    return "undecided"


def _obstacles(
    asked: Comparison, interval: tuple[float, float] | None, p_corrected: float
) -> tuple[str, ...]:
    """Everything that keeps a comparison undecided."""
    n = asked.differences.size
    if least_sign_flip_p(n) > ALPHA:
        return (
            f"{n} seed{'s' * (n != 1)} can reach p = {least_sign_flip_p(n):.3g} at best; "
            f"{least_pairs()} are needed.",
        )
    if interval is None or _crosses(interval, asked.margin):
        return (f"The 95 % interval reaches across the margin of {asked.margin:.3g} {asked.unit}.",)
    if abs(float(asked.differences.mean())) > asked.margin:
        return (f"The corrected p is {p_corrected:.3g}, above {ALPHA}.",)
    p = equivalence_p(asked.differences, asked.margin)
    return (f"The interval lies within the margin, but the equivalence p is {p:.3g}.",)


def _crosses(interval: tuple[float, float], margin: float) -> bool:
    """Whether an interval holds differences that matter and differences that do not."""
    low, high = interval
    return low <= margin <= high or low <= -margin <= high


def answers_table(found: Sequence[Answer]) -> pd.DataFrame:
    """One row an answer, for a file; missing numbers are nan."""
    rows = []
    for one in found:
        asked = one.asked
        low, high = one.interval or (np.nan, np.nan)
        rows.append(
            {
                "question": asked.question,
                "first": asked.first,
                "second": asked.second,
                "at": asked.at,
                "unit": asked.unit,
                "n_seeds": one.n_seeds,
                "mean": one.mean,
                "reference": asked.reference,
                "margin": asked.margin,
                "lower": low,
                "upper": high,
                "hedges_g": one.g,
                "p": one.p,
                "p_corrected": one.p_corrected,
                "p_equivalence": one.p_equivalence,
                "least_p": least_sign_flip_p(one.n_seeds),
                "verdict": one.verdict,
                "reasons": " ".join(one.reasons),
            }
        )
    return pd.DataFrame(rows)
