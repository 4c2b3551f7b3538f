"""From choices to text and back: drawing stories, and recognising them."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, repeat

import numpy as np

from collapse.language.corpora.stories.machine import END, Machine

_BLOCK = 4096  # uniforms drawn at a time: a call into NumPy for each would cost more than the rest


@dataclass(frozen=True)
class Derivation:
    """A story and the one sequence of choices that makes it.

    Attributes:
        text: the story.
        choices: (name of the choice point, index of its option), in the order of the text.
        log_probability_nats: log of the probability that the grammar tells this story.
    """

    text: str
    choices: tuple[tuple[str, int], ...]
    log_probability_nats: float


def _uniforms(rng: np.random.Generator) -> Callable[[], float]:
    blocks: Iterator[list[float]] = (rng.random(_BLOCK).tolist() for _ in repeat(None))
    return chain.from_iterable(blocks).__next__


@dataclass(frozen=True)
class Sampler:
    """Draws stories by inversion, one uniform a choice."""

    machine: Machine

    @cached_property
    def _tables(self) -> list[tuple[tuple[float, ...], list[tuple[str, Mapping[str, str], int]]]]:
        return [
            (bounds, [(edge.text, edge.fields, edge.target) for edge in state.edges])
            for bounds, state in zip(self.machine.cumulative, self.machine.states, strict=True)
        ]

    def texts(self, count: int, rng: np.random.Generator) -> list[str]:
        """Texts of ``count`` stories; the generator is drawn from in blocks."""
        tables, uniform, stories = self._tables, _uniforms(rng), []
        for _ in range(count):
            pieces, known = [self.machine.prefix], dict[str, str]()
            number = self.machine.start
            while number != END:
                bounds, edges = tables[number]
                text, fields, number = edges[bisect_right(bounds, uniform())]
                pieces.append(text)
                if fields:
                    known.update(fields)
            stories.append("".join(pieces).format_map(known))
        return stories

    def derivations(self, count: int, rng: np.random.Generator) -> list[Derivation]:
        """The same stories as `texts` draws from the same generator, with their choices."""
        uniform, found = _uniforms(rng), []
        for _ in range(count):
            path, number = [], self.machine.start
            while number != END:
                option = bisect_right(self.machine.cumulative[number], uniform())
                path.append((number, option))
                number = self.machine.states[number].edges[option].target
            found.append(derive(self.machine, path))
        return found


def derive(machine: Machine, path: list[tuple[int, int]]) -> Derivation:
    """The derivation of a walk, given as (state, option) from the start to the end."""
    pieces, known, logs = [machine.prefix], dict[str, str](), []
    for number, option in path:
        state = machine.states[number]
        pieces.append(state.edges[option].text)
        known.update(state.edges[option].fields)
        logs.append(math.log(state.probabilities[option]))
    choices = tuple((machine.states[number].name, option) for number, option in path)
    return Derivation("".join(pieces).format_map(known), choices, math.fsum(logs))


@dataclass(frozen=True)
class Recogniser:
    """Finds the walk that spells a text, by depth-first search over the machine."""

    machine: Machine

    @cached_property
    def _tables(self) -> list[list[tuple[str, str | None, Mapping[str, str], int]]]:
        # (literal beginning, whole template where it has holes, fields, target)
        return [
            [
                (head, edge.text if head != edge.text else None, edge.fields, edge.target)
                for edge in state.edges
                for head in [edge.text.partition("{")[0]]
            ]
            for state in self.machine.states
        ]

    def __call__(self, text: str) -> Derivation | None:
        """The derivation of the text; None where the grammar cannot tell it."""
        if not text.startswith(self.machine.prefix):
            return None
        at = len(self.machine.prefix)
        if self.machine.start == END:
            return derive(self.machine, []) if at == len(text) else None
        backwards = self._walk(text, self.machine.start, at, {})
        return None if backwards is None else derive(self.machine, backwards[::-1])

    def _walk(
        self, text: str, number: int, at: int, known: Mapping[str, str]
    ) -> list[tuple[int, int]] | None:
        """The walk from this state that spells the text from here on, last step first."""
        for option, (head, template, fields, target) in enumerate(self._tables[number]):
            if not text.startswith(head, at):
                continue
            said = head if template is None else template.format_map(known)
            if template is not None and not text.startswith(said, at):
                continue
            here = at + len(said)
            if target == END:
                if here == len(text):
                    return [(number, option)]
                continue
            found = self._walk(text, target, here, {**known, **fields} if fields else known)
            if found is not None:
                found.append((number, option))
                return found
        return None
