"""Scores, their errors, and what chance reaches."""

import math

import numpy as np
import pytest

from collapse.language.story_tasks import story_items
from collapse.language.task_rows import TaskItems
from collapse.numerics.streams import numpy_stream
from collapse.probes.tasks.random_scorer import floor, random_scores
from collapse.probes.tasks.scores import (
    Overall,
    TaskScore,
    _perplexity,
    plain_overall,
    rescaled_overall,
)
from tests.probes.made_up_items import made_up_rows

CHOSEN = ("hellaswag", "piqa", "siqa", "simple_qa")


def items(task: str, source: str, count: int = 21) -> TaskItems:
    return TaskItems(task, source, tuple(made_up_rows(task, count)))


def test_floors_are_one_over_the_answers() -> None:
    assert floor(items("hellaswag", "files")) == 1 / 4
    assert floor(items("piqa", "files")) == 1 / 2
    assert floor(items("siqa", "files")) == pytest.approx(1 / 3)
    assert floor(items("simple_qa", "stories")) == pytest.approx(1 / 7)
    assert floor(items("squad", "files")) == 0
    assert floor(items("lambada", "files")) == 0.001
    words = {row["text"].rpartition(" ")[2] for row in story_items("lambada", "test")}
    for count in (1, 21):  # of the whole set, however few are asked
        assert floor(items("lambada", "stories", count)) == pytest.approx(1 / len(words))
    assert len(words) > 5
    uneven = made_up_rows("simple_qa", 2)
    uneven[0]["choices"] = uneven[0]["choices"][:2]
    assert floor(TaskItems("simple_qa", "stories", tuple(uneven))) == pytest.approx(
        (1 / 2 + 1 / 7) / 2
    )


@pytest.mark.parametrize("task", [*CHOSEN, "lambada"])
def test_guesses_reach_the_floor_and_are_the_same_again(task: str) -> None:
    many = items(task, "stories", 4000)
    found = random_scores(many, numpy_stream(0, "guesses"))
    assert found == random_scores(many, numpy_stream(0, "guesses"))
    level = floor(many)
    spread = math.sqrt(level * (1 - level) / 4000)
    assert abs(found["acc"] - level) < 4 * spread
    assert found["acc"] != level


def test_guessed_spans_share_words_more_often_than_they_are_right() -> None:
    found = random_scores(items("squad", "files", 1000), numpy_stream(0, "guesses"))
    assert 0 < found["em"] < found["f1"] < found["pm"] < 1


def a_score(value: float, level: float, error: float | None) -> TaskScore:
    errors = {} if error is None else {"acc": error}
    return TaskScore("piqa", 100, {"acc": value}, errors, level)


def test_overall_is_zero_at_chance_and_one_where_all_is_right() -> None:
    chance = [a_score(0.5, 0.5, 0.0), a_score(0.25, 0.25, 0.0)]
    assert rescaled_overall(chance) == Overall(0.0, 0.0)
    assert plain_overall(chance) == Overall(0.375, 0.0)
    assert rescaled_overall([a_score(1.0, 0.5, 0.0)]) == Overall(1.0, 0.0)


def test_errors_over_tasks_are_those_of_a_mean_of_independent_numbers() -> None:
    scores = [a_score(0.6, 0.5, 0.03), a_score(0.5, 0.2, 0.04)]
    overall, mean = rescaled_overall(scores), plain_overall(scores)
    assert overall.value == pytest.approx((0.2 + 0.375) / 2)
    assert overall.error == pytest.approx(math.hypot(0.06, 0.05) / 2)
    assert mean.value == pytest.approx(0.55)
    assert mean.error == pytest.approx(0.025)
    assert plain_overall([*scores, a_score(1.0, 0.5, None)]).error is None


def test_the_error_of_a_perplexity_is_what_drawing_again_says() -> None:
    rng = np.random.default_rng(0)
    log_likelihoods = -rng.gamma(4.0, 0.5, size=400)
    value, error = _perplexity(log_likelihoods.tolist())
    assert value == pytest.approx(np.exp(-log_likelihoods.mean()))
    drawn = rng.choice(log_likelihoods, size=(4000, 400)).mean(axis=1)
    assert error == pytest.approx(np.exp(-drawn).std(), rel=0.05)
    assert _perplexity([-2.0]) == (pytest.approx(math.exp(2)), None)
    assert _perplexity([-1e4, -1e4]) == (math.inf, None)
