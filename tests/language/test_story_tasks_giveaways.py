"""Who does not read the context stays at the floor: words, short windows and overlaps tell nothing.

In the tasks with choices the right answers must not be found by what is likely in the stories as
such, by the two words before the answer, or by counting the words it shares with the context.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

from collapse.language.corpora.stories import world
from collapse.language.story_tasks import TASKS
from tests.language.story_items_read import CHOICES, COUNT, RECALLED, Read, reads

STORIES = world("stories")

TOKEN = re.compile(r"[A-Za-z']+|[^\sA-Za-z]")
Scorer = Callable[[str, str], float]


def tokens(text: str) -> list[str]:
    return TOKEN.findall(text)


@cache
def counts() -> Counter[tuple[str, ...]]:
    """How often the stories say each one, two and three tokens in a row."""
    found = Counter[tuple[str, ...]]()
    for text in STORIES.sample(6000, np.random.default_rng(1)):
        said = ["^", "^", *tokens(text), "$"]
        for size in (1, 2, 3):
            found.update(zip(*(said[start:] for start in range(size)), strict=False))
    return found


@cache
def total() -> int:
    return sum(count for gram, count in counts().items() if len(gram) == 1)


def trigram(before: Sequence[str], word: str) -> float:
    """Log-probability by stupid backoff (Brants et al. 2007)."""
    for size in range(min(2, len(before)), 0, -1):
        window = tuple(before[-size:])
        if seen := counts()[*window, word]:
            return math.log(seen / counts()[window]) + (2 - size) * math.log(0.4)
    return math.log((counts()[(word,)] + 0.1) / total()) + 2 * math.log(0.4)


def by_window(context: str, answer: str) -> float:
    said, before = tokens(answer), tokens(context)
    return sum(trigram([*before, *said[:at]], word) for at, word in enumerate(said))


def by_window_per_token(context: str, answer: str) -> float:
    return by_window(context, answer) / len(tokens(answer))


def by_answer(context: str, answer: str) -> float:
    return by_window("", answer)


def by_words(context: str, answer: str) -> float:
    return sum(trigram([], word) for word in tokens(context + " " + answer))


def by_common_words(context: str, answer: str) -> float:
    return float(np.mean([trigram([], word) for word in tokens(answer)]))


def by_shared_words(context: str, answer: str) -> float:
    return len(bag(context) & bag(answer))


def by_share_of_words(context: str, answer: str) -> float:
    return by_shared_words(context, answer) / len(bag(answer))


def by_shortness(context: str, answer: str) -> float:
    return -len(answer)


def bag(text: str) -> set[str]:
    return {token.lower() for token in tokens(text) if token[0].isalpha()}


def accuracy(scorer: Scorer, items: Sequence[Read]) -> float:
    """Share of right choices; where several have the best score, the chance to hit the right."""
    hits = 0.0
    for item in items:
        scores = [round(scorer(item.context, answer), 9) for answer in item.answers]
        best = [place for place, score in enumerate(scores) if score == max(scores)]
        hits += (item.right in best) / len(best)
    return hits / len(items)


@pytest.mark.parametrize("task", CHOICES)
@pytest.mark.parametrize(
    "scorer",
    [
        *(by_window, by_window_per_token, by_answer, by_words, by_common_words),
        *(by_shared_words, by_share_of_words, by_shortness),
    ],
)
def test_scorers_without_a_memory_stay_at_the_floor(task: str, scorer: Scorer) -> None:
    floor = 1 / CHOICES[task]
    error = math.sqrt(floor * (1 - floor) / COUNT)
    assert abs(accuracy(scorer, reads(task)) - floor) < 3 * error


@pytest.mark.parametrize("task", CHOICES)
def test_who_sees_only_the_answers_is_right_exactly_by_chance(task: str) -> None:
    for scorer in (by_answer, by_shortness, by_common_words):
        assert accuracy(scorer, reads(task)) == pytest.approx(1 / CHOICES[task])


def test_the_scorers_can_find_what_is_given_away() -> None:
    given = [Read("Lily lost her", ("ball .", "ball ball ball", "house of the"), 0)]
    assert accuracy(by_window, given) == 1
    assert accuracy(by_shared_words, [Read("the dog ran", ("the cat", "the dog"), 1)]) == 1


@pytest.mark.parametrize("task", RECALLED)
def test_the_last_words_do_not_tell_the_next(task: str) -> None:
    followers: dict[tuple[str, ...], Counter[str]] = {}
    for gram, count in counts().items():
        if len(gram) == 3:
            followers.setdefault(gram[:2], Counter())[gram[2]] += count
    guesses = [
        followers.get(tuple(tokens(item.context)[-2:]), Counter("?")).most_common(1)[0][0]
        for item in reads(task)
    ]
    right = [
        guess == tokens(item.answers[0])[0]
        for guess, item in zip(guesses, reads(task), strict=True)
    ]
    assert sum(right) <= 1  # within three standard errors of one in a thousand


@pytest.mark.parametrize("task", RECALLED)
def test_the_commonest_word_of_a_passage_is_not_the_next(task: str) -> None:
    right = 0
    for item in reads(task):
        words = Counter(token for token in tokens(item.context) if token[0].isalpha())
        right += words.most_common(1)[0][0] == item.answers[0]
    assert right < 0.05 * COUNT


def test_every_task_is_either_chosen_or_recalled() -> None:
    assert {*CHOICES, *RECALLED} == set(TASKS)
