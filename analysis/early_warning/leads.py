"""The leads of one indicator over one event, chain by chain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.early_warning.calibration import Calibration, difference_of, starts_apart
from analysis.early_warning.exceedance import Array, alarm_bounds, chain_scores
from analysis.early_warning.indicators import Indicator
from analysis.early_warning.lead import MedianLead, lead_bounds, median_lead
from analysis.events import EventRule, chain_events
from analysis.metrics import metric_info
from analysis.study import StudyRecord


@dataclass(frozen=True, eq=False)
class ArmEvents:
    """When the event came to each chain of an arm.

    Attributes:
        rule: the event.
        arm: the judged arm.
        planned_S: which seeds of the study were planned for the arm and its control.
        earliest_S: earliest generation at which it can have come; nan where nothing is known.
        latest_S: latest; infinite where it was not seen.
        unresolved_S: it came, but the generation before could not be compared, as always at 1.
    """

    rule: EventRule
    arm: str
    planned_S: np.ndarray
    earliest_S: Array
    latest_S: Array
    unresolved_S: np.ndarray

    @property
    def resolved(self) -> np.ndarray:
        """Which chains may be in an estimate, as far as the event goes."""
        return np.asarray(self.planned_S & ~self.unresolved_S & ~np.isnan(self.earliest_S))

    @property
    def seen(self) -> np.ndarray:
        """Which chains had the event at a generation that is known."""
        return np.asarray(self.resolved & np.isfinite(self.latest_S))


def arm_events(record: StudyRecord, rule: EventRule, arm: str, control: str) -> ArmEvents:
    """The events of an arm's chains, by all seeds of the study."""
    seeds = list(record.seeds)
    table = chain_events(record, rule, arm, control).set_index("seed").reindex(seeds)
    came, until = (table[key].astype(float).to_numpy() for key in ("generation", "observed_until"))
    unseen = (table["status"] == "not seen").to_numpy()
    planned = set(record.seeds_of(arm, control))
    return ArmEvents(
        rule,
        arm,
        np.array([seed in planned for seed in seeds], dtype=bool),
        np.where(unseen, until + 1, came),
        np.where(unseen, np.inf, came),
        (table["status"] == "unresolved").to_numpy(),
    )


@dataclass(frozen=True, eq=False)
class ArmLeads:
    """Alarms of one indicator in one arm, and what they are worth before one event.

    Attributes:
        calibration: the indicator with its threshold.
        events: the arm's events.
        z_SxG: how far each chain lies outside the healthy ones; nan where unknown.
        refusal: why there is no lead, in one sentence; empty where there is one.
    """

    calibration: Calibration
    events: ArmEvents
    z_SxG: Array
    refusal: str

    @property
    def indicator(self) -> Indicator:
        """The indicator."""
        return self.calibration.indicator

    @property
    def judged(self) -> np.ndarray:
        """Which chains could have raised an alarm: two generations in a row were measured."""
        return np.asarray(self.events.planned_S & np.isfinite(chain_scores(self.z_SxG)))

    @property
    def used(self) -> np.ndarray:
        """Which chains are in the estimate."""
        return self.judged & self.events.resolved

    def alarms(self, threshold: float) -> tuple[Array, Array]:
        """Earliest and latest generation of each chain's alarm, (S,) each."""
        return alarm_bounds(self.z_SxG, threshold)

    def bounds(self, threshold: float) -> tuple[Array, Array]:
        """The shortest and the longest that each lead can be, (S,) each; of all chains."""
        return lead_bounds(self.alarms(threshold), (self.events.earliest_S, self.events.latest_S))

    def median(self, threshold: float) -> MedianLead:
        """The median lead over the chains in the estimate."""
        shortest_S, longest_S = self.bounds(threshold)
        return median_lead(shortest_S[self.used], longest_S[self.used])


def arm_leads(record: StudyRecord, calibration: Calibration, events: ArmEvents) -> ArmLeads:
    """Judge the chains of an arm by an indicator, before one event."""
    return leads_before(record, calibration, [events])[0]


def leads_before(
    record: StudyRecord, calibration: Calibration, events: Sequence[ArmEvents]
) -> tuple[ArmLeads, ...]:
    """Judge the chains of one arm by an indicator, before several events of that arm."""
    arm = events[0].arm
    z_SxG = np.full((len(record.seeds), record.generations), np.nan)
    indicator = calibration.indicator
    refusal = calibration.refusal or starts_apart(record, arm, calibration.control)
    if not refusal:
        z_SxG = calibration.z_of(difference_of(record, indicator.metric, arm, calibration.control))
        if not np.isfinite(chain_scores(z_SxG)).any():
            refusal = f"{indicator.label} was not measured on {arm} at two generations in a row."
    return tuple(
        ArmLeads(calibration, one, z_SxG, refusal or _no_lead(indicator, one)) for one in events
    )


def _no_lead(indicator: Indicator, events: ArmEvents) -> str:
    """Why this indicator cannot lead these events, or nothing."""
    rule = events.rule
    if rule.is_made_of(indicator.metric):
        return (
            f"{indicator.label} is a function of what the event is made of: it cannot warn of "
            "itself."
        )
    if not (events.resolved | events.unresolved_S).any():
        made_of = metric_info(rule.metric).label
        return f"{made_of}, which makes the event, was not measured on {events.arm}."
    return ""
