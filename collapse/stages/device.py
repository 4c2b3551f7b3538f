"""Where a stage computes."""

import os
import platform
from importlib.metadata import version

import torch

from collapse.errors import BadParameter

GPU_VARIABLE = "COLLAPSE_GPU"
"""Which GPU a worker of the local executor has; torchrun says it by LOCAL_RANK."""


def choose_device(asked: str) -> torch.device:
    """The device that a parameter names; each process of several has a GPU of its own.

    Args:
        asked: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        BadParameter: a GPU is asked for and there is none.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise BadParameter("device=cuda, but torch sees no GPU here: use device=cpu or auto")
    if asked == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    number = os.environ.get(GPU_VARIABLE) or os.environ.get("LOCAL_RANK", "0")
    return torch.device("cuda", int(number))


def where_bits_come_from(asked: str) -> str:
    """Kind of device and versions of the libraries that decide the bits of a result."""
    libraries = ("torch", "transformers", "tokenizers", "numpy")
    return " ".join([choose_device(asked).type, *(f"{one} {version(one)}" for one in libraries)])


def device_name(device: torch.device) -> str:
    """What the device is, for the record of a run."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} processor, {os.cpu_count()} cores"


def gpu_count(asked: str) -> int:
    """GPUs that stages may use side by side; 0 where they run on the processor."""
    return torch.cuda.device_count() if choose_device(asked).type == "cuda" else 0
