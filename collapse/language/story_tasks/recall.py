"""Passages whose next word was said earlier: LAMBADA's question, and the spans of SQuAD's."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from collapse.errors import BadParameter
from collapse.language.corpora.stories.content import PLOTS
from collapse.language.corpora.stories.world import WHOLE, world
from collapse.language.story_tasks.tales import begun_anew, draw_option, scenes, tell_plainly
from collapse.numerics.streams import numpy_stream

_FIELDS = ("thing", "food", "plant", "pet", "game", "work", "helper", "friend")
_SHARE_OF_ONE_ANSWER, _AHEAD = 0.05, 1  # of all passages so far, and this many more
_MOST_TRIES = 4000
_SHARE_IN_A_PLOT = 0.25  # as a plot alone has but a dozen answers
_STORIES_COUNTED = 6000
_NEARLY = 0.5  # of the commonest follower's count
_TOKEN = re.compile(r"[A-Za-z']+|[^\sA-Za-z]")
_BOUNDARY = re.compile(r'(?<=[.!?]) (?=["A-Z])|(?<=[.!?]") (?=["A-Z])')


@dataclass(frozen=True)
class Recall:
    """A passage that leads to a word of its own beginning.

    Attributes:
        context: whole sentences, in which the answer stands.
        stem: the next sentence up to the answer. (No sentence of the stories has it twice.)
        answer: the thing or the name.
        ends: whether the answer ends the sentence, or a part of it before a comma.
    """

    context: str
    stem: str
    answer: str
    ends: bool

    @property
    def mentions(self) -> list[int]:
        """Where the answer stands in the context."""
        return _places(self.answer, self.context)


def _places(word: str, text: str) -> list[int]:
    return [found.start() for found in re.finditer(rf"\b{re.escape(word)}\b", text)]


def recalls(
    split: str,
    may_be: Callable[[Recall], bool],
    rng: np.random.Generator,
    plots: Sequence[str] = tuple(PLOTS),
) -> Iterator[Recall]:
    """Passages without end, begun as no story begins, all different.

    As in LAMBADA, what can be guessed without the passage is left out: no answer is the commonest
    word, or nearly, after the two words before it.

    Args:
        split: that the text of context, stem and answer belongs to.
        may_be: whether a passage will do.
        rng: drawn from.
        plots: that are told; where it is not all of them, each equally often.

    Raises:
        BadParameter: after thousands of stories there is no other passage.
    """
    told = [list(PLOTS).index(plot) for plot in plots]
    few = len(told) < len(PLOTS)
    most = _SHARE_IN_A_PLOT if few else _SHARE_OF_ONE_ANSWER
    used: set[str] = set()
    answers = Counter[str]()
    tries = 0
    while True:
        tries += 1
        if tries > _MOST_TRIES:
            raise BadParameter(
                f"stories of {', '.join(plots)} say too few different words twice to make "
                f"{len(used) + 1} items of them: ask for fewer, or take more plots"
            )
        hero = draw_option(rng, "hero")
        plot = {"plot": told[int(rng.integers(len(told)))]} if few else {}
        plain = _passage({"hero": hero, **plot}, rng)
        if plain is None or not may_be(plain):
            continue
        # No answer runs ahead of the others, so that always saying the same is right of few.
        if answers[plain.answer] > _AHEAD + answers.total() * most:
            continue
        rest = f" {plain.stem} {plain.answer}"
        context = begun_anew(plain.context, rest, hero, split, rng)
        if context is not None and context + rest not in used:
            used.add(context + rest)
            answers[plain.answer] += 1
            tries = 0
            yield replace(plain, context=context)


def _passage(fixed: Mapping[str, int], rng: np.random.Generator) -> Recall | None:
    scene = {name: int(rng.integers(count)) for name, count in scenes().items()}
    tale = tell_plainly(rng, {**scene, **fixed})
    found = [
        passage
        for field in _FIELDS
        if field in tale.fields
        for at in _places(tale.fields[field], tale.text)
        if (passage := _cut(tale.text, at, tale.fields[field])) is not None
    ]
    return found[int(rng.integers(len(found)))] if found else None


def _cut(text: str, at: int, answer: str) -> Recall | None:
    """The passage up to the answer at this place; None where it was not said before."""
    boundaries = [found.end() for found in _BOUNDARY.finditer(text, 0, at)]
    start = boundaries[-1] if boundaries else 0
    context, stem = text[:start].rstrip(), text[start:at].rstrip()
    follows = text[at + len(answer) : at + len(answer) + 1]
    passage = Recall(context, stem, answer, ends=follows in tuple(".,!?"))
    if not passage.mentions or _is_guessed(stem, answer):
        return None
    return passage if " " in stem and not stem.endswith('"') else None


def _is_guessed(stem: str, answer: str) -> bool:
    """Whether the two words before the answer lead to it, or nearly, oftener than to all others."""
    followers = _followers()[tuple(_TOKEN.findall(stem)[-2:])]
    return followers[_TOKEN.findall(answer)[0]] > _NEARLY * max(followers.values(), default=1)


@cache
def _followers() -> Mapping[tuple[str, ...], Counter[str]]:
    """For two words, or signs, in a row how often each word follows, over many stories."""
    found = defaultdict[tuple[str, ...], Counter[str]](Counter)
    for text in world(WHOLE).sample(_STORIES_COUNTED, numpy_stream(0, "story_tasks.followers")):
        tokens = _TOKEN.findall(text)
        for one, two, three in zip(tokens, tokens[1:], tokens[2:], strict=False):
            found[one, two][three] += 1
    return found
