"""What a stage made before it was handed over: a store that fails then costs no second run."""

import json
from dataclasses import asdict
from pathlib import Path

from collapse.stages.workspace import DatasetNote

FILE = "made.json"


def keep_made(folder: Path, notes: list[DatasetNote]) -> None:
    """Write down, beside a step's artifacts, that they are whole."""
    new = folder / f"{FILE}.new"
    new.write_text(json.dumps([asdict(note) for note in notes]))
    new.replace(folder / FILE)


def made_before(folder: Path) -> list[DatasetNote] | None:
    """The notes of artifacts that an earlier call made and could not hand over; None of none."""
    path = folder / FILE
    if not path.is_file():
        return None
    return [DatasetNote(**note) for note in json.loads(path.read_text())]
