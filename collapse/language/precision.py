"""Which number type a device multiplies fast: bfloat16 pays on some and stalls others."""

import time
from functools import lru_cache

import torch

# At this size the gain is 0.04 on AVX2 alone, 0.6 where AVX-512 emulates bfloat16, and 1.9 or more
# where it is native.
_SIZE = 128
_PAYS = 1.2
_TYPES = (torch.float32, torch.bfloat16)


def bf16_pays(device: torch.device) -> bool:
    """Whether bfloat16 products are faster than float32 ones on a device."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bf16_gain(device) > _PAYS


@lru_cache(maxsize=8)
def bf16_gain(device: torch.device) -> float:
    """How many times as fast a bfloat16 product is as a float32 one, timed here in milliseconds.

    Timed and not looked up: what a processor has, its libraries may not use. Once a process, on one
    thread, by turns, the fastest of each: other work beside it must not decide.
    """
    matrices = [torch.eye(_SIZE, dtype=one, device=device) for one in _TYPES]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        turns = [[_seconds(matrix) for matrix in matrices] for _ in range(12)]
    finally:
        torch.set_num_threads(threads)
    float32, bfloat16 = (min(times) for times in zip(*turns, strict=True))
    return float32 / bfloat16


def _seconds(matrix: torch.Tensor) -> float:
    started = time.perf_counter()
    (matrix @ matrix)[0, 0].item()  # waits for the device
    return time.perf_counter() - started


def fast_type(device: torch.device) -> torch.dtype:
    """bfloat16 where its products are faster on a device, else float32."""
    return torch.bfloat16 if bf16_pays(device) else torch.float32
