"""Looks, and files of those of healthy runs.

A file is JSON: what was measured on (a hash of the batch's tokens, the seed, the indicators), and
the looks of one or more runs. Runs are compared only where all that is the same.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.errors import BadParameter

FORMAT = "collapse early warning 1"


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
    """

    batch: str
    seed: int
    indicators: tuple[str, ...]

    @classmethod
    def of(cls, input_ids_BxT: torch.Tensor, seed: int, indicators: Sequence[str]) -> "Setting":
        """The setting of a watch."""
        text = json.dumps(input_ids_BxT.tolist())
        return cls(hashlib.sha256(text.encode()).hexdigest(), seed, tuple(indicators))


def read_runs(path: Path, wanted: Setting) -> tuple[Run, ...]:
    """The healthy runs of a file.

    Raises:
        BadParameter: the file is missing, malformed, empty, or was measured on something else.
    """
    try:
        content = json.loads(path.read_text())
        setting = Setting(
            **content["setting"] | {"indicators": tuple(content["setting"]["indicators"])}
        )
        runs = tuple(_run(looks) for looks in content["runs"])
        known = content["format"] == FORMAT
    except OSError as error:
        raise BadParameter(f"calibration {path}: {error.strerror}; write one by save()") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadParameter(f"calibration {path}: not a file that save() has written") from None
    if not known or not runs:
        raise BadParameter(f"calibration {path}: no healthy run of format {FORMAT!r} in it")
    for name, ours in asdict(wanted).items():
        if getattr(setting, name) != ours:
            raise BadParameter(
                f"calibration {path}: it was measured with another {name}; healthy runs and the "
                f"watched one need the same"
            )
    return runs


def add_run(path: Path, setting: Setting, run: Run) -> None:
    """Add a run to a file of the same setting, which is made where there is none.

    Raises:
        BadParameter: nothing was seen, a value is not finite, or the file is of another setting.
    """
    if not run:
        raise BadParameter(f"nothing to save in {path}: no look was taken yet")
    if not all(math.isfinite(value) for look in run for value in look.values.values()):
        raise BadParameter(
            f"nothing saved in {path}: a value is not finite, the run is not healthy"
        )
    runs = [*(read_runs(path, setting) if path.exists() else ()), run]
    content = {
        "format": FORMAT,
        "setting": asdict(setting),
        "runs": [[{"step": look.step} | look.values for look in one] for one in runs],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(content, indent=1))
    new.replace(path)


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
