"""What a person sees while something runs: bars where somebody looks, and single lines."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass

from tqdm import tqdm

from collapse.stages.workspace import Advance


@contextmanager
def bar(what: str, total: int) -> Iterator[Advance]:
    """A bar with the time left; it goes away when it is done."""
    with tqdm(total=total or None, desc=what, leave=False, disable=not sys.stderr.isatty()) as one:

        def advance(done: int) -> None:
            one.update(done)

        yield advance


@dataclass
class Kind:
    """Steps of one kind: their weights, and what they took."""

    weight: int = 0
    done: int = 0
    worked: int = 0
    seconds: float = 0.0


class Course:
    """How far a walk has come: a bar where somebody looks, else a line that comes ever more rarely.

    Args:
        what: is walked, in words.
        steps: kind and weight of every step; weights need only be right within a kind.
        workers: steps that run at once.
    """

    FIRST_SECONDS = 30.0
    LATER = 1.5
    """Each line comes after so many times what had passed at the one before."""
    TELLING = 0.02
    """From this share of the work on, what it took tells what is left."""

    def __init__(self, what: str, steps: Iterable[tuple[str, int]], workers: int) -> None:
        self._what, self._workers = what, workers
        self._kinds: dict[str, Kind] = defaultdict(Kind)
        for kind, weight in steps:
            self._kinds[kind].weight += weight
        self._started, self._next = time.monotonic(), self.FIRST_SECONDS
        self._bar = tqdm(
            total=self._all().weight,
            desc=what,
            bar_format="{desc} |{bar}| {percentage:3.0f}% [{elapsed}{postfix}]",
            disable=not sys.stderr.isatty(),
        )

    def advance(self, kind: str, weight: int, seconds: float | None) -> None:
        """A step is done, and took so long; None of one that was found done."""
        one = self._kinds[kind]
        one.done += weight
        if seconds is not None:
            one.worked += weight
            one.seconds += seconds
        self._bar.update(weight)

    def show(self) -> None:
        """Bring the bar up to date, or say a line where it is time."""
        passed, left = time.monotonic() - self._started, self._left()
        self._bar.set_postfix_str(left)
        whole = self._all()
        if not self._bar.disable or passed < self._next or not whole.done:
            return
        self._next = self.LATER * passed
        since = f"{whole.done / whole.weight:.0%} after {tqdm.format_interval(passed)}"
        say(f"{self._what}: {since}{left and ', ' + left}")

    def _left(self) -> str:
        """What is left takes what its kind took, or where none of it is done, what all took."""
        whole = self._all()
        found = whole.done - whole.worked
        if not whole.worked or whole.worked < self.TELLING * (whole.weight - found):
            return ""
        left = 0.0
        for one in self._kinds.values():
            told_by = one if one.worked else whole
            left += (one.weight - one.done) * told_by.seconds / told_by.worked
        return f"about {tqdm.format_interval(left / self._workers)} left"

    def _all(self) -> Kind:
        """The sums over all kinds."""
        return Kind(*map(sum, zip(*map(astuple, self._kinds.values()), strict=True)))

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def say(text: str) -> None:
    """One line for a person, beside the bars."""
    print(text, file=sys.stderr, flush=True)
