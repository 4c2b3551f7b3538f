"""Timing of several ways to do one thing, in turn, so that a busy machine is busy for all."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes, what it left to a GPU included."""
    _wait()
    begin = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - begin


def medians(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, after one call that does not count; each round begins elsewhere."""
    names = list(contenders)
    for name in names:
        contenders[name]()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        at = number % len(names)
        for name in names[at:] + names[:at]:
            taken[name].append(seconds_of(contenders[name]))
    return {name: statistics.median(times) for name, times in taken.items()}


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
