"""Two processes that want the same: one works, the other waits and says so."""

import threading
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from collapse.execution import scratch, study_run
from collapse.execution.scratch import only_one
from collapse.execution.study_door import prepare_study, run_study
from collapse.execution.walk import Walk
from collapse.parameters.doors import Experiment
from collapse.parameters.study import load_study
from collapse.tracking.store import connect
from tests.conftest import empty_store


def test_a_second_holder_says_that_it_waits_and_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLAPSE_HOME", str(tmp_path))
    order: list[str] = []
    told: Queue[str] = Queue()
    monkeypatch.setattr(scratch, "say", told.put)

    def second() -> None:
        with only_one("study", "waiting for the first"):
            order.append("second in")

    with only_one("study", "nobody waits here"):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.get(timeout=60) == "waiting for the first"
        assert thread.is_alive()
        order.append("first out")
    thread.join(60)
    assert order == ["first out", "second in"]
    assert told.empty()


@pytest.mark.parametrize(("name", "together"), [("quickstart", False), ("another", True)])
def test_a_study_is_walked_by_one_launch_at_a_time(
    name: str,
    together: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(empty_store())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("COLLAPSE_HOME", str(tmp_path))
    both, met = threading.Barrier(2), []

    def walk(*_: object, **__: object) -> Walk:
        try:
            both.wait(120 if together else 0.5)
            met.append(True)
        except threading.BrokenBarrierError:
            met.append(False)
        return Walk()

    monkeypatch.setattr(study_run, "run_plan", walk)
    connect()
    study = load_study("quickstart")
    calls: list[dict[str, Any]] = [{"seeds": 1}, {"seeds": 1, "name": name}]
    # Python's own parser, which fingerprints go through, is not safe between threads.
    alone = Experiment(workers=1)
    plans = [prepare_study(study, given) for given in calls]
    launches = [threading.Thread(target=run_study, args=(one, alone)) for one in plans]
    for launch in launches:
        launch.start()
    for launch in launches:
        launch.join(300)
    assert met == [together] * 2
    assert capfd.readouterr().err.count("this launch waits") == (not together)
