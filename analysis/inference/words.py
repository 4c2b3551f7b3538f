"""What the tests say, in sentences made from their numbers."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from analysis.comparisons.words import signed
from analysis.families import MOST_JOINT_PAIRS
from analysis.inference.anova import Anova, ArmsCompared
from analysis.inference.family import Contrast
from analysis.inference.findings import InferenceFindings
from analysis.inference.links import LinkTable
from analysis.inference.mixed import Estimate, SlopeContrast
from analysis.metrics import MINUS, metric_info
from analysis.statistics import ALPHA, least_sign_flip_p
from collapse.figures.view import written

_NAMED = 6
_STEEPEST = 3


def sentences(found: InferenceFindings) -> tuple[str, ...]:
    """The findings: contrasts, slopes, variance across arms, links, missing chains."""
    told = (
        _primary(found),
        family_in_words(found),
        _slopes(found),
        _arms(found),
        links_in_words(found.links) if found.links else _no_links(found),
        missing_in_words(found),
    )
    return tuple(sentence for sentence in told if sentence)


def _primary(found: InferenceFindings) -> str:
    one = found.primary
    if one is None:
        return "The study has no claim on two arms, so that no contrast is primary."
    label = metric_info(one.metric).label
    what = f"Primary contrast, {one.arm} {MINUS} {one.control}, {label}"
    if one.found.mean is None:
        return f"{what}: not measured."
    return f"{what} at generation {one.generation}: {contrast_in_words(one)}."


def contrast_in_words(one: Contrast) -> str:
    """Mean, interval, effect size and p of a contrast that was measured."""
    info = metric_info(one.metric)
    assert one.found.mean is not None
    assert one.found.p is not None
    parts = [info.write_difference(one.found.mean)]
    if one.found.interval:
        low, high = (info.write_bare(end, "+") for end in one.found.interval)
        parts.append(f"95 % {low} to {high}")
    if one.in_differences:
        parts.append(f"g = {signed(one.in_differences.g)}")
    parts.append(f"sign-flip p = {one.found.p:.2g}")
    if not one.is_primary and one.p_corrected is not None:
        parts.append(f"corrected {one.p_corrected:.2g}")
    return ", ".join([*parts, f"n = {one.found.n_seeds}"])


def family_in_words(found: InferenceFindings) -> str:
    """How many of the other contrasts hold, of which arms, and how many had no chance to."""
    if not found.family:
        return ""
    n, holding = len(found.family), found.holding
    text = (
        f"Of the other {n} contrasts of an arm with {found.record.named_control}, {len(holding)} "
        f"hold after correction for their number ({correction_in_words(found)})"
    )
    if holding:
        by_arm = [(arm, len(list(some))) for arm, some in groupby(_sorted(holding), _arm_of)]
        text += ": " + ", ".join(f"{k} of {arm}" for arm, k in by_arm)
    most = max(one.found.n_seeds for one in found.family)
    if least_sign_flip_p(most) > ALPHA:
        text += f"; with {most} seeds none could (p = {least_sign_flip_p(most):.3g} at the least)"
    elif few := sum(one.has_too_few for one in found.family):
        text += f". {few} of the {n} could not, however large the effect: "
        text += least_in_words(found.family)
    return f"{text}."


def least_in_words(some: Sequence[Contrast]) -> str:
    """The least corrected p of those that have too few seeds to hold; there must be one."""
    few = [one for one in some if one.has_too_few]
    least = min(one.least_corrected for one in few if one.least_corrected is not None)
    counts = sorted({one.found.n_seeds for one in few})
    most = max(one.found.n_seeds for one in some)
    seeds = " or ".join(map(str, counts)) + " seeds"
    beside = "" if most in counts else f" beside others of {most}"
    return f"a corrected p of {least:.2g} is the least that {seeds} can reach{beside}"


def correction_in_words(found: InferenceFindings) -> str:
    """How the family's p values are corrected."""
    joint = len({seed for one in found.family for seed in one.pairs.seeds}) <= MOST_JOINT_PAIRS
    return "max-T with joint sign flips" if joint else "Holm"


def _arm_of(one: Contrast) -> str:
    return one.arm


def _sorted(some: Sequence[Contrast]) -> list[Contrast]:
    return sorted(some, key=_arm_of)


def _slopes(found: InferenceFindings) -> str:
    """The first leading metric's slopes, by the model and by chains."""
    first = [s for s in found.slopes if s.metric == found.leading[0] and s.mean is not None]
    if not first:
        return ""
    steepest = sorted(first, key=lambda one: -abs(one.mean or 0.0))[:_STEEPEST]
    told = [slope_in_words(one) for one in steepest]
    if len(first) > _STEEPEST:
        told.append(f"and {len(first) - _STEEPEST} flatter arms")
    label = metric_info(found.leading[0]).label
    doubts = [one for one in found.slopes if one.fit.status in {"singular", "not converged"}]
    text = f"{label} per generation, against {found.record.named_control}: {'; '.join(told)}."
    if doubts:
        singular = sum(one.fit.status == "singular" for one in doubts)
        text += (
            f" Of all {len(found.slopes)} mixed models {singular} are singular (a variance of "
            f"chains is estimated as zero: p is conservative) and {len(doubts) - singular} did not "
            "converge; the chains' own slopes stand beside each."
        )
    return text


