"""What this machine keeps between one process and the next: scratch, and locks."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse.errors import StoreError
from collapse.execution.progress import say


def home() -> Path:
    """Where scratch is kept that survives a kill: COLLAPSE_HOME, or `.collapse` here."""
    return Path(os.environ.get("COLLAPSE_HOME", ".collapse")).absolute()


@contextmanager
def only_one(name: str, waiting: str = "") -> Iterator[None]:
    """Hold a lock of this machine: a second process waits, and then finds what was made.

    The system releases the lock of a process that dies, however it dies.

    Args:
        name: of the lock's file.
        waiting: a line to say before waiting for another process; empty to wait in silence.
    """
    try:
        locks = home() / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        file = (locks / name).open("w")
    except OSError as error:
        raise StoreError(f"{home()} cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
