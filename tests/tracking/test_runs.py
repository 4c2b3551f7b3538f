"""Runs that outlive their process, errors of the store, and texts on their way in."""

import math
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest

from collapse.errors import StoreError
from collapse.measurement import Measurement
from collapse.tracking import claims, metrics, provenance, reader, runs, store
from tests.conftest import environment

TAGS = {"study": "s", "arm": "a", "seed": 0, "generation": 0, "stage": "quality", "chain": "c"}


@pytest.fixture
def label(experiment: str) -> runs.RunLabel:
    return runs.RunLabel(
        experiment, "quality g0", TAGS | {"fingerprint": "f"}, {"steps": 3, "note": ""}
    )


def as_of_a_dead_process(run_id: str) -> None:
    """Give a run the tag of a process that has ended."""
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], text=True,
                           capture_output=True, check=True)  # fmt: skip
    host = provenance.this_process().partition(":")[0]
    runs.client().set_tag(run_id, provenance.PROCESS_TAG, f"{host}:{ended.stdout.strip()}:1.00")


def test_a_run_of_a_dead_process_is_taken_up_and_a_living_one_is_not(label) -> None:
    first = runs.open_run(label).info.run_id
    assert runs.open_run(label).info.run_id != first
    as_of_a_dead_process(first)
    assert runs.open_run(label).info.run_id == first
    assert runs.client().get_run(first).data.params == {"steps": "3"}


def test_the_same_number_of_a_later_process_is_not_the_same_process(label) -> None:
    run_id = runs.open_run(label).info.run_id
    host = provenance.this_process().partition(":")[0]
    runs.client().set_tag(run_id, provenance.PROCESS_TAG, f"{host}:{os.getpid()}:1.00")
    assert not provenance.is_alive(runs.client().get_run(run_id))


def test_what_died_is_closed_and_what_lives_is_left(label) -> None:
    dead, alive = runs.open_run(label).info.run_id, runs.open_run(label).info.run_id
    as_of_a_dead_process(dead)
    assert runs.close_dead(label.experiment) == [dead]
    assert runs.client().get_run(dead).info.status == "KILLED"
    assert runs.client().get_run(alive).info.status == "RUNNING"


def test_all_runs_are_found_however_many_a_page_holds(label, monkeypatch) -> None:
    monkeypatch.setattr(runs, "RUNS_A_PAGE", 2)
    made = [runs.open_run(label).info.run_id for _ in range(5)]
    found = runs.find_runs(label.experiment, {"run_kind": "stage"})
    assert sorted(run.info.run_id for run in found) == sorted(made)
    as_of_a_dead_process(made[0])  # the oldest, on the last page
    assert runs.close_dead(label.experiment) == [made[0]]


def test_only_a_finished_run_is_reused(label) -> None:
    run_id = runs.open_run(label).info.run_id
    assert runs.find_finished(label.experiment, "f") is None
    runs.close_run(run_id, "FAILED", ValueError("first line\nsecond line"))
    assert runs.find_finished(label.experiment, "f") is None
    assert runs.client().get_run(run_id).data.tags["error"] == "first line"
    runs.close_run(run_id, "FINISHED")
    assert runs.find_finished(label.experiment, "f").info.run_id == run_id


def test_a_resumed_run_logs_no_step_twice(label, tmp_path: Path) -> None:
    run_id = runs.open_run(label).info.run_id
    for start in (1, 2):
        with metrics.MetricLog(run_id, tmp_path / "outbox.jsonl") as log:
            for step in range(start, start + 3):
                log.log(Measurement(step, {"train/loss_nats": float(step)}))
    history = runs.client().get_metric_history(run_id, "train/loss_nats")
    assert sorted(one.step for one in history) == [1, 2, 3, 4]


def test_mirroring_is_done_once_and_a_rerun_overwrites(label) -> None:
    parent = runs.open_run(
        runs.RunLabel(
            label.experiment, "c", {"chain": "c", "arm": "a", "seed": 0, "fingerprint": "p"}
        )
    )
    run_id = parent.info.run_id
    metrics.mirror(run_id, "quality", 2, "one", {"human/nll_nats": 1.0})
    metrics.mirror(run_id, "quality", 2, "one", {"human/nll_nats": 1.0})
    assert len(runs.client().get_metric_history(run_id, "human/nll_nats")) == 1
    metrics.mirror(run_id, "quality", 2, "two", {"human/nll_nats": 0.5})
    frame = reader.measurements([runs.client().get_run(run_id)])
    assert frame.to_dict("records") == [
        {"arm": "a", "seed": 0, "generation": 2, "metric": "human/nll_nats", "value": 0.5}
    ]


