"""Measurements that are on their way into the store, in a file that survives a kill."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from mlflow.entities import Metric


@dataclass(frozen=True)
class Letter:
    """A measurement and when it was made.

    Attributes:
        step: its step.
        timestamp: milliseconds since 1970.
        values: by name.
    """

    step: int
    timestamp: int
    values: dict[str, float]

    def metrics(self) -> Iterator[Metric]:
        """The same as MLflow has it."""
        for name, value in self.values.items():
            yield Metric(name, value, self.timestamp, self.step)


class Outbox:
    """All measurements of a step, whichever processes and runs they were made in.

    Attributes:
        letters: those that earlier processes wrote.
    """

    def __init__(self, path: Path) -> None:
        self.letters: list[Letter] = []
        self._file = path.open("a+b")
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break  # a kill cut it
            whole += len(line)
            with suppress(ValueError, TypeError):  # a disk that was full leaves anything
                self.letters.append(Letter(**json.loads(line)))
        self._file.truncate(whole)

    def write(self, letter: Letter) -> None:
        """Add one; it is the system's from here on, and survives this process."""
        self._file.write(json.dumps(asdict(letter)).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file, which stays."""
        self._file.close()
