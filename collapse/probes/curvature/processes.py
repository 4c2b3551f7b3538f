"""Several processes on one operator (torchrun): whose microbatch is whose, and sums over all."""

import torch
from torch import distributed


def place() -> tuple[int, int]:
    """The number of this process, and how many there are; 0 of 1 alone."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def own_indices(count: int) -> range:
    """The microbatches of this process, in turn with the others; alone, all of them."""
    rank, size = place()
    return range(rank, count, size)


def summed(tensor: torch.Tensor) -> torch.Tensor:
    """The sum over all processes, the same in each; in place."""
    if place()[1] > 1:
        distributed.all_reduce(tensor)
    return tensor
