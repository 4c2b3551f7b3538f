"""What a person sees while something runs: bars where somebody looks, and single lines."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from collapse.stages.workspace import Advance


@contextmanager
def bar(what: str, total: int) -> Iterator[Advance]:
    """A bar with the time left; it goes away when it is done."""
    with tqdm(total=total or None, desc=what, leave=False, disable=not sys.stderr.isatty()) as one:

        def advance(done: int) -> None:
            one.update(done)

        yield advance


class Course:
    """How far a walk has come: a bar where somebody looks, else a line that comes ever more rarely.

    Args:
        what: is walked, in words.
        total: weight of all its steps.
    """

    FIRST_SECONDS = 30.0
    LATER = 1.5
    """Each line comes after so many times what had passed at the one before."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._started, self._next = time.monotonic(), self.FIRST_SECONDS
        self._bar = tqdm(
            total=total,
            desc=what,
            bar_format="{desc} |{bar}| {percentage:3.0f}% [{elapsed}<{remaining}]",
            disable=not sys.stderr.isatty(),
        )

    def advance(self, weight: int) -> None:
        """A step of this weight is done."""
        self._done += weight
        self._bar.update(weight)

    def show(self) -> None:
        """Bring the bar up to date, or say a line where it is time."""
        self._bar.refresh()
        passed = time.monotonic() - self._started
        if not self._bar.disable or passed < self._next or not self._done:
            return
        self._next = self.LATER * passed
        left = passed * (self._total / self._done - 1)
        since, until = (tqdm.format_interval(seconds) for seconds in (passed, left))
        say(f"{self._what}: {self._done / self._total:.0%} after {since}, about {until} left")

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def say(text: str) -> None:
    """One line for a person, beside the bars."""
    print(text, file=sys.stderr, flush=True)
