"""When a chain first breaks away from the control of its own seed.

An event says that quality is lost; it is no alarm. How many generations an indicator's alarm leads
an event is the business of `analysis.early_warning`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.study import StudyRecord, metric_values

# Excesses are differences of stored decimals: 0.7 - 0.6 must not pass 0.1 by rounding.
_ROUNDING = 1e-9

EVENT_COLUMNS = ("arm", "seed", "event", "generation", "observed_until", "status")


@dataclass(frozen=True)
class EventRule:
    """A loss of practical size.

    Attributes:
        metric: what is lost.
        size: the excess over the control that has to be passed, in the metric's unit; negative
            for a metric that falls.
        words: the rule in words.
        itself: beginnings of the names of all metrics that are functions of what is lost: an
            indicator that is the event itself warns of nothing.
        short: the event in a few words.
        is_relative: the size is a share of the control's value.
    """

    metric: str
    size: float
    words: str
    itself: tuple[str, ...]
    short: str
    is_relative: bool = False

    def is_made_of(self, metric: str) -> bool:
        """Whether a metric is a function of what the event is made of, so no competitor for it."""
        return metric.startswith(self.itself)


EVENT_RULES = (
    EventRule(
        "human/nll_nats",
        0.05,
        "loss on human text more than 0.05 nats a token above the control",
        ("human/nll_nats", "human/perplexity", "human/bits_per_byte"),
        "the rise of the loss on human text",
    ),
    EventRule(
        "truth/valid_fraction",
        -0.10,
        "valid stories more than 10 points below the control",
        ("truth/",),
        "the fall of valid stories",
    ),
    # A share of the control's: distinct-n depends on how many texts there are and how alike a
    # corpus is (0.17 on `stories`, several times that on TinyStories), so that no number of points
    # means the same in two studies. A tenth, as of the valid stories; fresh chains of one seed of
    # the quickstart differ from those of another by 2 to 6 %. It need not fall at all: sampled
    # without filters, replace says *more* different things (docs/LOG.md).
    EventRule(
        "quality/distinct_4",
        -0.10,
        "distinct 4-word phrases more than a tenth below the control",
        ("quality/distinct_",),
        "the fall of distinct 4-word phrases",
        is_relative=True,
    ),
)


def event_rule(metric: str) -> EventRule | None:
    """The rule of the event that is made of a metric; None where there is none."""
    return next((rule for rule in EVENT_RULES if rule.metric == metric), None)


def first_events(record: StudyRecord) -> pd.DataFrame:
    """The first generation at which each chain passes each rule.

    Args:
        record: the study.

    Returns:
        Columns ``EVENT_COLUMNS``: arm, seed, event (the rule's metric), generation (missing where
        none came), observed_until (the last generation that could be compared) and status:
        ``seen``, ``unresolved`` (the generation before could not be compared, as always at
        generation 1: when it came is not known), ``not seen`` (not until ``observed_until``) or
        ``not measured``. Every planned seed of an arm has its row. No rows without a control, and
        none for a metric that nothing measured.
    """
    controls = {arm: record.control_of(arm) for arm in record.arms}
    tables = [
        chain_events(record, rule, arm, control)
        for rule in EVENT_RULES
        for arm, control in controls.items()
        if control is not None and arm != control
    ]
    rows = [row for table in tables for row in table.itertuples(index=False)]
    return _table(rows)


def chain_events(record: StudyRecord, rule: EventRule, arm: str, control: str) -> pd.DataFrame:
    """The first events of one arm's chains against a control, as `first_events` has them."""
    values = metric_values(record, rule.metric)
    rows = []
    for seed in record.seeds_of(arm, control) if len(values) else ():
        excess = _excess(values, rule, (arm, control), seed, record.generations)
        rows.append((arm, seed, rule.metric, *_first(excess, rule.size)))
    return _table(rows)


def _table(rows: Sequence[tuple[object, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(EVENT_COLUMNS))
    return table.astype({"generation": "Int64", "observed_until": "Int64"})


def _excess(
    values: pd.Series, rule: EventRule, pair: tuple[str, str], seed: int, generations: int
) -> dict[int, float]:
    """Arm minus control at the generations after 0 where both were measured."""
    excess = {}
    for generation in range(1, generations + 1):
        arm, control = (values.get((name, seed, generation)) for name in pair)
        if arm is None or control is None:
            continue
        difference = float(arm) - float(control)
        if rule.is_relative:
            # A control of nothing has nothing to lose.
            difference = difference / abs(float(control)) if control else 0.0
        excess[generation] = difference
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
