"""The share of training time that looks may take."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass
class Allowance:
    """What one kind of look has taken, and may take.

    Attributes:
        share: of the time spent on training itself, in (0, ...); what is aimed at.
        spent_s: seconds that all its looks took.
        last_s: seconds that the last one took; None before the first.
    """

    share: float
    spent_s: float = 0.0
    last_s: float | None = None

    def affords(self, training_s: float) -> bool:
        """Whether one more look as long as the last leaves the share kept.

        What the first look costs is not known: it is taken, and paid for before the second. A look
        that takes longer than the last one did is paid for afterwards, too.
        """
        return self.last_s is None or self.spent_s + self.last_s <= self.share * training_s

    def pay(self, seconds: float) -> None:
        """Take note of a look."""
        self.spent_s += seconds
        self.last_s = seconds

    def pay_more(self, seconds: float) -> None:
        """Take note of what came on top of the last look."""
        self.spent_s += seconds
        self.last_s = (self.last_s or 0.0) + seconds


class Budget:
    """Training's time, and what looks may take of it.

    Attributes:
        allowances: one a kind of look, the cheapest first.
        clock: seconds; only its differences count.

    Args:
        shares: of the allowances.
        clock: as above.
    """

    def __init__(self, shares: Sequence[float], clock: Callable[[], float]) -> None:
        self.allowances = [Allowance(share) for share in shares]
        self.clock, self._began_s = clock, math.nan

    @property
    def has_begun(self) -> bool:
        """Whether training has."""
        return not math.isnan(self._began_s)

    def begin(self, training_s: float = 0.0) -> None:
        """Training begins now, or goes on after so many seconds beside what was spent on looks."""
        self._began_s = self.clock() - training_s - self.spent_s

    @property
    def spent_s(self) -> float:
        """Seconds that all looks took."""
        return math.fsum(one.spent_s for one in self.allowances)

    @property
    def training_s(self) -> float:
        """Seconds since training began that were not spent on looks; nan before."""
        return self.clock() - self._began_s - self.spent_s

    @property
    def share(self) -> float:
        """Seconds of looks for each second of training so far; nan before the first step."""
        training_s = self.training_s
        return self.spent_s / training_s if training_s > 0 else math.nan
