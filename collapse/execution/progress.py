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
    TELLING = 0.02
    """From this share of the work on, the time it took tells what is left."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done, self._found = what, total, 0, 0
        self._started, self._next = time.monotonic(), self.FIRST_SECONDS
        self._bar = tqdm(
            total=total,
            desc=what,
            bar_format="{desc} |{bar}| {percentage:3.0f}% [{elapsed}{postfix}]",
            disable=not sys.stderr.isatty(),
        )

    def advance(self, weight: int, *, found: bool = False) -> None:
        """A step of this weight is done, or was found done: that took no time and tells none."""
        self._done += weight
        if found:
            self._found += weight
        self._bar.update(weight)

    def show(self) -> None:
        """Bring the bar up to date, or say a line where it is time."""
        passed = time.monotonic() - self._started
        left = self._left(passed)
        self._bar.set_postfix_str(left)
        if not self._bar.disable or passed < self._next or not self._done:
            return
        self._next = self.LATER * passed
        since = f"{self._done / self._total:.0%} after {tqdm.format_interval(passed)}"
        say(f"{self._what}: {since}{left and ', ' + left}")

    def _left(self, passed: float) -> str:
        worked, work = self._done - self._found, self._total - self._found
        if not worked or worked < self.TELLING * work:
            return ""
        return f"about {tqdm.format_interval(passed * (work / worked - 1))} left"

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def say(text: str) -> None:
    """One line for a person, beside the bars."""
    print(text, file=sys.stderr, flush=True)
