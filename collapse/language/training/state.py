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
from collapse.language.training.teacher import Teacher

KEPT_STATES = 2
# Fields of a recipe that say when to look and to save, and change no weight.
_OF_NO_CONSEQUENCE = {"checkpoint_every", "evaluate_every"}
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
    model: nn.Module,
    recipe: TrainingRecipe,
    stream_N: np.ndarray,
    seed: int,
    teacher: Teacher | None = None,
) -> str:
    """A name for one training from its start: only a state that bears it may be resumed from.

    SHA-256 over recipe, seed, text, the initial weights and the teacher's. How often the recipe
    validates and saves is left out, so that a killed run may go on with other intervals.
    """
    fields = asdict(recipe).items()
    decisive = sorted((name, value) for name, value in fields if name not in _OF_NO_CONSEQUENCE)
    digest = hashlib.sha256(repr((decisive, seed)).encode())
    digest.update(np.ascontiguousarray(stream_N).data)
    if teacher is not None:
        digest.update(teacher.identity().encode())
    for name, parameter in model.named_parameters():
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        digest.update(parameter.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def save_state(folder: Path, step: int, identity: str, parts: Mapping[str, Any]) -> None:
    """Write a state whole or not at all, and keep of the others only the newest before it.

    A later one that lies there was not resumed from: it is damaged or another training's.

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
        states = sorted(folder.glob("step-*.pt"))
        upto = states.index(final) + 1
        for dropped in (*states[: max(0, upto - KEPT_STATES)], *states[upto:]):
            dropped.unlink()
    except OSError as error:
        raise StoreError(f"cannot save the training state in {folder}: {error}") from error


def load_newest_state(folder: Path, identity: str) -> dict[str, Any] | None:
    """The newest state of this training that can be read whole, on the CPU; None without one.

    A folder of states is scratch. Those of another identity, left by a training with another start,
    text, recipe or seed, are passed over as damaged ones are, and dropped by :func:`save_state`.
    """
    for path in sorted(folder.glob("step-*.pt"), reverse=True):
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except _DAMAGED:
            continue
        if state["identity"] == identity:
            return state
    return None
