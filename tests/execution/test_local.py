"""The local crew, when one of its workers dies."""

from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from collapse.errors import StoreError
from collapse.execution.local import LocalCrew


def test_a_killed_worker_is_not_blamed_on_the_step_that_began_first() -> None:
    """The pool fails every task at once, whichever worker it was."""
    crew = LocalCrew(1)
    tasks: list[Future[Any]] = [Future(), Future()]
    crew._running = dict(zip(tasks, [(1, "baseline of seed 0"), (2, "hessian g1")], strict=True))
    tasks[0].set_exception(BrokenProcessPool())

    with pytest.raises(StoreError, match="while baseline of seed 0 or hessian g1 ran"):
        list(crew.finished(seconds=5))
    crew.leave()
