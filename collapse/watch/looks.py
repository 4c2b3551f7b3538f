"""Looks, and files of those of healthy runs.

A file is JSON: what was measured (a hash of the batch's tokens, the seed, the indicators, the sizes
of a look), and the looks of one or more runs. Runs are compared only where all that is the same.
"""

import fcntl
import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.errors import BadParameter
from collapse.watch.indicators import look_sizes

FORMAT = "collapse early warning 2"


@dataclass(frozen=True)
class Look:
    """What was seen at one step.

    Attributes:
        step: optimizer steps made.
        values: by indicator; one that was not measured is missing.
    """

    step: int
    values: dict[str, float]


Run = tuple[Look, ...]


@dataclass(frozen=True)
class Setting:
    """What must be the same for two runs to be compared.

    Attributes:
        batch: SHA-256 of the batch's shape and tokens.
        seed: of continuations and start vectors.
        indicators: their names, in order.
        sizes: of what is measured beside the batch, see `look_sizes`.
    """

    batch: str
    seed: int
    indicators: tuple[str, ...]
    sizes: dict[str, int]

    @property
    def digest(self) -> str:
        """Twelve digits that another setting does not share."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @classmethod
    def of(cls, input_ids_BxT: torch.Tensor, seed: int, indicators: Sequence[str]) -> "Setting":
        """The setting of a watch."""
        text = json.dumps(input_ids_BxT.tolist())
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(digest, seed, tuple(indicators), look_sizes())


def read_runs(path: Path, wanted: Setting) -> tuple[Run, ...]:
    """The healthy runs of a file.

    Raises:
        BadParameter: the file is missing, malformed, empty, or was measured on something else.
    """
    try:
        content = json.loads(path.read_text())
        if content["format"] != FORMAT or not content["runs"]:
            raise BadParameter(f"calibration {path}: no healthy run of format {FORMAT!r} in it")
        found = content["setting"]
        setting = Setting(**found | {"indicators": tuple(found["indicators"])})
        runs = tuple(_run(looks) for looks in content["runs"])
    except OSError as error:
        raise BadParameter(f"calibration {path}: {error.strerror}; write one by save()") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadParameter(f"calibration {path}: not a file that save() has written") from None
    for name, ours in vars(wanted).items():
        if getattr(setting, name) != ours:
            raise BadParameter(
                f"calibration {path}: it was measured with another {name}; healthy runs and the "
                f"watched one need the same"
            )
    return runs


def add_run(path: Path, setting: Setting, run: Run) -> None:
    """Add a run to a file of the same setting, which is made where there is none.

    Several processes may add to one file: each waits for the one before.

    Raises:
        BadParameter: nothing was seen, a value is not finite, the file is of another setting, or
            holds this run already.
    """
    if not run:
        raise BadParameter(f"nothing to save in {path}: no look was taken yet")
    if not all(math.isfinite(value) for look in run for value in look.values.values()):
        raise BadParameter(
            f"nothing saved in {path}: a value is not finite, the run is not healthy"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(path.parent):
        runs = [*(read_runs(path, setting) if path.exists() else ()), run]
        refuse_twins(runs, path)
        content = {
            "format": FORMAT,
            "setting": asdict(setting),
            "runs": [[{"step": look.step} | look.values for look in one] for one in runs],
        }
        new = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
        new.write_text(json.dumps(content, indent=1))
        new.replace(path)


def refuse_twins(runs: Sequence[Run], source: object) -> None:
    """Refuse a run that is there twice, whole or in part: the bound counts runs.

    Args:
        runs: healthy runs.
        source: where they are from, for the message.

    Raises:
        BadParameter: two runs agree to the bit wherever both were looked at, step 0 aside, at which
            runs from the same weights do.
    """
    for one, other in combinations(range(len(runs)), 2):
        if _are_twins(runs[one], runs[other]):
            raise BadParameter(
                f"healthy runs of {source}: number {other + 1} is number {one + 1} again, and the "
                "same run counts once; each needs a seed of its own"
            )


def _are_twins(one: Run, other: Run) -> bool:
    seen = {look.step: look for look in one if look.step}
    shared = [look for look in other if look.step in seen]
    return one == other or (bool(shared) and all(look == seen[look.step] for look in shared))


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process adds to a file of this folder; nothing is left behind."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def common_steps(runs: Sequence[Run]) -> tuple[int, ...]:
    """Steps at which every run was looked at, ascending."""
    every = [{look.step for look in run} for run in runs]
    return tuple(sorted(set.intersection(*every))) if every else ()


def as_array(
    runs: Sequence[Run], steps: Sequence[int], indicators: Sequence[str]
) -> NDArray[np.float64]:
    """Values of runs at these steps, (R, T, K); nan where an indicator was not measured."""
    tables = [{look.step: look.values for look in run} for run in runs]
    return np.array(
        [
            [[table[s].get(name, math.nan) for name in indicators] for s in steps]
            for table in tables
        ],
        dtype=float,
    ).reshape(len(runs), len(steps), len(indicators))


def _run(looks: Sequence[Mapping[str, float]]) -> Run:
    made = [
        Look(int(look["step"]), {k: float(v) for k, v in look.items() if k != "step"})
        for look in looks
    ]
    if not made or not all(math.isfinite(v) for look in made for v in look.values.values()):
        raise ValueError("a run without looks, or with a value that is not finite")
    return tuple(made)
