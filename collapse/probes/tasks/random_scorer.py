"""What chance reaches: in theory, and drawn once on the same items."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np

from collapse.language.story_tasks import story_items
from collapse.language.task_fields import answer_count
from collapse.language.task_rows import EMBEDDED_ITEMS, TaskItems
from collapse.probes.tasks.squad import answer_scores

LAMBADA_FLOOR = 0.001
"""R3.4's for the public set; of embedded items the words that end them are few, and counted."""
LONGEST_SPAN = 3
"""Words of a random answer, at most."""


def floor(items: TaskItems) -> float:
    """The share of items that a uniform guess gets right.

    One over the number of answers, the mean over the items; of last words one over the different
    ones there are (of the public set R3.4's 0.1 %); of spans of a text nothing.
    """
    if items.task == "squad":
        return 0.0
    if items.task == "lambada":
        return 1 / len(_last_words(items)) if items.is_embedded else LAMBADA_FLOOR
    return fmean(1 / answer_count(items.task, row) for row in items.rows)


def random_scores(items: TaskItems, generator: np.random.Generator) -> dict[str, float]:
    """What a scorer without a model reaches that guesses each item once.

    It takes an answer at random, of last words one of those that end an item, and of a text one
    to `LONGEST_SPAN` words in a row.

    Args:
        items: what is asked.
        generator: guesses.

    Returns:
        ``acc``; of SQuAD ``em``, ``f1`` and ``pm``. Means over the items.
    """
    if items.task == "squad":
        found = [_random_span(row, generator) for row in items.rows]
        return {name: fmean(one[name] for one in found) for name in found[0]}
    if items.task == "lambada":
        words = _last_words(items)
        right = [words[generator.integers(len(words))] == _last(row) for row in items.rows]
    else:
        # Uniform over answers: which of them is the right one makes no difference.
        counts = [answer_count(items.task, row) for row in items.rows]
        right = [int(generator.integers(count)) == 0 for count in counts]
    return {"acc": fmean(right)}


def _random_span(row: dict[str, Any], generator: np.random.Generator) -> dict[str, float]:
    words = row["context"].split()
    length = int(generator.integers(1, min(LONGEST_SPAN, len(words)) + 1))
    begin = int(generator.integers(len(words) - length + 1))
    return answer_scores(" ".join(words[begin : begin + length]), row["answers"]["text"])


def _last_words(items: TaskItems) -> list[str]:
    """What ends an item: of embedded ones in the whole set, however few of them are asked."""
    rows: Sequence[dict[str, Any]] = items.rows
    if items.is_embedded:
        whole = max(EMBEDDED_ITEMS, len(items.rows))
        rows = story_items(items.task, "test", whole, items.seed, items.source)
    return sorted({_last(row) for row in rows})


def _last(row: dict[str, Any]) -> str:
    return str(row["text"]).rpartition(" ")[2]
