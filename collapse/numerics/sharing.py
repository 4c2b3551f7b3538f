"""Several processes on one computation (torchrun): whose part is whose, and the parts put together.

Where processes came together, every function that shares its work is called by all of them, with
the same arguments, and gives all of them the same. Alone nothing happens.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import distributed

T = TypeVar("T")
R = TypeVar("R")
_ALONE = ContextVar("alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Share nothing inside: for what not all processes do, or not at the same time."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


def place() -> tuple[int, int]:
    """The number of this process, and how many there are; 0 of 1 alone."""
    together = distributed.is_available() and distributed.is_initialized() and not _ALONE.get()
    return (distributed.get_rank(), distributed.get_world_size()) if together else (0, 1)


def own_indices(count: int) -> range:
    """What is this process's own of so many items, in turn with the others; alone, all of them."""
    rank, size = place()
    return range(rank, count, size)


def summed(tensor: torch.Tensor) -> torch.Tensor:
    """The sum over all processes, the same in each; in place."""
    if place()[1] > 1:
        distributed.all_reduce(tensor)
    return tensor


def shared(items: Sequence[T], work: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
    """Results of all items, in their order, of which each process works on its own.

    Args:
        items: the same in all processes.
        work: gives one result an item, which can be pickled; may be given no items.
    """
    rank, size = place()
    if size == 1:
        return list(work(items))
    parts: list[Any] = [None] * size
    distributed.all_gather_object(parts, work(items[rank::size]))
    results: list[Any] = [None] * len(items)
    for number, part in enumerate(parts):
        results[number::size] = part
    return results
