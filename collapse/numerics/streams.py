"""Random streams derived from a seed by name, so that no draw depends on the order of others."""

import hashlib

import numpy as np
import torch


def stream_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream with this name.

    Args:
        seed: the study's or the chain's seed.
        *names: what the stream is for, such as ``"sampling", generation``.

    Returns:
        A non-negative integer below 2**63, the same on every machine and in every process.
    """
    text = "\x1f".join([str(seed), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_stream(seed: int, *names: str | int) -> np.random.Generator:
    """The NumPy generator of the stream with this name."""
    return np.random.default_rng(stream_seed(seed, *names))


def torch_stream(
    seed: int, *names: str | int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """The torch generator of the stream with this name, on the device that will draw from it."""
    return torch.Generator(device=device).manual_seed(stream_seed(seed, *names))