def slope_in_words(one: SlopeContrast) -> str:
    """An arm's slope, by the mixed model and by chains."""
    assert one.mean is not None
    n, p = len(one.pairs.seeds), "" if one.p is None else f", p = {one.p:.2g}"
    if one.fit.slope is None:
        own = metric_info(one.metric).write_difference(one.mean)
        why = f"; mixed model {one.fit.status}: {one.fit.why}"
        return f"{one.arm} {own} (chains' own slopes{p}, n = {n}{why})"
    flag = " (singular)" if one.fit.status == "singular" else ""
    return f"{one.arm} {_estimate(one.metric, one.fit.slope)} by a mixed model{flag}" + (
        f" (chains' own slopes{p}), n = {n}" if p else f", n = {n}"
    )


def _estimate(metric: str, one: Estimate) -> str:
    info = metric_info(metric)
    low, high = (info.write_bare(end, "+") for end in one.interval)
    return f"{info.write_difference(one.value)} (95 % {low} to {high}, p = {one.p:.2g})"


def _arms(found: InferenceFindings) -> str:
    """Variance across arms in the first leading metric."""
    one = found.arms[0]
    if not one.tables:
        return ""
    label = metric_info(one.metric).label
    tests = " and ".join(f"{f_in_words(t)} {t.design}" for t in one.tables)
    return (
        f"Across {len(one.arms)} arms, {label} at generation {found.record.generations}: "
        f"{tests}{_used(one)}; {_pairs(one)}. This is reported because it is asked for; no verdict "
        "rests on it."
    )


def _used(one: ArmsCompared) -> str:
    """How many seeds an analysis of variance saw, where not all."""
    n, rest = one.tables[0].n_seeds, len(one.left_out)
    if not rest:
        return ""
    return f", over the {n} of {n + rest} seeds that all arms have, the other {rest} left out"


def f_in_words(one: Anova) -> str:
    """F with its degrees of freedom and p."""
    if one.f is None or one.p is None:
        return f"F({one.df_arms}, {one.df_rest}) undefined, as seeds do not vary,"
    return f"F({one.df_arms}, {one.df_rest}) = {written(one.f)}, p = {one.p:.2g}"


def _pairs(one: ArmsCompared) -> str:
    apart = [f"{p.first} and {p.second}" for p in one.post_hoc if (p.p_holm or 1.0) <= ALPHA]
    n = len(one.post_hoc)
    if not apart:
        return f"none of {n} pair{'s' * (n != 1)} of arms differs after Holm's correction"
    more = f" and {len(apart) - _NAMED} more" if len(apart) > _NAMED else ""
    named = ", ".join(apart[:_NAMED])
    return f"{len(apart)} of {n} pairs differ after Holm's correction ({named}{more})"


def links_in_words(found: LinkTable) -> str:
    """How many pairs of metrics move together beyond their arm's trend, and the strongest."""
    r_MxK, n_naive = found.levels.r_MxK, naive_count(found)
    tested = int(np.isfinite(r_MxK).sum())
    linked = int((found.levels.corrected_MxK <= ALPHA).sum())
    if not tested:
        return "No pair of a spectral and a traditional metric varies enough to be correlated."
    m, k = np.unravel_index(int(np.nanargmax(np.abs(r_MxK))), r_MxK.shape)
    low, high = found.levels.lower_MxK[m, k], found.levels.upper_MxK[m, k]
    return (
        f"{linked} of {tested} pairs of a spectral and a traditional metric move together beyond "
        f"what arms and generations share (corrected over all pairs; {n_naive} would pass for "
        f"linked by trends). The strongest: {_label(found.spectral[m])} with "
        f"{_label(found.traditional[k])}, r = "
        f"{signed(r_MxK[m, k])} (95 % {signed(low)} to {signed(high)}), corrected p = "
        f"{found.levels.corrected_MxK[m, k]:.2g}, over {found.n_seeds} seeds."
    )


def _label(metric: str) -> str:
    return metric_info(metric).label


def naive_count(found: LinkTable) -> int:
    """How many of these pairs a correlation that counts trends as links would call significant."""
    return sum(
        one is not None and one.p <= ALPHA and bool(np.isfinite(found.levels.r_MxK[m, k]))
        for m, row in enumerate(found.naive)
        for k, one in enumerate(row)
    )


def _no_links(found: InferenceFindings) -> str:
    n = len(found.record.seeds)
    return (
        "Spectral and traditional metrics were not correlated: that takes both, two generations "
        f"and four seeds (here {n})."
    )


def missing_in_words(found: InferenceFindings) -> str:
    """Which chains are not there, and how far they came."""
    if not found.missing:
        return f"All {found.n_planned} planned chains reached the last generation."
    reached = [
        f"{one.arm} seed {one.seed} ("
        + ("nothing" if one.last_generation is None else f"until {one.last_generation}")
        + ")"
        for one in found.missing
    ]
    return (
        f"{len(found.missing)} of {found.n_planned} planned chains did not reach generation "
        f"{found.record.generations}: {', '.join(reached)}. They are left out of every paired "
        "comparison there; if they broke because they collapsed, effects are too small."
    )
