"""Scores of tasks with their errors, and one number over all of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from collapse.probes.tasks.random_scorer import floor, random_scores

if TYPE_CHECKING:
    from collapse.probes.tasks.harness import TaskOutcome

HEADLINES = ("acc", "em")
"""The metric by which a task counts: exact match where there is no accuracy."""


@dataclass(frozen=True)
class TaskScore:
    """How well a model did a task.

    Attributes:
        task: its name.
        items: how many were scored.
        values: by metric: ``acc`` (and ``acc_norm``, by the length of the answers), or ``em``,
            ``f1`` and ``pm``; ``perplexity`` of the last word.
        errors: standard error of each value that has one: two items at least.
        floor: share that a uniform guess gets right.
        random: what one uniform guess an item got right.
    """

    task: str
    items: int
    values: dict[str, float]
    errors: dict[str, float]
    floor: float
    random: dict[str, float] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """The metric by which the task counts."""
        return next(name for name in HEADLINES if name in self.values)

    @property
    def value(self) -> float:
        """The headline's value."""
        return self.values[self.headline]

    @property
    def error(self) -> float | None:
        """The headline's standard error."""
        return self.errors.get(self.headline)


@dataclass(frozen=True)
class Overall:
    """One number over several tasks, with its standard error; None where a task has none."""

    value: float
    error: float | None


def score_task(outcome: "TaskOutcome", generator: np.random.Generator) -> TaskScore:
    """Means over the items with their standard errors, as lm-eval takes them.

    Args:
        outcome: what a model made of the task.
        generator: guesses for the random scorer.
    """
    values, errors = {}, {}
    for name in outcome.metrics:
        one = [float(sample[name]) for sample in outcome.samples]
        value, error = _perplexity(one) if name == "perplexity" else _mean(one)
        values[name] = value
        if error is not None:
            errors[name] = error
    values = {name: value for name, value in values.items() if math.isfinite(value)}
    items = outcome.items
    return TaskScore(
        task=items.task,
        items=len(outcome.samples),
        values=values,
        errors={name: error for name, error in errors.items() if math.isfinite(error)},
        floor=floor(items),
        random=random_scores(items, generator),
    )


def rescaled_overall(scores: Sequence[TaskScore]) -> Overall:
    """The mean over tasks of ``(value - floor) / (1 - floor)``: 0 is chance, 1 is all right.

    Its error is that of a mean of independent numbers: each task's, over the tasks.
    """
    return _combined(
        [(one.value - one.floor) / (1 - one.floor) for one in scores],
        [None if one.error is None else one.error / (1 - one.floor) for one in scores],
    )


def plain_overall(scores: Sequence[TaskScore]) -> Overall:
    """The mean of the headlines."""
    return _combined([one.value for one in scores], [one.error for one in scores])


def _combined(values: Sequence[float], errors: Sequence[float | None]) -> Overall:
    known = [error for error in errors if error is not None]
    error = math.hypot(*known) / len(values) if len(known) == len(values) else None
    return Overall(fmean(values), error)


def _mean(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean, and the sample's standard deviation over the root of its size."""
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return mean, None
    # Added up in the order that lm-eval adds in, so that the last digit is the same.
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, math.sqrt(variance) / math.sqrt(count)


def _perplexity(log_likelihoods: Sequence[float]) -> tuple[float, float | None]:
    """``exp`` of the negative mean, and its error to first order: the mean's, times the value."""
    mean, error = _mean(log_likelihoods)
    try:
        value = math.exp(-mean)
    except OverflowError:
        return math.inf, None
    return value, None if error is None else value * error
