"""How much memory there is for what a stage may keep."""

import torch

from collapse.probes.curvature.memory import free_bytes

GIB = 2**30


def basis_room(device: torch.device, vectors: int, length: int, memory_gib: float) -> int | None:
    """Bytes of the machine's memory that a Lanczos basis may take.

    Args:
        device: where products are made.
        vectors: the basis's, float32.
        length: entries of one.
        memory_gib: what may be taken; 0 for half of what is free.

    Returns:
        None where a GPU has room for all of it; a basis above the bytes goes to a file.
    """
    given = round(memory_gib * GIB)
    if device.type == "cuda" and vectors * length * 4 <= (given or free_bytes(device) // 2):
        return None
    return given or free_bytes(torch.device("cpu")) // 2
