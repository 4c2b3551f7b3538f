"""The local crew, while its workers are at work, and when one of them dies."""

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from collapse.errors import StoreError
from collapse.execution.local import LocalCrew
from tests.execution.crew_at_work import told_by


def test_a_killed_worker_is_not_blamed_on_the_step_that_began_first() -> None:
    """The pool fails every task at once, whichever worker it was."""
    crew = LocalCrew(1)
    tasks: list[Future[Any]] = [Future(), Future()]
    crew._running = dict(zip(tasks, [(1, "baseline of seed 0"), (2, "hessian g1")], strict=True))
    tasks[0].set_exception(BrokenProcessPool())

    with pytest.raises(StoreError, match="while baseline of seed 0 or hessian g1 ran"):
        list(crew.finished(seconds=5))
    crew.leave()


def test_a_worker_tells_how_far_its_stage_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (one,) = told_by(lambda: LocalCrew(1), monkeypatch)
    assert (one.what, one.ended) == ("documents", True)
