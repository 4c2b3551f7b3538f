"""The share of training time that looks may take."""

from dataclasses import dataclass


@dataclass
class Allowance:
    """What one kind of look has taken, and may take.

    Attributes:
        share: of the time spent on training itself, in (0, ...).
        spent_s: seconds that all its looks took.
        last_s: seconds that the last one took; None before the first.
    """

    share: float
    spent_s: float = 0.0
    last_s: float | None = None

    def affords(self, training_s: float) -> bool:
        """Whether one more look as long as the last leaves the share kept.

        What the first look costs is not known: it is taken, and paid for before the second.
        """
        return self.last_s is None or self.spent_s + self.last_s <= self.share * training_s

    def pay(self, seconds: float) -> None:
        """Take note of a look."""
        self.spent_s += seconds
        self.last_s = seconds
