"""Sets of contexts and answers in which every answer is right once and wrong everywhere else.

A set of n items has n contexts and n answers; each item offers all n answers, and its own is the
right one. So who sees only the answers is right exactly once a set. The contexts of a set end
alike, so nearly the same is true of who sees the answers and the two words before them; and sets
are chosen so that it is true, or nearly, of who counts the words that an answer shares with the
context. What is left is to read the context.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from collapse.language.story_tasks.tales import (
    Tale,
    begun_anew,
    can_begin,
    draw_option,
    scenes,
    tell_plainly,
)

_TALES_A_SET = 600
_OVERLAP_SLACK = 0.35  # of a set's items, how many more or fewer than one the overlap may find
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


@dataclass(frozen=True)
class Cut:
    """A story cut in two.

    Attributes:
        kind: what decides the answer, such as the thing that is feared.
        context: the story up to the cut, without the blank before the next word.
        answer: what follows, without the blank before it.
    """

    kind: str
    context: str
    answer: str


@dataclass(frozen=True)
class Begun:
    """A cut, and its context with a beginning that no story has."""

    context: str
    cut: Cut


@dataclass(frozen=True)
class Family:
    """A way to cut stories so that the cuts can stand in one set.

    Attributes:
        cut: cuts a story, or None where it cannot be cut in this way.
        plots: options of the choice point ``plot`` from which stories are told.
        shared: choice points at which all stories of a set take one option, besides the hero, the
            helper and the friend.
    """

    cut: Callable[[Tale], Cut | None]
    plots: Sequence[int]
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """A context, the answers on offer, and which of them is right."""

    context: str
    answers: tuple[str, ...]
    right: int


@lru_cache(maxsize=4096)
def words(text: str) -> frozenset[str]:
    """The different words of a text, in lower case."""
    return frozenset(_WORD.findall(text.lower()))


def items(
    families: Sequence[Family], answers: int, split: str, rng: np.random.Generator
) -> Iterator[Item]:
    """Items without end, set after set, the families in turn; no context twice.

    Args:
        families: what the sets are made of.
        answers: on offer in an item, and items in a set.
        split: that the text of context and right answer belongs to.
        rng: drawn from.
    """
    used: set[str] = set()
    while True:
        for family in families:
            chosen = _one_set(family, answers, split, used, rng)
            used.update(begun.context for begun in chosen)
            offered = [begun.cut.answer for begun in chosen]
            places = rng.permutation(answers).tolist()
            for begun, place in zip(chosen, places, strict=True):
                yield _item(begun, offered, place, rng)


def _item(begun: Begun, offered: Sequence[str], place: int, rng: np.random.Generator) -> Item:
    right = begun.cut.answer
    wrong = [answer for answer in offered if answer != right]
    placed = [wrong[index] for index in rng.permutation(len(wrong)).tolist()]
    placed.insert(place, right)
    return Item(begun.context, tuple(placed), place)


def _one_set(
    family: Family, size: int, split: str, used: set[str], rng: np.random.Generator
) -> list[Begun]:
    """As many cuts of different kinds, begun in ways that no story begins."""
    while True:
        hero = draw_option(rng, "hero")
        names = ("helper", "friend", *family.shared)
        fixed = {"hero": hero, **{name: draw_option(rng, name) for name in names}}
        chosen: list[Begun] = []
        for _ in range(_TALES_A_SET):
            cut = _told(family, fixed, rng)
            if cut is None:
                continue
            others = chosen if len(chosen) < size else _one_less(chosen, cut, rng)
            if not all(_exclude(cut, other.cut) for other in others):
                continue
            context = begun_anew(cut.context, f" {cut.answer}", hero, split, rng)
            if context is None or context in used:
                continue
            changed = [*others, Begun(context, cut)]
            if len(chosen) < size or _overlap_tells(changed) <= _overlap_tells(chosen):
                chosen = changed
            if len(chosen) == size and _overlap_tells(chosen) <= _OVERLAP_SLACK:
                return chosen


def _told(family: Family, fixed: Mapping[str, int], rng: np.random.Generator) -> Cut | None:
    plot = family.plots[int(rng.integers(len(family.plots)))]
    # All scenes are told alike often, or sets of ten would nearly all be of the same ten.
    scene = {name: int(rng.integers(count)) for name, count in scenes().items()}
    return family.cut(tell_plainly(rng, {**scene, **fixed, "plot": plot}))


def _one_less(chosen: Sequence[Begun], cut: Cut, rng: np.random.Generator) -> list[Begun]:
    """The set without the one that the cut would replace: that of its kind, or any."""
    kinds = [begun.cut.kind for begun in chosen]
    out = kinds.index(cut.kind) if cut.kind in kinds else int(rng.integers(len(chosen)))
    return [begun for index, begun in enumerate(chosen) if index != out]


def _exclude(one: Cut, other: Cut) -> bool:
    """Whether no story goes on from either context with the answer of the other."""
    return one.kind != other.kind and not (
        can_begin(one.context, f" {other.answer}") or can_begin(other.context, f" {one.answer}")
    )


def _overlap_tells(chosen: Sequence[Begun]) -> float:
    """How much more or less than once a set the words shared with a context find its answer."""
    answers = [begun.cut.answer for begun in chosen]
    found = [overlap_finds(begun.context, begun.cut.answer, answers) for begun in chosen]
    by_count, by_share = (sum(scores) for scores in zip(*found, strict=True))
    return max(abs(by_count - 1), abs(by_share - 1))


def overlap_finds(context: str, right: str, answers: Sequence[str]) -> tuple[float, float]:
    """The chance that the answer with most words of the context is the right one.

    Args:
        context: of the item.
        right: answer.
        answers: all on offer.

    Returns:
        By the number of shared words, and by their share of the answer; ties are split evenly.
    """
    known = words(context)
    counts = {answer: len(words(answer) & known) for answer in answers}
    shares = {answer: counts[answer] / max(1, len(words(answer))) for answer in answers}
    return _chance(counts, right), _chance(shares, right)


def _chance(scores: Mapping[str, float], right: str) -> float:
    best = max(scores.values())
    ties = [answer for answer, score in scores.items() if score == best]
    return (right in ties) / len(ties)
