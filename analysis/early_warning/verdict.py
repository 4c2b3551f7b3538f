"""The verdict on a claim that an indicator's alarm leads an event by so many generations."""

from dataclasses import dataclass

import numpy as np

from analysis.claims.weighing import Status
from analysis.early_warning.calibration import calibrate
from analysis.early_warning.exceedance import FIRST_ALARM, Array
from analysis.early_warning.indicators import Direction, Indicator, indicator_of
from analysis.early_warning.lead import MedianLead, median_lead
from analysis.early_warning.lead_words import count_of, rate_of, span
from analysis.early_warning.leads import ArmLeads, arm_events, arm_leads
from analysis.early_warning.threshold import MOST_RATE, RATE, SURENESS, Threshold
from analysis.events import EVENT_RULES, event_rule
from analysis.metrics import metric_info
from analysis.statistics import least_pairs, least_sign_flip_p
from analysis.study import StudyRecord
from collapse.claims import Claim
from collapse.errors import BadParameter


@dataclass(frozen=True)
class LeadVerdict:
    """What the data say about a claim of lead; of the same outward shape as `effects.Verdict`.

    Attributes:
        claim: the claim.
        status: supported, refuted or undecided.
        generation: the last one that was looked at.
        estimate: median lead in generations; None where there is none, or censoring hides it.
        interval: its distribution-free interval of at least 95 %, ends infinite where censored;
            None for fewer than 6 chains.
        p: None: no test against zero is made of a lead.
        least_p: one less the coverage of the widest interval of so many chains.
        n_seeds: chains in the estimate.
        reasons: why, one sentence each.
        threshold: where the alarm is raised, and its false alarms; None where there is none.
        median: the estimate as far as censoring lets it be known; None where there is none.
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
    threshold: Threshold | None
    median: MedianLead | None


def judge_lead(claim: Claim, record: StudyRecord) -> LeadVerdict:
    """Whether the data support a claim of lead, refute it, or cannot tell.

    Supported: the interval of the median lead lies wholly at or above the margin, at the threshold
    that all indicators share, whose false-alarm rate is at most ``MOST_RATE`` with 95 % certainty.

    Refuted: the interval lies wholly below the margin even at a *lax* threshold, one whose true
    false-alarm rate is below ``RATE`` with a chance of at most 5 %. A refutation needs no upper
    bound on false alarms, it needs the opposite: a threshold that is too strict by the luck of a
    few seeds would raise every alarm too late and refute an indicator that is good. At a lax
    one alarms come as early as ``RATE`` allows, or earlier; what still comes too late is late.

    Chains whose events are unresolved, and chains that broke, are in no estimate. Yet no verdict
    may hang on their absence: a claim is supported only if it were so with all of their leads as
    short as can be, and refuted only if it were so with all of them as long as can be. Nor do
    chains refute whose event came before any alarm could have led it by the margin.

    Args:
        claim: the claim; its indicator's direction is its own, as it was fixed beforehand.
        record: the study.

    Raises:
        BadParameter: the claim is on no event, or on one that has no rule.
    """
    leads = _leads_of(claim, record)
    threshold, lax = leads.calibration.threshold, leads.calibration.lax
    if leads.refusal or threshold is None or lax is None:
        return _refused(claim, record, leads)
    median = leads.median(threshold.value)
    if threshold.is_sure and _is_supported(leads, threshold, claim.margin):
        status: Status = "supported"
        reasons: tuple[str, ...] = (_supported_because(claim, median, threshold),)
    elif _is_refuted(leads, lax, claim.margin):
        status, reasons = "refuted", (_refuted_because(claim, median, lax),)
    else:
        status, reasons = "undecided", _obstacles(claim, record, leads, (threshold, lax), median)
    return LeadVerdict(
        *(claim, status, record.generations, median.value, median.interval, None),
        least_sign_flip_p(median.n),
        median.n,
        reasons + _left_out(record, leads),
        threshold,
        median,
    )


def _leads_of(claim: Claim, record: StudyRecord) -> ArmLeads:
    rule = event_rule(claim.event or "")
    if rule is None:
        raise BadParameter(
            f"claim {claim.id!r}: event is {claim.event!r}; it must be one of "
            f"{', '.join(one.metric for one in EVENT_RULES)}"
        )
    direction: Direction = "increase" if claim.direction == "increase" else "decrease"
    # A metric that the catalogue does not know may be claimed to warn, too; it has no price.
    indicator = indicator_of(claim.indicator, direction) or Indicator(
        claim.indicator, direction, "likeness", "samples"
    )
    arm, control = claim.contrast
    return arm_leads(
        record, calibrate(record, indicator, control), arm_events(record, rule, arm, control)
    )


def _refused(claim: Claim, record: StudyRecord, leads: ArmLeads) -> LeadVerdict:
    return LeadVerdict(
        *(claim, "undecided", record.generations, None, None, None, 1.0, 0),
        (leads.refusal,),
        leads.calibration.threshold,
        None,
    )


def _is_supported(leads: ArmLeads, threshold: Threshold, margin: float) -> bool:
    """Whether the whole interval reaches the margin, the left-out chains as short as can be."""
    shortest_S, longest_S = _with_left_out(leads, threshold)
    interval = median_lead(shortest_S, longest_S).interval
    return interval is not None and interval[0] >= margin


def _is_refuted(leads: ArmLeads, lax: Threshold, margin: float) -> bool:
    """Whether the whole interval stays below the margin, the left-out chains as long as can be.

    Not where scores tie at the lax threshold, or it is 0: then it may be too strict after all.
    """
    if not lax.leaves_all_allowed:
        return False
    shortest_S, longest_S = _with_left_out(leads, lax)
    longest_S = np.where(_too_early(leads, margin)[leads.events.planned_S], np.inf, longest_S)
    interval = median_lead(shortest_S, longest_S).interval
    return interval is not None and interval[1] < margin


def _with_left_out(leads: ArmLeads, threshold: Threshold) -> tuple[Array, Array]:
    """Leads of all planned chains: of those left out nothing is known."""
    shortest_S, longest_S = leads.bounds(threshold.value)
    used_S, planned_S = leads.used, leads.events.planned_S
    return (
        np.where(used_S, shortest_S, -np.inf)[planned_S],
        np.where(used_S, longest_S, np.inf)[planned_S],
    )


def _too_early(leads: ArmLeads, margin: float) -> np.ndarray:
    """The chains whose event came before the first possible alarm could lead it by the margin."""
    return np.asarray(leads.used & (leads.events.latest_S - FIRST_ALARM < margin))


def _supported_because(claim: Claim, median: MedianLead, threshold: Threshold) -> str:
    return (
        f"The whole interval of {median.n} chains lies at {claim.margin:g} generations or more, at "
        f"{rate_of(threshold)}."
    )


def _refuted_because(claim: Claim, median: MedianLead, lax: Threshold) -> str:
    return (
        f"The whole interval of {median.n} chains lies below {claim.margin:g} generations, even at "
        f"a threshold as low as {lax.value:.2f} standard deviations, which {lax.false_alarms} of "
        f"{lax.n_seeds} control seeds pass, so that with {100 * SURENESS:.0f} % certainty at least "
        f"{100 * RATE:.0f} % of healthy ones do."
    )


def _obstacles(
    claim: Claim,
    record: StudyRecord,
    leads: ArmLeads,
    thresholds: tuple[Threshold, Threshold],
    median: MedianLead,
) -> tuple[str, ...]:
    """Everything that keeps a claim undecided, at the shared threshold and at the lax one."""
    threshold, lax = thresholds
    used_S, events = leads.used, leads.events
    shortest_S, longest_S = leads.bounds(threshold.value)
    hidden = int((np.isinf(shortest_S) & np.isinf(longest_S))[used_S].sum())
    early = int(_too_early(leads, claim.margin).sum())
    n = int(used_S.sum())
    crosses = median.interval is not None and median.interval[0] < claim.margin
    is_late = median.interval is not None and median.interval[1] < claim.margin
    candidates = (
        f"{n} chain{'s' * (n != 1)} with a lead: an interval of 95 % takes {least_pairs()}."
        if median.interval is None
        else "",
        f"The interval of the median lead, {span(median.interval)}, is not wholly at "
        f"{claim.margin:g} generations or more, nor wholly below at a threshold as lax as "
        f"{100 * RATE:.0f} % of false alarms allow."
        if crosses
        else "",
        ""
        if threshold.is_sure
        else f"The rate of false alarms is not known well enough: {rate_of(threshold)}, and "
        f"{100 * MOST_RATE:.0f} % is the most.",
        f"It cannot be refuted: scores of control seeds tie, or are below 0, so that only "
        f"{lax.false_alarms} of {lax.n_seeds} pass a threshold that {lax.allowed} should pass."
        if is_late and not lax.leaves_all_allowed
        else "",
        f"{hidden} chain{'s have' if hidden != 1 else ' has'} neither an alarm nor the event by "
        f"generation {record.generations}."
        if hidden
        else "",
        f"{early} chain{'s' * (early != 1)} had the event before any alarm could lead it by "
        f"{claim.margin:g} generations: the first possible alarm is seen at generation "
        f"{FIRST_ALARM}."
        if early
        else "",
        "Chains that were left out could turn the verdict."
        if (events.planned_S & ~used_S).any()
        else "",
    )
    return tuple(reason for reason in candidates if reason)


def _left_out(record: StudyRecord, leads: ArmLeads) -> tuple[str, ...]:
    """Says which chains are in no estimate."""
    events = leads.events
    unresolved = _seeds(record, events.planned_S & events.unresolved_S)
    broken = _seeds(record, events.planned_S & ~events.unresolved_S & ~leads.used)
    return tuple(
        f"{count_of(seeds)} left out: {why}."
        for seeds, why in (
            (unresolved, "the event came at generation 1 or after a gap, too soon to be led"),
            (broken, f"{leads.indicator.label} or the event was not measured"),
        )
        if seeds
    )


def _seeds(record: StudyRecord, chosen_S: np.ndarray) -> list[int]:
    return [seed for seed, chosen in zip(record.seeds, chosen_S, strict=True) if chosen]


def lead_in_words(verdict: LeadVerdict) -> str:
    """The estimate with its interval and false alarms, or that there is none."""
    claim, median, threshold = verdict.claim, verdict.median, verdict.threshold
    arm, control = claim.contrast
    name, event = (metric_info(one or "").label for one in (claim.indicator, claim.event))
    if median is None or threshold is None or median.least is None or median.most is None:
        return f"No lead of {name} in {arm}."
    value = span((median.least, median.most))
    interval = f", 95 % interval {span(median.interval)}" if median.interval else ""
    return (
        f"Median lead of {name} over the event in {event}, {arm} against {control}: {value} "
        f"generations{interval}, {median.n} chains; {rate_of(threshold)}."
    )
