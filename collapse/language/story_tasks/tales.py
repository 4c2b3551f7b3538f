"""Stories with their seams: told with some choices fixed, cut at any choice, begun in a new way."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from collapse.language.corpora.splits import split_of
from collapse.language.corpora.stories.machine import END
from collapse.language.corpora.stories.world import WHOLE, world
from collapse.numerics.streams import numpy_stream

# Those beginnings that say the name of the hero and nothing else.
_PLAIN = {"start": 3, "portrait": 0, "game.begin": 3}
_TIMES = (0, 4, 5, 7, 8)  # options of "start" that say when, and then the name
_DRAWN_TIMES, _OPENINGS_A_TEXT = 100, 200
_PORTRAYED = 1  # the option of "start" that says what the hero is like
_OPENED, _PLOT_BEGINS = 2, "pet.notice"  # openings are told by this option of "plot", up to there


@dataclass(frozen=True)
class Tale:
    """A story, and where in its text each choice begins to speak.

    Attributes:
        text: the story.
        options: for each choice point passed the option taken, in the order of the text.
        starts: for each choice point the index in ``text`` at which its option begins.
        fields: what the choices have set, such as ``hero`` and ``thing``.
    """

    text: str
    options: Mapping[str, int]
    starts: Mapping[str, int]
    fields: Mapping[str, str]

    def first(self, *endings: str) -> str | None:
        """The first choice point whose name has one of these endings; None where none has."""
        return next((name for name in self.starts if name.endswith(endings)), None)

    def before(self, name: str) -> str:
        """The text up to where the choice begins."""
        return self.text[: self.starts[name]]

    def since(self, name: str) -> str:
        """The text from where the choice begins."""
        return self.text[self.starts[name] :]


def tell(rng: np.random.Generator, fixed: Mapping[str, int], until: str = "") -> Tale:
    """A story in which the choices named in ``fixed`` have their options, and others are drawn.

    Args:
        rng: drawn from.
        fixed: option of each choice point that is not left to chance.
        until: choice point before which the telling stops; empty for the whole story.
    """
    story = world(WHOLE).machine
    said, known, options, starts = story.prefix, dict[str, str](), dict[str, int](), {}
    number = story.start
    while number != END:
        state = story.states[number]
        if state.name == until:
            break
        option = fixed.get(state.name)
        if option is None:
            option = bisect_right(story.cumulative[number], rng.random())
        edge = state.edges[option]
        known.update(edge.fields)
        options[state.name], starts[state.name] = option, len(said)
        said += edge.text.format_map(known)
        number = edge.target
    return Tale(said, options, starts, known)


def tell_plainly(rng: np.random.Generator, fixed: Mapping[str, int]) -> Tale:
    """A story that begins with the hero's name and at once goes on with the plot."""
    return tell(rng, {**_PLAIN, **fixed})


def draw_option(rng: np.random.Generator, name: str) -> int:
    """An option of a choice point, as often as the stories take it."""
    return bisect_right(_bounds(name), rng.random())


@cache
def scenes() -> Mapping[str, int]:
    """The choice points at which plots choose their scene, and how many scenes each has."""
    states = world(WHOLE).machine.states
    return {state.name: len(state.edges) for state in states if state.name.endswith(".scene")}


@cache
def _bounds(name: str) -> tuple[float, ...]:
    story = world(WHOLE).machine
    return next(
        bounds
        for state, bounds in zip(story.states, story.cumulative, strict=True)
        if state.name == name
    )


def opening(rng: np.random.Generator, hero: int) -> str:
    """A beginning that no story has: when, and what the hero is like, in one sentence.

    The stories say either the one or the other: "One sunny day, Lily", or "Once there was a shy
    girl called Lily. One day, she". Here they say both: "One sunny day, a shy girl called Lily".

    Args:
        rng: drawn from.
        hero: option of the choice point ``hero``.
    """
    times, portraits = _times_and_portraits(hero)
    when = times[int(rng.integers(len(times)))]
    return when + portraits[int(rng.integers(len(portraits)))]


@cache
def _times_and_portraits(hero: int) -> tuple[list[str], list[str]]:
    """Beginnings of the stories, drawn once: their words up to the name, and about the hero."""
    rng = numpy_stream(0, "story_tasks.openings", hero)
    plot = {"plot": _OPENED, "hero": hero}
    times, portraits = [], []
    for number in range(_DRAWN_TIMES):
        timed = tell(rng, {**plot, "start": _TIMES[number % len(_TIMES)]}, _PLOT_BEGINS)
        times.append(timed.text[: timed.text.index(timed.fields["hero"])])
        portrayed = tell(rng, {**plot, "start": _PORTRAYED}, _PLOT_BEGINS)
        portrait = portrayed.text.removeprefix("Once there was ").partition(".")[0]
        portraits.append(portrait)
    return times, portraits


def begun_anew(
    plain: str, rest: str, hero: int, split: str, rng: np.random.Generator
) -> str | None:
    """The beginning of a story with an `opening` in the place of the name it begins with.

    Args:
        plain: what begins with the hero's name.
        rest: what will follow it.
        hero: option of the choice point ``hero``.
        split: that the whole text must belong to.
        rng: drawn from.

    Returns:
        The beginning; None where none of many openings brings the text into the split.
    """
    after_name = plain.partition(" ")[2]
    for _ in range(_OPENINGS_A_TEXT):
        begun = f"{opening(rng, hero)} {after_name}"
        if split_of(begun + rest) == split:
            return begun
    return None


def can_begin(context: str, more: str = "") -> bool:
    """Whether some story begins with the context and then goes on with ``more``.

    Every character counts.
    """
    return any(
        more.startswith(unsaid[: len(more)])
        and (len(unsaid) >= len(more) or _walks(more, number, len(unsaid), known))
        for unsaid, number, known in _told(context)
    )


@lru_cache(maxsize=4096)
def _told(text: str) -> list["_Place"]:
    """Where a story that begins with the text can be at its end."""
    story = world(WHOLE).machine
    assert not story.prefix, "stories begin with a choice"
    return _walks(text, story.start, 0, {})


def _walks(text: str, number: int, at: int, known: Mapping[str, str]) -> list["_Place"]:
    if number == END:
        return []
    places: list[_Place] = []
    left = len(text) - at
    for head, template, fields, target in _edges()[number]:
        if not text.startswith(head[:left], at):
            continue
        now = {**known, **fields} if fields else known
        said = head if template is None else template.format_map(now)
        if not text.startswith(said[:left], at):
            continue
        if len(said) >= left:
            places.append((said[left:], target, now))
        else:
            places.extend(_walks(text, target, at + len(said), now))
    return places


@cache
def _edges() -> list[list[tuple[str, str | None, Mapping[str, str], int]]]:
    # (literal beginning, whole template where it has holes, fields, target)
    return [
        [
            (head, edge.text if head != edge.text else None, edge.fields, edge.target)
            for edge in state.edges
            for head in [edge.text.partition("{")[0]]
        ]
        for state in world(WHOLE).machine.states
    ]


# What the last option has still to say, the state after it, and what the choices have set.
_Place = tuple[str, int, Mapping[str, str]]
