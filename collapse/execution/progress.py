"""How far a step has come, as its stage tells it; and single lines for a person."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from collapse.stages.workspace import Advance


@dataclass(frozen=True)
class Told:
    """How far a part of a step has come; times are seconds since the step began.

    Attributes:
        what: the stage does, such as ``training``.
        total: units of work; the part may end with fewer.
        began: when the part did.
        done: units that are done.
        at: when that was told.
        timed_from: units, and when they were done, from which on the others are timed.
        ended: whether the part is over.
    """

    what: str
    total: int
    began: float
    done: int
    at: float
    timed_from: tuple[int, float]
    ended: bool = False

    @property
    def share(self) -> float:
        """What is done of the part: 0 to 1."""
        return 1.0 if self.ended else min(max(self.done, 0) / max(self.total, 1), 1.0)

    @property
    def timed(self) -> tuple[float, float]:
        """A share of the part, and the seconds that it took."""
        units, since = self.timed_from
        return max(self.share - units / max(self.total, 1), 0.0), self.at - since


Tell = Callable[[tuple[Told, ...]], None]
"""Is handed all parts of a step that have begun so far."""


def nobody(_told: tuple[Told, ...]) -> None:
    """Nobody wants to know."""


class Reporter:
    """A stage's `progress`, which tells of it twice a second at most."""

    EVERY = 0.5
    """Seconds between two tellings of a part; how it begins and how it ends is always told."""

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._began = self._told = clock()
        self._parts: list[Told] = []

    @contextmanager
    def __call__(self, what: str, total: int) -> Iterator[Advance]:
        """A part of the step, with so many units of work."""
        now = self._clock() - self._began
        self._hand_over([*self._parts, Told(what, total, now, 0, now, (0, now))])
        done = 0

        def advance(more: int) -> None:
            nonlocal done
            done += more
            if self._clock() - self._told >= self.EVERY or self._parts[-1].done == 0:
                self._advance(done)

        yield advance
        part = replace(self._parts[-1], at=self._clock() - self._began, ended=True)
        if part.done == part.timed_from[0]:  # told of once, or never
            part = replace(part, timed_from=(0, part.began))
        self._hand_over([*self._parts[:-1], part])

    def _advance(self, done: int) -> None:
        part, now = self._parts[-1], self._clock() - self._began
        # What is told first may have been done by an earlier call, unless it is a single unit.
        from_here = part.done == 0 and done > 1
        timed_from = (done, now) if from_here else part.timed_from
        part = replace(part, done=done, at=now, timed_from=timed_from)
        self._hand_over([*self._parts[:-1], part])

    def _hand_over(self, parts: list[Told]) -> None:
        self._parts, self._told = parts, self._clock()
        self._tell(tuple(parts))


def say(text: str) -> None:
    """One line for a person, beside the bars."""
    print(text, file=sys.stderr, flush=True)
