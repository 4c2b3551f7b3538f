"""When a chain first breaks away from the control of its own seed.

An event says that quality is lost; it is no alarm. How many generations an indicator leads an
event takes thresholds with a known rate of false alarms, and more chains than a small study has:
nothing here claims a lead.
"""

from dataclasses import dataclass

import pandas as pd

from analysis.study import StudyRecord, metric_values

# Excesses are differences of stored decimals: 0.7 - 0.6 must not pass 0.1 by rounding.
_ROUNDING = 1e-9

NO_LEAD_TIME = (
    "No lead time is claimed: that takes alarm thresholds with a known rate of false alarms, "
    "estimated without the judged seed, from more chains than these."
)


@dataclass(frozen=True)
class EventRule:
    """A loss of practical size.

    Attributes:
        metric: what is lost.
        size: the excess over the control that has to be passed, in the metric's unit; negative
            for a metric that falls.
        words: the rule in words.
    """

    metric: str
    size: float
    words: str


EVENT_RULES = (
    EventRule(
        "human/nll_nats",
        0.05,
        "loss on human text more than 0.05 nats a token above the control",
    ),
    EventRule(
        "truth/valid_fraction",
        -0.10,
        "valid stories more than 10 points below the control",
    ),
)


def first_events(record: StudyRecord) -> pd.DataFrame:
    """The first generation at which each chain passes each rule.

    Args:
        record: the study.

    Returns:
        Columns arm, seed, event (the rule's metric), generation (missing where none came),
        observed_until (the last generation that could be compared) and status: ``seen``,
        ``unresolved`` (the generation before could not be compared, as always at generation 1:
        when it came is not known), ``not seen`` (not until ``observed_until``) or
        ``not measured``. No rows without a control, and none
        for a metric that nothing measured.
    """
    rows = []
    for rule in EVENT_RULES:
        values = metric_values(record, rule.metric)
        for arm in record.arms:
            if record.control is None or arm == record.control or values.empty:
                continue
            for seed in record.seeds:
                excess = _excess(values, arm, record.control, seed, record.generations)
                rows.append((arm, seed, rule.metric, *_first(excess, rule.size)))
    columns = ["arm", "seed", "event", "generation", "observed_until", "status"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"generation": "Int64", "observed_until": "Int64"})


def _excess(
    values: pd.Series, arm: str, control: str, seed: int, generations: int
) -> dict[int, float]:
    """Arm minus control at the generations after 0 where both were measured."""
    excess = {}
    for generation in range(1, generations + 1):
        pair = [values.get((name, seed, generation)) for name in (arm, control)]
        if pair[0] is not None and pair[1] is not None:
            excess[generation] = float(pair[0]) - float(pair[1])
    return excess


def _first(excess: dict[int, float], size: float) -> tuple[int | None, int | None, str]:
    """Generation of the event, last generation compared, and status."""
    if not excess:
        return None, None, "not measured"
    sign = 1 if size > 0 else -1
    for generation, value in excess.items():
        if sign * value > abs(size) + _ROUNDING:
            resolved = generation - 1 in excess
            return generation, max(excess), "seen" if resolved else "unresolved"
    return None, max(excess), "not seen"
