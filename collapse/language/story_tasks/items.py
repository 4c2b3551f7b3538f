"""The nine tasks as items in the fields of the public sets."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from itertools import islice
from typing import Any

import numpy as np

from collapse.errors import BadParameter
from collapse.language.corpora.stories.content import PLOTS
from collapse.language.corpora.stories.world import WHOLE, world
from collapse.language.story_tasks import families
from collapse.language.story_tasks.arithmetic import NUMBERS, sums
from collapse.language.story_tasks.contrast import Family, Item, items
from collapse.language.story_tasks.recall import recalls
from collapse.numerics.streams import numpy_stream

SPLITS: Mapping[str, str] = {"test": "test", "dev": "validation"}
"""The splits of the items, and the held-out split of the corpus that their texts belong to."""

StoryItem = dict[str, Any]


def story_items(
    task: str, split: str, count: int = 300, seed: int = 0, stories: str = WHOLE
) -> list[StoryItem]:
    """Items of a task in the language of the stories.

    No item's text can be a part of a story (its first sentence says both when it was and what the
    hero was like; a story says one of them), so no training text drawn from the stories has it.
    Its hash lies in a held-out split all the same, another one for each split of items.

    Args:
        task: one of ``TASKS``.
        split: ``test``, or ``dev`` for examples to show before a question.
        count: how many; the first ones are the same whatever the count.
        seed: of the draws.
        stories: name of the world that they are made of; of some plots there are ``lambada``,
            ``squad`` and ``arithmetic``.

    Returns:
        The items, all different, in the fields of the public set of that name; ``arithmetic``,
        ``sentence_completion``, ``word_association`` and ``simple_qa`` have question, choices and
        label. A question is no question but the beginning of the sentence that answers it, since
        nobody asks in the stories: an answer goes on behind it after a blank.

    Raises:
        BadParameter: no such task or split, or ``count`` is below 1.
    """
    if task not in _MAKERS:
        raise BadParameter(f"task {task!r} is none of {', '.join(_MAKERS)}")
    if split not in SPLITS:
        raise BadParameter(f"split {split!r} is none of {', '.join(SPLITS)}")
    if count < 1:
        raise BadParameter(f"cannot make {count} items; ask for 1 or more")
    return deepcopy(_made(task, split, count, seed, world(stories).plots))


@cache
def _made(
    task: str, split: str, count: int, seed: int, plots: tuple[str, ...] = tuple(PLOTS)
) -> list[StoryItem]:
    rng = numpy_stream(seed, "story_tasks", task, split)
    recall = {"plots": plots} if task in {"lambada", "squad"} else {}
    return list(islice(_MAKERS[task](SPLITS[split], rng, **recall), count))


def _hellaswag(split: str, rng: np.random.Generator) -> Iterator[StoryItem]:
    for item in items(families.HELLASWAG, 4, split, rng):
        before, _, stem = item.context.rpartition(" ")
        yield {
            "activity_label": "Story",
            "ctx_a": before,
            "ctx_b": stem,
            "ctx": item.context,
            "endings": list(item.answers),
            "label": str(item.right),
        }


def _piqa(split: str, rng: np.random.Generator) -> Iterator[StoryItem]:
    for item in items(families.PIQA, 2, split, rng):
        one, two = item.answers
        yield {"goal": item.context, "sol1": one, "sol2": two, "label": item.right}


def _siqa(split: str, rng: np.random.Generator) -> Iterator[StoryItem]:
    for item in items(families.SIQA, 3, split, rng):
        before, _, stem = item.context.rpartition(" ")
        a, b, c = item.answers
        yield {
            "context": before,
            "question": stem,
            "answerA": a,
            "answerB": b,
            "answerC": c,
            "label": str(item.right + 1),
        }


def _lambada(split: str, rng: np.random.Generator, plots: Sequence[str]) -> Iterator[StoryItem]:
    for passage in recalls(split, lambda p: " " not in p.answer, rng, plots):
        yield {"text": f"{passage.context} {passage.stem} {passage.answer}"}


def _squad(split: str, rng: np.random.Generator, plots: Sequence[str]) -> Iterator[StoryItem]:
    spans = recalls(split, lambda p: p.ends and len(p.mentions) == 1, rng, plots)
    for number, passage in enumerate(spans):
        yield {
            "id": f"{split}-{number}",
            "title": "Stories",
            "context": passage.context,
            "question": passage.stem,
            "answers": {"text": [passage.answer], "answer_start": passage.mentions},
        }


def _arithmetic(split: str, rng: np.random.Generator) -> Iterator[StoryItem]:
    for sum_ in sums(split, rng):
        yield {"question": sum_.question, "choices": list(NUMBERS), "label": sum_.total - 1}


def _of_ten(
    from_families: tuple[Family, ...], split: str, rng: np.random.Generator
) -> Iterator[StoryItem]:
    def fields(item: Item) -> StoryItem:
        return {
            "question": item.context,
            "choices": list(item.answers),
            "label": item.right,
        }

    yield from map(fields, items(from_families, 10, split, rng))


_MAKERS: Mapping[str, Callable[..., Iterator[StoryItem]]] = {
    "hellaswag": _hellaswag,
    "piqa": _piqa,
    "siqa": _siqa,
    "lambada": _lambada,
    "arithmetic": _arithmetic,
    "sentence_completion": partial(_of_ten, families.SENTENCE_COMPLETION),
    "word_association": partial(_of_ten, families.WORD_ASSOCIATION),
    "simple_qa": partial(_of_ten, families.SIMPLE_QA),
    "squad": _squad,
}

TASKS = tuple(_MAKERS)
"""The nine tasks, in the order in which they are reported."""
