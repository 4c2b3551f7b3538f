"""Stores that do not answer for a while, and answers that are lost: nothing twice, nothing gone."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException, RestException
from requests.exceptions import ConnectionError as Unconnected

from collapse.errors import BadParameter, StoreError
from collapse.measurement import Measurement
from collapse.tracking import machine, metrics, patience, registry, runs
from tests.conftest import environment

TAGS = {"study": "s", "arm": "a", "seed": 0, "generation": 0, "stage": "quality", "chain": "c"}
LOSS = "train/loss_nats"


def silence() -> MlflowException:
    """What MLflow raises where nobody answers; a sqlite store is silent while it is locked."""
    return MlflowException("API request to x failed with exception Connection refused: is locked")


class Outage:
    """A call of MLflow's client that fails for a while, with or without having happened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, *, arrives: bool) -> None:
        self.failures_left = 0
        self.calls = 0
        real = getattr(mlflow.MlflowClient, name)

        def call(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if self.failures_left <= 0:
                return real(*args, **options)
            self.failures_left -= 1
            if arrives:
                real(*args, **options)
            raise silence()

        monkeypatch.setattr(mlflow.MlflowClient, name, call)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience of seconds, and pauses of none."""
    monkeypatch.setenv(patience.PATIENCE_VARIABLE, "20")
    monkeypatch.setattr(patience, "_LONGEST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(metrics, "OUTAGE_SECONDS", 0.01)
    monkeypatch.setattr(patience._Memory, "given_up", False)


@pytest.fixture
def label(experiment: str, quick: None) -> runs.RunLabel:
    return runs.RunLabel(experiment, "quality g0", TAGS | {"fingerprint": "f"})


def history(run_id: str, name: str = LOSS) -> list[tuple[int, float]]:
    found = mlflow.MlflowClient().get_metric_history(run_id, name)
    return sorted((one.step, one.value) for one in found)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline, "not within ten minutes"
        time.sleep(0.01)


def measure(log: metrics.MetricLog, first: int, last: int) -> None:
    for step in range(first, last + 1):
        log.log(Measurement(step, {LOSS: step / 3, "train/tokens_per_second": float(step)}))


def expected(first: int, last: int) -> list[tuple[int, float]]:
    return [(step, step / 3) for step in range(first, last + 1)]


@pytest.mark.parametrize("arrives", [False, True], ids=["never arrived", "answers were lost"])
def test_what_is_measured_in_an_outage_arrives_once(
    arrives: bool, label, tmp_path: Path, monkeypatch
) -> None:
    run_id = runs.open_run(label).info.run_id
    outage = Outage(monkeypatch, "log_batch", arrives=arrives)
    with metrics.MetricLog(run_id, tmp_path / "outbox") as log:
        measure(log, 1, 5)
        until(lambda: outage.calls)
        outage.failures_left = 2
        measure(log, 6, 130)
        until(lambda: not outage.failures_left)
        measure(log, 131, 140)
    assert history(run_id) == expected(1, 140)
    assert mlflow.MlflowClient().get_run(run_id).data.metrics[LOSS] == 140 / 3


def test_training_waits_for_no_store(label, tmp_path: Path, monkeypatch) -> None:
    """The store hangs for good: what is measured is taken all the same, and is in the outbox."""
    run_id = runs.open_run(label).info.run_id
    hangs = threading.Event()
    real = mlflow.MlflowClient.log_batch

    def hang(*args: Any, **options: Any) -> Any:
        hangs.wait()
        return real(*args, **options)

    monkeypatch.setattr(mlflow.MlflowClient, "log_batch", hang)
    with metrics.MetricLog(run_id, tmp_path / "outbox") as log:
        measure(log, 1, 60)
        assert len((tmp_path / "outbox").read_text().splitlines()) == 60
        assert history(run_id) == []
        hangs.set()
    assert history(run_id) == expected(1, 60)


def test_patience_ends_in_one_line_and_nothing_is_lost(
    label, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv(patience.PATIENCE_VARIABLE, "0.2")
    run_id = runs.open_run(label).info.run_id
    outage = Outage(monkeypatch, "log_batch", arrives=False)
    outage.failures_left = 10**9
    log = metrics.MetricLog(run_id, tmp_path / "outbox")
    measure(log, 1, 30)
    with pytest.raises(StoreError, match=r"not answered for 0.2 s .*command goes on") as it, log:
        pass
    assert len(str(it.value).splitlines()) == 1
    assert capsys.readouterr().err.count("waiting for it, 0.2 s at most") == 1
    with pytest.raises(StoreError):
        runs.client().log_batch(run_id)  # given up: no second wait, and not a word
    assert "waiting" not in capsys.readouterr().err
    outage.failures_left = 0
    with metrics.MetricLog(run_id, tmp_path / "outbox") as log:
        measure(log, 28, 40)
    assert history(run_id) == expected(1, 40)


def test_a_new_run_is_given_what_earlier_ones_measured(label, tmp_path: Path) -> None:
    first, second = (runs.open_run(label).info.run_id for _ in range(2))
    with metrics.MetricLog(first, tmp_path / "outbox") as log:
        measure(log, 1, 9)
    with metrics.MetricLog(second, tmp_path / "outbox") as log:
        measure(log, 7, 12)
    assert history(first) == expected(1, 9)
    assert history(second) == expected(1, 12)


def test_an_outbox_that_was_lost_doubles_nothing(label, tmp_path: Path) -> None:
    run_id = runs.open_run(label).info.run_id
    for name, last in (("one", 9), ("two", 12)):
        with metrics.MetricLog(run_id, tmp_path / name) as log:
            measure(log, 1, last)
    assert history(run_id) == expected(1, 12)


KILLED = """
import os, signal, sys
from pathlib import Path
import mlflow
from collapse.measurement import Measurement
from collapse.tracking import metrics
def fail(*_, **__): raise OSError("no network")
mlflow.MlflowClient.log_batch = fail
log = metrics.MetricLog(sys.argv[1], Path(sys.argv[2]))
for step in range(1, 21):
    log.log(Measurement(step, {"train/loss_nats": step / 3, "human/nll_nats": float("nan")}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_outbox_survives_a_kill(label, store_uri: str, tmp_path: Path) -> None:
    run_id = runs.open_run(label).info.run_id
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, run_id, str(tmp_path / "outbox")],
        env=environment(MLFLOW_TRACKING_URI=store_uri),
        timeout=900,
    )
    assert killed.returncode == -9
    with (tmp_path / "outbox").open("a") as file:
        file.write('{"step": 21, "timest')  # the kill came within a line
    with metrics.MetricLog(run_id, tmp_path / "outbox") as log:
        measure(log, 21, 22)
    assert history(run_id) == expected(1, 22)
    assert len(history(run_id, "human/nll_nats")) == 20


def test_a_run_whose_answer_is_lost_is_made_once(label, monkeypatch, capsys) -> None:
    outage = Outage(monkeypatch, "create_run", arrives=True)
    outage.failures_left = 1
    run_id = runs.open_run(label).info.run_id
    assert [run.info.run_id for run in runs.find_runs(label.experiment, {"fingerprint": "f"})] == [
        run_id
    ]
    assert "does not answer (Connection refused)" in capsys.readouterr().err


def test_two_runs_of_one_label_are_two(label) -> None:
    assert runs.open_run(label).info.run_id != runs.open_run(label).info.run_id


def test_an_experiment_whose_answer_is_lost_is_made_once(label, monkeypatch) -> None:
    outage = Outage(monkeypatch, "create_experiment", arrives=True)
    outage.failures_left = 1
    number = runs.experiment_id(label.experiment)
    assert runs.experiment_id(label.experiment) == number


def run_with_model(label) -> tuple[str, str]:
    """A new run and the URI of its logged model, which has no files."""
    run = runs.open_run(label)
    model = mlflow.MlflowClient().create_logged_model(run.info.experiment_id, "m")
    mlflow.MlflowClient().finalize_logged_model(model.model_id, "READY")
    return run.info.run_id, f"models:/{model.model_id}"


@pytest.mark.parametrize("name", ["create_registered_model", "create_model_version"])
def test_a_version_whose_answer_is_lost_is_made_once(name: str, label, monkeypatch) -> None:
    run_id, uri = run_with_model(label)
    outage = Outage(monkeypatch, name, arrives=True)
    outage.failures_left = 1
    chain = f"{label.experiment}.chain"
    made = registry.register(chain, 1, uri, run_id, {"seed": 0})
    assert outage.failures_left == 0
    assert registry.register(chain, 1, uri, run_id, {"seed": 0}).version == made.version
    assert len(mlflow.MlflowClient().search_model_versions(f"name = '{chain}'")) == 1
    assert registry.version(chain, 1).version == made.version


def test_a_version_is_found_however_few_a_page_holds(label, monkeypatch) -> None:
    whole = mlflow.MlflowClient.search_model_versions

    def first_page(self: mlflow.MlflowClient, filter_string: str, **_: object) -> list:
        return list(whole(self, filter_string, max_results=1))

    monkeypatch.setattr(mlflow.MlflowClient, "search_model_versions", first_page)
    chain, models = f"{label.experiment}.chain", [run_with_model(label) for _ in range(3)]
    made = [registry.register(chain, g, uri, run, {}) for g, (run, uri) in enumerate(models)]
    for version, (_, uri) in zip(made, models, strict=True):
        assert registry.version_of(chain, uri).version == version.version
    assert len({one.version for one in made}) == 3
    assert registry.version_of(chain, "models:/m-none") is None


def test_a_mirroring_that_was_cut_off_is_finished_and_not_repeated(label, monkeypatch) -> None:
    parent = runs.open_run(label).info.run_id
    monkeypatch.setenv(patience.PATIENCE_VARIABLE, "0.1")
    real = mlflow.MlflowClient.set_tag

    def cut(self: Any, run_id: str, key: str, value: Any, **options: Any) -> None:
        if key.startswith("mirrored."):
            raise silence()
        real(self, run_id, key, value, **options)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "set_tag", cut)
        with pytest.raises(StoreError):
            metrics.mirror(parent, "quality", 2, "one", {LOSS: 1.0})
    metrics.mirror(parent, "quality", 2, "one", {LOSS: 1.0, "human/nll_nats": 2.0})
    assert history(parent) == [(2, 1.0)]
    assert history(parent, "human/nll_nats") == [(2, 2.0)]


