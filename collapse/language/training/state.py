"""States of a training on disk, from which a killed run goes on to the same bits.

A state holds weights, optimizers, gradient scaler and the number of steps done. It holds no random
state: the order of the data and the masks of dropout are drawn from (seed, step), so that there is
nothing to replay.
"""

import hashlib
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from collapse.errors import StoreError
from collapse.language.training.recipe import TrainingRecipe

KEPT_STATES = 2
# What torch.load raises on a file that was cut short or overwritten.
_DAMAGED = (
    EOFError,
    RuntimeError,
    ValueError,
    KeyError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def training_identity(
    model: nn.Module, recipe: TrainingRecipe, stream_N: np.ndarray, seed: int
) -> str:
    """A name for one training from its start: only a state that bears it may be resumed from.

    SHA-256 over recipe, seed, text and the initial weights.
    """
    digest = hashlib.sha256(repr((sorted(asdict(recipe).items()), seed)).encode())
    digest.update(np.ascontiguousarray(stream_N).data)
    for name, parameter in model.named_parameters():
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        digest.update(parameter.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def save_state(folder: Path, step: int, identity: str, parts: Mapping[str, Any]) -> None:
    """Write a state whole or not at all, and drop all but the newest two.

    Args:
        folder: where states lie; made if missing.
        step: steps done.
        identity: of :func:`training_identity`.
        parts: what goes into the state: tensors, numbers, text and containers of them.

    Raises:
        StoreError: the folder cannot be written.
    """
    final = folder / f"step-{step:09d}.pt"
    partial = folder / f"step-{step:09d}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            torch.save({"step": step, "identity": identity, **parts}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, final)
        for old in sorted(folder.glob("step-*.pt"))[:-KEPT_STATES]:
            old.unlink()
    except OSError as error:
        raise StoreError(f"cannot save the training state in {folder}: {error}") from error


def load_newest_state(folder: Path, identity: str) -> dict[str, Any] | None:
    """The newest state in a folder that can be read whole, on the CPU; None where there is none.

    Raises:
        StoreError: the state belongs to another training.
    """
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except _DAMAGED:
            continue
        if state["identity"] != identity:
            raise StoreError(
                f"{path} is the state of a training with another start, text, recipe or seed: "
                "name another folder, or remove this one"
            )
        return state
    return None
