"""Is a traditional metric as good? Leads of two indicators over one event, seed by seed.

The event is the same for both, so that it cancels: the difference of two leads is the difference of
two alarms, first minus second being the generations by which the first one's alarm comes earlier.
Both indicators are at thresholds with equally many false alarms, or nothing could be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from analysis.early_warning.exceedance import Array
from analysis.early_warning.leads import ArmLeads
from analysis.families import holm
from analysis.statistics import ALPHA, equivalence_p, sign_flip_p, t_interval

MARGIN = 1.0
"""Generations of lead within which two indicators are as good as each other: one, as alarms come in
whole generations; preset."""
_MOST_EXACT = 40

Answer = Literal["earlier", "later", "as early", "undecided", "not compared"]


@dataclass(frozen=True)
class LeadComparison:
    """Two indicators over one event.

    Attributes:
        first: metric of the one.
        second: metric of the other.
        n: chains in which both were judged.
        earlier: chains in which the first surely alarmed earlier.
        later: chains in which it surely alarmed later.
        same: chains in which both surely alarmed at the same generation.
        unknown: chains in which censoring hides the order, as where neither alarmed.
        mean: mean difference of leads, generations; None where not all are exact.
        interval: its 95 % t-interval; None where there is no mean, or fewer than two chains.
        p: sign-flip p of the differences where all are exact, else the exact p of the sign test on
            the chains whose order is known and not the same; None without any.
        p_corrected: by Holm over the rivals.
        p_equivalence: exact p against a difference of ``MARGIN`` or more; None without a mean.
        answer: whether the first is earlier, later or as early.
        reason: why it is undecided or not compared; empty otherwise.
    """

    first: str
    second: str
    n: int
    earlier: int
    later: int
    same: int
    unknown: int
    mean: float | None
    interval: tuple[float, float] | None
    p: float | None
    p_corrected: float | None
    p_equivalence: float | None
    answer: Answer
    reason: str


def compare_leads(first: ArmLeads, rivals: Sequence[ArmLeads]) -> tuple[LeadComparison, ...]:
    """One indicator beside each of its rivals, corrected for their number.

    *Earlier* or *later*: the corrected p is at most 0.05. *As early*: all differences are exact,
    their 95 % interval lies within ``MARGIN`` on either side, and the equivalence p is at most
    0.05. Where some alarm never came only the order is tested: leads that are hidden are no
    shorter or longer by any known number.
    """
    differences = [_difference(first, rival) for rival in rivals]
    tests = [None if ends is None else _p(*ends) for ends in differences]
    corrected = holm([np.nan if p is None else p for p in tests])
    return tuple(
        _compared(first, rival, ends, p, None if np.isnan(p_corrected) else float(p_corrected))
        for rival, ends, p, p_corrected in zip(rivals, differences, tests, corrected, strict=True)
    )


def _difference(first: ArmLeads, second: ArmLeads) -> tuple[Array, Array] | None:
    """Least and most by which the first alarms earlier, chain by chain; None where refused."""
    thresholds = first.calibration.threshold, second.calibration.threshold
    if first.refusal or second.refusal or thresholds[0] is None or thresholds[1] is None:
        return None
    both = first.judged & second.judged
    mine, other = first.alarms(thresholds[0].value), second.alarms(thresholds[1].value)
    return (other[0] - mine[1])[both], (other[1] - mine[0])[both]


def _p(least_S: Array, most_S: Array) -> float | None:
    if not len(least_S):
        return None
    if _are_exact(least_S, most_S):
        return sign_flip_p(least_S)
    earlier, later = int((least_S > 0).sum()), int((most_S < 0).sum())
    if not earlier + later:
        return None
    return float(stats.binomtest(earlier, earlier + later).pvalue)


def _are_exact(least_S: Array, most_S: Array) -> bool:
    return len(least_S) <= _MOST_EXACT and bool((least_S == most_S).all())


def _compared(
    first: ArmLeads,
    second: ArmLeads,
    ends: tuple[Array, Array] | None,
    p: float | None,
    p_corrected: float | None,
) -> LeadComparison:
    names = first.indicator.metric, second.indicator.metric
    if ends is None:
        why = first.refusal or second.refusal
        nothing = 0, 0, 0, 0, 0
        return LeadComparison(*names, *nothing, None, None, None, None, None, "not compared", why)
    least_S, most_S = ends
    mean, interval, p_equivalence = None, None, None
    if len(least_S) and _are_exact(least_S, most_S):
        mean, interval = float(least_S.mean()), t_interval(least_S)
        p_equivalence = equivalence_p(least_S, MARGIN)
    earlier, later = int((least_S > 0).sum()), int((most_S < 0).sum())
    same = int(((least_S == 0) & (most_S == 0)).sum())
    unknown = len(least_S) - earlier - later - same
    answer = _answer(earlier - later if mean is None else mean, p_corrected)
    if answer == "undecided" and interval is not None and p_equivalence is not None:
        is_within = interval[0] > -MARGIN and interval[1] < MARGIN
        answer = "as early" if is_within and p_equivalence <= ALPHA else answer
    return LeadComparison(
        *names,
        *(len(least_S), earlier, later, same, unknown),
        mean,
        interval,
        p,
        p_corrected,
        p_equivalence,
        answer,
        _why(len(least_S), unknown, p_corrected) if answer == "undecided" else "",
    )


def _answer(difference: float, p_corrected: float | None) -> Answer:
    if p_corrected is None or p_corrected > ALPHA or not difference:
        return "undecided"
    return "earlier" if difference > 0 else "later"


def _why(n: int, unknown: int, p_corrected: float | None) -> str:
    if not n:
        return "No chain was judged by both."
    hidden = f"in {unknown} of {n} chains the order is hidden" if unknown else ""
    if p_corrected is None:
        return f"{hidden or 'no chain tells them apart'}.".capitalize()
    test = f"the corrected p is {p_corrected:.3g}, and they are not shown to be as early, either"
    return f"{test}{'; ' if hidden else ''}{hidden}.".capitalize()
