"""How far a walk has come and how long it will take: a bar where somebody looks, else lines."""

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from tqdm import tqdm

from collapse.execution.costs import Part, parts_of
from collapse.execution.progress import Told, say
from collapse.stages.plan import Step

MODEL, OTHER = "all work with a model", "all other work"
DOUBT = 1.0
"""Each kind of work is taken to have been timed for so many seconds already, at the pace of all."""

Timed = Mapping[str, tuple[float, float]]
"""By kind of work, costs that were timed and the seconds that they took."""


def pace(timed: Timed, part: Part) -> float:
    """Seconds here for each of a part's cost."""
    costs, seconds = timed[MODEL] if part.of_model else timed[OTHER]
    if not part.of_model:
        costs, seconds = costs + DOUBT, seconds + DOUBT
    of_all = seconds / costs if costs and seconds else 1.0
    costs, seconds = timed[part.kind]
    return (seconds + DOUBT) / (costs + DOUBT / of_all)


@dataclass
class Work:
    """A step of a walk, as far as it is done.

    Attributes:
        step: of the plan.
        parts: what it consists of; the last is what its stage tells nothing of.
        since: when it began; None before.
        told: what it told.
        seconds: what it took in all, where that is known.
        ended: whether it is done with.
    """

    step: Step
    parts: tuple[Part, ...]
    since: float | None = None
    told: tuple[Told, ...] = ()
    seconds: float | None = None
    ended: bool = False

    @property
    def at_work(self) -> bool:
        """Whether it has begun and not ended."""
        return self.since is not None and not self.ended

    @property
    def told_seconds(self) -> float:
        """What the parts took that it told of."""
        return sum(one.at - one.began for one in self.told)

    def timed(self) -> Iterator[tuple[Part, float, float]]:
        """What was timed of it so far: the part, its cost and its seconds."""
        *parts, rest = self.parts
        for part in parts:
            own = part.of(self.told)
            for share, seconds in (one.timed for one in own):
                yield part, part.cost * share / max(part.times, len(own)), seconds
        if self.seconds is not None:
            yield rest, rest.cost, max(self.seconds - self.told_seconds, 0.0)

    def shares(self, now: float, paces: Callable[[Part], float]) -> Iterator[tuple[Part, float]]:
        """What is done of every part, 0 to 1; of what it tells nothing, what time says."""
        *parts, rest = self.parts
        for part in parts:
            own = part.of(self.told)
            done = sum(one.share for one in own) / max(part.times, len(own))
            yield part, 1.0 if self.ended else done
        untold = now - (now if self.since is None else self.since) - self.told_seconds
        done = min(max(untold, 0.0) / (paces(rest) * rest.cost), 0.9) if rest.cost else 0.0
        yield rest, 1.0 if self.ended else done

    def describe(self) -> str:
        """What it is at, in words."""
        where = ""
        if self.step.chains:
            chain = self.step.chains[0]
            where = f"{chain.arm} seed {chain.seed} generation {self.step.generation}: "
        if self.told and not self.told[-1].ended:
            return f"{where}{self.told[-1].what}, {self.told[-1].share:.0%}"
        return where + self.step.stage


class Course:
    """How far a walk has come.

    Every part of every step has a cost beforehand. What parts of its kind took here corrects it as
    soon as there is any of it, and what others took until then.

    Args:
        what: is walked, in words.
        steps: of the walk that are not there yet; whatever one needs stands before it.
        workers: steps that run at once.
        clock: tells seconds.
    """

    FIRST, EVERY, LATER = 10.0, 60.0, 0.2
    """Seconds until the first line and between two, or this share of what has passed: the more."""
    TELLING = 5.0
    """So many seconds of work with a model tell how long the rest will take."""

    def __init__(
        self,
        what: str,
        steps: Iterable[Step],
        workers: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._workers, self._clock = what, workers, clock
        self._works = {step.key: Work(step, parts_of(step)) for step in steps}
        self._started, self._next = clock(), self.FIRST
        self._share, self._foretold = 0.0, False
        self._lock, self._over = threading.Lock(), threading.Event()
        self._bar = tqdm(
            total=1.0,
            desc=what,
            bar_format="{desc} |{bar}| {percentage:3.0f}% [{elapsed}{postfix}]",
            disable=not sys.stderr.isatty() or not self._works,
            dynamic_ncols=True,
        )

    def __enter__(self) -> "Course":
        """Show every second how far it is."""

        def watch() -> None:
            while not self._over.wait(1.0):
                self.show()

        self._watcher = threading.Thread(target=watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._over.set()
        self._watcher.join()
        self._bar.close()

    def begin(self, key: str) -> None:
        """A step is at work from now on."""
        with self._lock:
            if key in self._works:
                self._works[key].since = self._clock()

    def tell(self, key: str, told: tuple[Told, ...]) -> None:
        """How far a step has come."""
        with self._lock:
            if key in self._works:
                self._works[key].told = told

    def end(self, key: str, seconds: float | None = None) -> None:
        """A step is done with, and took so long, if that says anything."""
        with self._lock:
            if key in self._works:
                self._works[key].seconds, self._works[key].ended = seconds, True

    def show(self) -> None:
        """Bring the bar up to date, or say a line where it is time."""
        if not self._works:
            return
        with self._lock:
            passed = self._clock() - self._started
            left = self._look()
            time_left = [] if left is None else [f"about {tqdm.format_interval(left)} left"]
            if not self._bar.disable:
                self._bar.n = self._share
                self._bar.set_postfix_str("; ".join([*time_left, *self._now(1)]))
            elif passed >= self._next or (left is not None and not self._foretold):
                self._next = passed + max(self.EVERY, self.LATER * passed)
                self._foretold = self._foretold or left is not None
                since = f"{int(100 * self._share)}% after {tqdm.format_interval(passed)}"
                far = ", ".join([since, *time_left])
                say(f"{self._what}: " + "; ".join([far, *self._now(2)]))

    def _now(self, most: int) -> list[str]:
        """What is at work, in words."""
        at_work = [one.describe() for one in self._works.values() if one.at_work]
        more = [f"{len(at_work) - most} more"] if len(at_work) > most else []
        return [*at_work[:most], *more]

    def _look(self) -> float | None:
        """See what is done, and return the seconds that are left; None where nothing tells."""
        now, timed = self._clock(), self._timed()
        paces = partial(pace, timed)
        whole = done = 0.0
        longest: dict[str, float] = {}
        unknown = False
        for key, work in self._works.items():
            before = max((longest.get(need, 0.0) for need in work.step.needs), default=0.0)
            longest[key] = before
            for part, share in work.shares(now, paces):
                seconds = paces(part) * part.cost
                whole, done = whole + seconds, done + share * seconds
                longest[key] += (1 - share) * seconds
                unknown |= part.of_model and share < 1
        self._share = max(self._share, min(done / whole, 1.0))
        if unknown and timed[MODEL][1] < self.TELLING:
            return None
        # A chain's generations wait for each other, however many workers there are.
        return max((whole - done) / self._workers, *longest.values())

    def _timed(self) -> Timed:
        """What was timed so far, by kind and in all."""
        timed: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for work in self._works.values():
            for part, cost, seconds in work.timed():
                for name in (part.kind, MODEL if part.of_model else OTHER):
                    timed[name] = (timed[name][0] + cost, timed[name][1] + seconds)
        return timed
