"""Classes of code completions by their characters alone, as the code study has them (R4.3).

The rules are the seed's, word for word, so that its published figures can be recomputed. They are
coarse: prose may be ``good`` (it holds an ``if`` and a hyphen), and a correct ``x`` is
``mode_collapse`` (one character is all of it). What says whether text is code is in
:mod:`collapse.probes.code`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from collapse.errors import BadParameter

CompletionClass = Literal["mode_collapse", "repetitive", "good", "partial", "noise"]
COMPLETION_CLASSES: tuple[CompletionClass, ...] = get_args(CompletionClass)
"""In the order in which they are tried."""

FAILURES: tuple[CompletionClass, ...] = ("mode_collapse", "repetitive")
"""The classes that count as a failure."""

KEYWORDS = ("def", "class", "if", "for", "while", "import", "return", "self")
OPERATORS = "=+-*/><"
COLLAPSED_SHARE = 0.8
FEWEST_CHARACTERS = 5


@dataclass(frozen=True)
class CompletionTraits:
    """What the characters of one completion show.

    Attributes:
        kind: its class.
        commonest_share: share of its characters that are its commonest one; None where it is empty.
        distinct_characters: how many different characters it has.
        has_keyword: one of ``KEYWORDS`` is somewhere in it, inside a word or not.
        has_operator: one of ``OPERATORS`` is in it.
        has_parentheses: both ``(`` and ``)`` are in it.
    """

    kind: CompletionClass
    commonest_share: float | None
    distinct_characters: int
    has_keyword: bool
    has_operator: bool
    has_parentheses: bool


@dataclass(frozen=True)
class CompletionSummary:
    """What the characters of some completions show.

    Attributes:
        completions: how many there are.
        counts: class to number of completions, every class in it.
        failure_rate: share of completions in a class of ``FAILURES``.
        mean_commonest_share: over the completions that are not empty; None where all are.
        mean_distinct_characters: over all.
        with_keyword: completions with a keyword.
        with_operator: completions with an operator.
        with_parentheses: completions with both parentheses.
    """

    completions: int
    counts: Mapping[CompletionClass, int]
    failure_rate: float
    mean_commonest_share: float | None
    mean_distinct_characters: float
    with_keyword: int
    with_operator: int
    with_parentheses: int


def classify_completion(text: str) -> CompletionClass:
    """The class of a completion, the first of these that fits.

    - ``mode_collapse``: the commonest character is over 80 % of it.
    - ``repetitive``: it has fewer than 5 different characters; so has the empty text.
    - ``good``: it has a keyword and an operator.
    - ``partial``: it has both parentheses, or an operator.
    - ``noise``: anything else.

    Args:
        text: a completion, without its prompt. White space counts like any other character.
    """
    return completion_traits(text).kind


def completion_traits(text: str) -> CompletionTraits:
    """All that the classes are made of; see :func:`classify_completion`."""
    counts = Counter(text)
    share = counts.most_common(1)[0][1] / len(text) if text else None
    has_keyword = any(keyword in text for keyword in KEYWORDS)
    has_operator = any(operator in counts for operator in OPERATORS)
    has_parentheses = "(" in counts and ")" in counts
    kind: CompletionClass
    if share is not None and share > COLLAPSED_SHARE:
        kind = "mode_collapse"
    elif len(counts) < FEWEST_CHARACTERS:
        kind = "repetitive"
    elif has_keyword and has_operator:
        kind = "good"
    else:
        kind = "partial" if has_parentheses or has_operator else "noise"
    return CompletionTraits(kind, share, len(counts), has_keyword, has_operator, has_parentheses)


def summarise_completions(texts: Sequence[str]) -> CompletionSummary:
    """Counts and means over completions.

    Args:
        texts: at least one completion, without prompts.

    Raises:
        BadParameter: there are none.
    """
    if not texts:
        raise BadParameter("0 completions: at least one is needed")
    traits = [completion_traits(text) for text in texts]
    counted = Counter(one.kind for one in traits)
    shares = [one.commonest_share for one in traits if one.commonest_share is not None]
    return CompletionSummary(
        completions=len(texts),
        counts={kind: counted[kind] for kind in COMPLETION_CLASSES},
        failure_rate=sum(counted[kind] for kind in FAILURES) / len(texts),
        mean_commonest_share=sum(shares) / len(shares) if shares else None,
        mean_distinct_characters=sum(one.distinct_characters for one in traits) / len(texts),
        with_keyword=sum(one.has_keyword for one in traits),
        with_operator=sum(one.has_operator for one in traits),
        with_parentheses=sum(one.has_parentheses for one in traits),
    )
