"""How a door ends when what lies below it fails."""

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from collapse.execution.door import INTERRUPTED, run_door
from tests.conftest import environment

FULL = (
    "(raised as a result of Query-invoked autoflush)\n"
    "(sqlite3.OperationalError) database or disk is full\n[SQL: UPDATE runs]"
)


@pytest.fixture(autouse=True)
def no_words(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "argv", ["prepare"])
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def failing(error: BaseException) -> Callable[..., str | None]:
    def action(_study: object, _given: object) -> str | None:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MlflowException(FULL), "(sqlite3.OperationalError) database or disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system"),
    ],
)
def test_a_store_that_fails_is_one_line(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_door("prepare", failing(error)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the store or its disk failed (")
    assert told in line
    assert line.endswith("the same command goes on from what was finished")


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        run_door("prepare", failing(FileNotFoundError("a table that we should have made")))


def test_an_interrupt_is_told_and_has_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_door("prepare", failing(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr().err.startswith("interrupted: ")


def test_help_may_be_cut_off() -> None:
    command = f"{sys.executable} -m entrypoints.baseline --help | true"
    ended = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ended.stderr == ""
    assert ended.returncode in {0, 128 + signal.SIGPIPE}
