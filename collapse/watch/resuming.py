"""What a Trainer's checkpoint keeps of a watch, so that a resumed run is watched as one run.

It is kept in ``TrainerState.stateful_callbacks``, which is written with every checkpoint, under a
name of its own: transformers would make a callback that exports its state anew, and the watch that
a user holds would then not be the one that looks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collapse.watch.allowance import Budget
from collapse.watch.record import Record


@dataclass(frozen=True)
class Kept:
    """What is needed to go on.

    Attributes:
        looks: step and values of each look, as measured, values that are not finite included: the
            evidence follows from them.
        training_s: seconds of training so far; nan before the first step.
        spent_s: seconds of each kind of look.
        last_s: of the last look of each kind; None before the first.
    """

    looks: Sequence[tuple[int, dict[str, float]]]
    training_s: float
    spent_s: Sequence[float]
    last_s: Sequence[float | None]

    @classmethod
    def of(cls, record: Record, budget: Budget) -> "Kept":
        """What is to be kept by now."""
        spent_s = [one.spent_s for one in budget.allowances]
        last_s = [one.last_s for one in budget.allowances]
        return cls(record.seen, budget.training_s, spent_s, last_s)

    def put(self, states: dict[str, Any], watch: str) -> None:
        """Leave it to the next checkpoint, under what tells a Trainer's watches from each other."""
        states[_name(watch)] = vars(self)

    @classmethod
    def found(cls, states: Mapping[str, Any], watch: str) -> "Kept | None":
        """What the checkpoint has of this watch; None where nothing is there."""
        kept = states.get(_name(watch))
        return None if kept is None else cls(**kept)

    def give_back(self, record: Record, budget: Budget) -> None:
        """Judge the looks again, in their order; what they have taken, they have taken.

        Args:
            record: a new one.
            budget: that of the watch which goes on.
        """
        for step, values in self.looks:
            record.add(step, values)
        for one, spent_s, last_s in zip(budget.allowances, self.spent_s, self.last_s, strict=True):
            one.spent_s, one.last_s = spent_s, last_s
        budget.begin(self.training_s)


def _name(watch: str) -> str:
    return f"collapse.EarlyWarning {watch}"
