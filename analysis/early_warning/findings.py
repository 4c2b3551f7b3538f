"""What a study says about warning: every indicator before every event, arm by arm."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.early_warning.calibration import calibrate
from analysis.early_warning.comparison import LeadComparison, compare_leads
from analysis.early_warning.cost import Price, price
from analysis.early_warning.indicators import INDICATORS, PRIMARY, RIVALS
from analysis.early_warning.leads import ArmEvents, ArmLeads, arm_events, leads_before
from analysis.early_warning.placebo import placebo
from analysis.early_warning.tables import curve_table, leads_table
from analysis.early_warning.threshold import RATE
from analysis.early_warning.verdict import LeadVerdict, judge_lead
from analysis.events import EVENT_RULES
from analysis.study import StudyRecord, metric_values

MOST_PICTURED = 4
"""Indicators that are drawn by themselves."""


@dataclass(frozen=True, eq=False)
class EventWarning:
    """What warned of one event in one arm.

    Attributes:
        events: when it came to each chain.
        leads: of every indicator, by its metric.
        table: of all indicators, see `tables.leads_table`.
        comparisons: the primary indicator beside each of its rivals.
    """

    events: ArmEvents
    leads: dict[str, ArmLeads]
    table: pd.DataFrame
    comparisons: tuple[LeadComparison, ...]

    @property
    def n_seen(self) -> int:
        """Chains that had the event at a generation that is known."""
        return int(self.events.seen.sum())

    @property
    def leading(self) -> pd.DataFrame:
        """The rows of the indicators that could be judged, without oracles."""
        return self.table[(self.table["refusal"] == "") & ~self.table["is_oracle"].astype(bool)]

    @property
    def pictured(self) -> tuple[ArmLeads, ...]:
        """The primary indicator, its rivals, and the earliest of all, as far as they are judged."""
        earliest = [str(metric) for metric in self.leading["indicator"].head(1)]
        metrics = dict.fromkeys((PRIMARY, *RIVALS, *earliest))
        judged = [self.leads[metric] for metric in metrics if not self.leads[metric].refusal]
        return tuple(judged if len(judged) <= MOST_PICTURED else [*judged[:3], judged[-1]])


@dataclass(frozen=True, eq=False)
class WarningFindings:
    """What a study says about warning.

    Attributes:
        record: the study.
        arm: the arm that the section is about.
        warnings: by (arm, metric of the event), of all arms that are judged.
        verdicts: on the claims of lead, in the study's order.
        refusal: why no indicator can be judged at all, in one sentence; empty where some can.
        placebo: what `collapse.EarlyWarning`'s rules make of the healthy chains, by the primary
            indicator and its rivals, see `placebo`; no rows for too few chains.
    """

    record: StudyRecord
    arm: str
    warnings: dict[tuple[str, str], EventWarning]
    verdicts: tuple[LeadVerdict, ...]
    refusal: str
    placebo: pd.DataFrame

    @property
    def shown(self) -> tuple[EventWarning, ...]:
        """Of the section's arm, the event that most of its chains had first."""
        own = [one for (arm, _), one in self.warnings.items() if arm == self.arm]
        return tuple(sorted(own, key=lambda one: -one.n_seen))


def warning_findings(record: StudyRecord) -> WarningFindings | None:
    """Judge every indicator before every event; None where the study has nothing to judge.

    That is a study without generations after 0, or one whose arms all read human text alone or
    differ from the control in more than what they read.
    """
    reading_own = [arm for arm in record.arms if arm not in {record.control, *record.healthy_arms}]
    # What an arm is trained or writes with besides would pass for a sign of collapse.
    judged = [arm for arm in reading_own if not record.changes.get(arm)]
    if not record.is_recursion or not judged:
        return None
    calibrations = [calibrate(record, one, record.control) for one in INDICATORS]
    prices = [price(record, one) for one in INDICATORS]
    measured = [rule for rule in EVENT_RULES if len(metric_values(record, rule.metric))]
    warnings = {}
    for arm in judged if record.control else ():
        events = [arm_events(record, rule, arm, calibrations[0].control) for rule in measured]
        leads = [leads_before(record, one, events) for one in calibrations] if events else []
        for place, rule in enumerate(measured):
            warnings[arm, rule.metric] = _event_warning([one[place] for one in leads], prices)
    claims = [claim for claim in record.claims if claim.is_lead]
    reasons = {one.refusal for one in calibrations}
    return WarningFindings(
        record,
        _arm_of_section(record, judged),
        warnings,
        tuple(judge_lead(claim, record) for claim in claims),
        _refusal(record, reasons),
        pd.concat(
            [placebo(record, one, RATE) for one in INDICATORS if one.metric in (PRIMARY, *RIVALS)]
        ),
    )


def _event_warning(leads: Sequence[ArmLeads], prices: Sequence[Price]) -> EventWarning:
    by_metric = {one.indicator.metric: one for one in leads}
    return EventWarning(
        leads[0].events,
        by_metric,
        leads_table(leads, prices),
        compare_leads(by_metric[PRIMARY], [by_metric[metric] for metric in RIVALS]),
    )


def warning_tables(found: WarningFindings) -> dict[str, pd.DataFrame]:
    """All numbers, to be saved beside the report, by the name of their file."""
    every = list(found.warnings.values())
    curves = [
        curve_table(lead).assign(arm=one.events.arm, event=one.events.rule.metric)
        for one in every
        for lead in one.leads.values()
        if not lead.refusal
    ]
    comparisons = [
        {"arm": one.events.arm, "event": one.events.rule.metric, **vars(pair)}
        for one in every
        for pair in one.comparisons
    ]
    tables = {
        "early_warning_indicators.csv": [one.table for one in every],
        "early_warning_curves.csv": curves,
        "early_warning_comparisons.csv": [pd.DataFrame(comparisons)] if comparisons else [],
        "early_warning_placebo.csv": [found.placebo] if len(found.placebo) else [],
    }
    return {name: pd.concat(some, ignore_index=True) for name, some in tables.items() if some}


def _arm_of_section(record: StudyRecord, judged: list[str]) -> str:
    """The arm of the first claim of lead; else the first that reads only its own text."""
    claimed = [claim.contrast[0] for claim in record.claims if claim.is_lead]
    replacing = [arm for arm in judged if record.kinds.get(arm) == "replace"]
    return next(arm for arm in (*claimed, *replacing, *judged) if arm in judged)


def _refusal(record: StudyRecord, reasons: set[str]) -> str:
    """The one reason that no indicator has a threshold, or nothing where one has."""
    if "" in reasons:
        return ""
    if len(reasons) == 1:
        return next(iter(reasons))
    return f"No indicator of {record.name} could be calibrated; the table says why of each."
