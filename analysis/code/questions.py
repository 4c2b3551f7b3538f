"""The questions of R4.5 as comparisons of chains, seed by seed."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from analysis.code.arms import BOTH, CAPACITY, DECODINGS, DRIVERS, VOCABULARY, trained
from analysis.code.tables import BITS, COLLAPSE, PARSE, CodeTables
from analysis.comparisons.answers import Comparison
from analysis.metrics import MINUS

RATE_MARGIN_POINTS = 10.0
"""The seed's claims differ by 10 points and more (under 10, 20, 30 %); and of 52 completions, one
a prompt, a chain's rate has a standard error of up to 7 points, so that less is no difference one
could see in reading them."""
BITS_MARGIN = 0.05
"""At three bytes a token a tenth of a nat a token, twice the least loss that counts as an event in
the studies of recursion; what a better recipe alone can bring."""
INTERACTION = "interaction"


@dataclass(frozen=True)
class Outcome:
    """One number of a chain that arms are compared in.

    Attributes:
        metric: its name.
        label: what it is called in sentences and tables.
        unit: of a difference.
        scale: from the metric's unit to that of the difference.
        margin: the least difference that matters, in ``unit``; preset.
    """

    metric: str
    label: str
    unit: str
    scale: float
    margin: float

    @property
    def is_likelihood(self) -> bool:
        """Whether it means nothing for a model that sees the tokens it is to predict."""
        return self.metric == BITS


OUTCOMES = (
    Outcome(COLLAPSE, "collapse rate", "points", 100.0, RATE_MARGIN_POINTS),
    Outcome(PARSE, "parse rate", "points", 100.0, RATE_MARGIN_POINTS),
    Outcome(BITS, "bits per byte", "bits", 1.0, BITS_MARGIN),
)
RATES = tuple(outcome for outcome in OUTCOMES if not outcome.is_likelihood)


def trained_comparisons(tables: CodeTables) -> list[Comparison]:
    """Every arm with a training of its own against the control, and the interaction: one family.

    The seed's main hypothesis, data size in the collapse rate, is the primary contrast.
    """
    if tables.control is None:
        return []
    found = [
        _against_control(tables, arm, outcome)
        for arm in trained(tables.arms, tables.control)
        for outcome in OUTCOMES
    ]
    if {VOCABULARY, CAPACITY, BOTH} <= set(tables.arms):
        found += [_interaction(tables, tables.control, outcome) for outcome in OUTCOMES]
    return found


def decoding_comparisons(tables: CodeTables) -> list[Comparison]:
    """The control's model, decoded in other ways: a family of its own; its bits are the same."""
    if tables.control is None:
        return []
    return [
        _against_control(tables, arm, outcome)
        for arm in tables.arms
        if arm in DECODINGS and arm != tables.control
        for outcome in RATES
    ]


def _against_control(tables: CodeTables, arm: str, outcome: Outcome) -> Comparison:
    control = str(tables.control)
    first, second = (outcome.scale * tables.of(outcome.metric, one) for one in (arm, control))
    pairs = pd.DataFrame({"first": first, "second": second}).dropna()
    return _compared(
        tables,
        outcome,
        (arm, arm, control),
        pairs["first"] - pairs["second"],
        (arm, control),
        float(pairs["second"].mean()) if outcome.is_likelihood and len(pairs) else None,
    )


def _interaction(tables: CodeTables, control: str, outcome: Outcome) -> Comparison:
    """What the vocabulary does in the larger model, less what it does in the control's."""
    four = (BOTH, CAPACITY, VOCABULARY, control)
    both, model, vocabulary, base = (outcome.scale * tables.of(outcome.metric, a) for a in four)
    names = (f"({BOTH} {MINUS} {CAPACITY})", f"({VOCABULARY} {MINUS} {control})")
    differences = ((both - model) - (vocabulary - base)).dropna()
    return _compared(tables, outcome, (INTERACTION, *names), differences, four, None)


def _compared(
    tables: CodeTables,
    outcome: Outcome,
    names: tuple[str, str, str],
    differences: pd.Series,
    arms: Iterable[str],
    reference: float | None,
) -> Comparison:
    """The comparison; without its differences where a likelihood in it is not to be believed.

    Args:
        tables: for the arms that alarm.
        outcome: what is compared.
        names: the question, the first and the second.
        differences: by seed.
        arms: all that are in it.
        reference: mean of the second; None where a share of it means nothing.
    """
    doubted = [arm for arm in arms if arm in tables.alarming] if outcome.is_likelihood else []
    note = f"The likelihoods of {' and '.join(doubted)} are not to be believed." if doubted else ""
    return Comparison(
        *names,
        outcome.label,
        outcome.unit,
        differences.iloc[:0] if doubted else differences,
        None if doubted else reference,
        outcome.margin,
        (names[0], outcome.metric) == (DRIVERS["data"], COLLAPSE),
        note,
    )
