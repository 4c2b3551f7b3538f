"""Sums from one to twenty, told with things that are found.

The stories count to three and say "ten" now and then, but nothing in them adds. So a model that
has read only stories stays at the floor here, and whatever is above it was learnt elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collapse.language.story_tasks.tales import begun_anew, draw_option, tell_plainly

NUMBERS = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen", "twenty"),
)
_THINGS = ("cookie", "shell", "button", "shoe", "pillow", "block", "apple", "pear", "stone", "ball")


@dataclass(frozen=True)
class Sum:
    """A question, and the sum: the answers on offer are always all of ``NUMBERS``."""

    question: str
    total: int


def sums(split: str, rng: np.random.Generator) -> Iterator[Sum]:
    """Questions without end, all different; each twenty of them have the totals 1 to 20.

    Args:
        split: that the text of question and answer belongs to.
        rng: drawn from.
    """
    used: set[str] = set()
    while True:
        hero = draw_option(rng, "hero")
        for total in (rng.permutation(len(NUMBERS)) + 1).tolist():
            question = None
            while question is None or question in used:
                question = _question(total, hero, split, rng)
            used.add(question)
            yield Sum(question, total)


def _question(total: int, hero: int, split: str, rng: np.random.Generator) -> str | None:
    # Nothing is added only where nothing else makes the total: else a number is copied, not added.
    first = int(rng.integers(1, max(2, total)))
    more = NUMBERS[total - first - 1] if total > first else "no"
    thing = _THINGS[int(rng.integers(len(_THINGS)))] + ("s" if first > 1 else "")
    fields = tell_plainly(rng, {"hero": hero}).fields
    found = f"{fields['hero']} had {NUMBERS[first - 1]} {thing} and found {more} more."
    question = f"{found} Now {fields['he']} had"
    return begun_anew(question, f" {NUMBERS[total - 1]}", hero, split, rng)