def test_the_machine_is_watched_by_way_of_the_outbox(label, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv(machine.SAMPLING_VARIABLE, "0.05")
    run_id = runs.open_run(label).info.run_id
    outage = Outage(monkeypatch, "log_batch", arrives=False)
    outage.failures_left = 3
    name = "system/cpu_utilization_percentage"
    for _ in range(2):
        with metrics.MetricLog(run_id, tmp_path / "outbox") as log, machine.machine_watched(log):
            begun = log.next_step("system/")
            outbox = tmp_path / "outbox"
            until(lambda: outbox.read_text().count(name) >= begun + 3)  # noqa: B023
    steps = [step for step, _ in history(run_id, name)]
    assert steps == list(range(len(steps)))
    assert len(steps) >= 6


def failed(how: str) -> MlflowException:
    return MlflowException(f"API request to x failed with {how}")


def answered(code: str) -> RestException:
    return RestException({"error_code": code})


RAISED: dict[str, tuple[BaseException, bool, bool]] = {
    # what is raised; whether a server is silent; whether a file is
    "refused": (failed("exception HTTPConnectionPool"), True, False),
    "timeout": (failed("timeout exception"), True, False),
    "a proxy": (failed("error code 502 != 200"), True, False),
    "not found": (failed("error code 404 != 200"), False, False),
    "no database": (answered("TEMPORARILY_UNAVAILABLE"), True, False),
    "a mistake": (answered("INVALID_PARAMETER_VALUE"), False, False),
    "locked": (MlflowException("(OperationalError) database is locked"), False, True),
    "a full disk": (OSError("No space left on device"), False, False),
    "a lost line": (Unconnected("aborted"), True, False),
    "ours": (ValueError("timed out"), False, False),
}


@pytest.mark.parametrize("what", RAISED)
def test_silence_is_told_from_refusal(what: str, monkeypatch) -> None:
    raised, of_a_server, of_a_file = RAISED[what]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert patience.is_silence(raised) == of_a_server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    assert patience.is_silence(raised) == of_a_file


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan"])
def test_patience_is_a_number_of_seconds(text: str, monkeypatch) -> None:
    monkeypatch.setenv(patience.PATIENCE_VARIABLE, text)
    with pytest.raises(BadParameter, match=f"{patience.PATIENCE_VARIABLE}='{text}'"):
        patience.patience_seconds()