def test_what_a_later_look_does_not_measure_is_withdrawn(label) -> None:
    tags = TAGS | {"fingerprint": "p"}
    chain = runs.open_run(runs.RunLabel(label.experiment, "c", tags)).info.run_id
    looks = {}
    for name, values in (("density", {"ratio": 2.0, "ends": 1.0}), ("quick", {"ends": 3.0})):
        tags = TAGS | {"fingerprint": name}
        looks[name] = runs.open_run(runs.RunLabel(label.experiment, name, tags)).info.run_id
        metrics.log_metrics(looks[name], values, 2)
    for name in ("density", "quick", "quick"):
        run = runs.client().get_run(looks[name])
        metrics.mirror(chain, "hessian", 2, looks[name], metrics.last_values(run))

    frame = reader.measurements([runs.client().get_run(chain)]).set_index("metric")["value"]
    assert frame["ends"] == 3.0
    assert math.isnan(frame["ratio"])
    assert len(runs.client().get_metric_history(chain, "ratio")) == 2


def test_seconds_of_a_stage_are_those_it_computed(label) -> None:
    chain = runs.open_run(runs.RunLabel(label.experiment, "c", TAGS | {"fingerprint": "p"}))
    ends = {"told": "FINISHED", "untold": "FINISHED", "found dead": "KILLED"}
    for name, status in ends.items():
        tags = TAGS | {"fingerprint": name}
        of_chain = runs.RunLabel(label.experiment, name, tags, parent=chain.info.run_id)
        run_id = runs.open_run(of_chain).info.run_id
        if name == "told":
            runs.client().set_tag(run_id, runs.STAGE_SECONDS, "12.500")
        runs.close_run(run_id, status)

    stages = runs.find_runs(label.experiment, {"run_kind": "stage"})
    seconds = reader.stage_runs(stages, [chain]).set_index("fingerprint")["seconds"]

    assert seconds["told"] == 12.5
    assert 0 <= seconds["untold"] < 10
    assert math.isnan(seconds["found dead"])


def test_claims_are_written_down_once(label) -> None:
    claims.fix_claims(label.experiment, "first")
    claims.fix_claims(label.experiment, "second")
    assert claims.fixed_claims(label.experiment) == "first"


def test_a_deleted_experiment_is_named_with_the_way_back(label) -> None:
    number = runs.experiment_id(label.experiment)
    runs.client().delete_experiment(number)
    with pytest.raises(StoreError, match=f"restore -x {number}"):
        runs.experiment_id(label.experiment)


def test_failures_of_the_store_are_told_from_mistakes_of_ours() -> None:
    from mlflow.exceptions import MlflowException
    from safetensors import SafetensorError

    assert store.is_store_failure(OSError("No space left on device"))
    assert store.is_store_failure(MlflowException("database is locked"))
    assert store.is_store_failure(SafetensorError("I/O error"))
    assert store.is_store_failure(RuntimeError("PytorchStreamWriter failed writing file data/3"))
    assert not store.is_store_failure(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not store.is_store_failure(AssertionError("ours"))
    assert not store.is_store_failure(FileNotFoundError("a file that we should have made"))


RACER = """
import sys, time
from collapse.tracking import runs
run_id = sys.argv[1]
runs.client().get_run(run_id)
print("ready", flush=True)
start = float(input())
for k in range(20):
    while time.time() < start + 0.05 * k:
        pass
    runs.log_dataset(run_id, f"text{k}", "training", "0123", 5, "")
"""


@pytest.mark.slow
def test_two_processes_may_log_one_text_at_once(label, store_uri: str, tmp_path: Path) -> None:
    made = [runs.open_run(label).info.run_id for _ in range(2)]
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, run_id],
            cwd=tmp_path,
            env=environment(MLFLOW_TRACKING_URI=store_uri),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for run_id in made
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n", racer.communicate()[1]
    start = f"{time.time() + 0.5}\n"
    for racer in racers:
        racer.stdin.write(start)
        racer.stdin.flush()
    for racer in racers:
        _, complaint = racer.communicate(timeout=600)
        assert racer.returncode == 0, complaint
    for run_id in made:
        assert len(runs.client().get_run(run_id).inputs.dataset_inputs) == 20


def test_another_failure_to_log_a_text_is_not_tried_again(label, monkeypatch) -> None:
    run_id = runs.open_run(label).info.run_id
    tried = []

    def fail(*args: object, **options: object) -> None:
        tried.append(args)
        raise OSError("the disk is gone")

    monkeypatch.setattr(mlflow.MlflowClient, "log_inputs", fail)
    with pytest.raises(OSError, match="disk is gone"):
        runs.log_dataset(run_id, "text", "training", "0123", 5, "")
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("uri", "server"),
    [
        ("sqlite:///mlflow.db", "http://127.0.0.1:5000"),
        ("https://runs.example.org/", "https://runs.example.org"),
    ],
)
def test_a_run_has_a_page_on_its_server_or_on_a_local_one(monkeypatch, uri, server) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    run = SimpleNamespace(info=SimpleNamespace(experiment_id="7", run_id="abc"))
    assert reader.page_of(run) == f"{server}/#/experiments/7/runs/abc"
