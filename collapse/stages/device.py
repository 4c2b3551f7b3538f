"""Where a stage computes."""

import os
import platform
from importlib.metadata import version

import torch

from collapse.errors import BadParameter
from collapse.language.precision import bf16_gain, bf16_pays

GPU_VARIABLE = "COLLAPSE_GPU"
"""Which place a worker of the local executor has: GPUs are given out in turn, and shared by more
workers than there are. torchrun says its GPU by LOCAL_RANK."""


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
    if place := os.environ.get(GPU_VARIABLE):
        return torch.device("cuda", int(place) % torch.cuda.device_count())
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def chosen_precision(asked: str, device: str) -> str:
    """The precision that a training has: as asked, and for ``auto`` the one that is faster.

    Args:
        asked: the parameter ``precision``.
        device: the parameter ``device``.
    """
    if asked != "auto":
        return asked
    return "bf16" if bf16_pays(choose_device(device)) else "float32"


def precision_note(asked: str, device: str) -> str | None:
    """What a person should know of a precision before training starts, or None.

    Args:
        asked: the parameter ``precision``.
        device: the parameter ``device``.
    """
    where = choose_device(device)
    if asked not in {"bf16", "auto"} or (asked == "bf16" and bf16_pays(where)):
        return None
    if where.type == "cuda":
        measured = "this GPU multiplies bfloat16 " + ("itself" if bf16_pays(where) else "slowly")
    else:
        gain = bf16_gain(where)
        factor = f"{gain:.1f} times as fast" if gain > 1 else f"{1 / gain:.1f} times slower"
        measured = f"bfloat16 products are {factor} here"
    if asked == "auto":
        return f"precision=auto is {chosen_precision(asked, device)}: {measured}"
    return f"precision=bf16 will be slow: {measured}; precision=auto would take float32"


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
