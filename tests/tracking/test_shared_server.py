"""Studies on a shared server: two workers at once, and a server that is killed and comes back."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from tests.conftest import MICRO, door_process, environment, of_the_result
from tests.tracking_server import Server, free_port

pytestmark = pytest.mark.slow

PROBE = "--probe_tokens 256 --probe_parts 2 --probe_vectors 2 --density_steps 2"
LOOKS = [*PROBE.split(), "--tasks", "arithmetic", "--limit", "3"]
STUDY = [*MICRO, *LOOKS, "--seeds", "1", "--generations", "1", "--samples", "12"]

RECURSION = {"--documents", "--steps", "--max_new_tokens"}
"""Settings that a baseline has not."""

Values = dict[tuple[str, str, int], list[float]]


def runs_of(uri: str, experiment: str, kind: str) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(uri)
    known = client.get_experiment_by_name(experiment)
    if known is None:
        return []
    return client.search_runs([known.experiment_id], f"tags.run_kind = '{kind}'", max_results=999)


def values(uri: str, experiment: str, kind: str) -> Values:
    """Every number by chain, run, metric and step, but for those of time and of the machine."""
    client = mlflow.MlflowClient(uri)
    found: Values = {}
    for run in runs_of(uri, experiment, kind):
        for name in run.data.metrics:
            if of_the_result(name):
                for one in client.get_metric_history(run.info.run_id, name):
                    whose = f"{run.data.tags.get('chain')} {run.info.run_name}"
                    found.setdefault((whose, name, one.step), []).append(one.value)
    return found


def test_two_workers_share_a_server(server: Server, tmp_path: Path) -> None:
    words = [*STUDY, "--name", "shared", "--workers", "2"]
    made = door_process(tmp_path, "experiment", *words, MLFLOW_TRACKING_URI=server.uri)
    assert made.returncode == 0, made.stderr
    assert Path(made.stdout.strip().splitlines()[-1]).is_file()
    stages = runs_of(server.uri, "shared", "stage")
    processes = {run.data.tags["process"] for run in stages if run.data.tags["stage"] != "report"}
    assert len(processes) == 2
    assert {run.info.status for run in stages} == {"FINISHED"}
    steps = [(r.data.tags.get("chain"), r.info.run_name) for r in stages]
    assert len(steps) == len(set(steps))
    client = mlflow.MlflowClient(server.uri)
    found = [v for v in client.search_model_versions() if v.name.startswith("shared.")]
    versions = [version.name + version.tags["generation"] for version in found]
    assert len(versions) == len(set(versions)) == 4
    (report,) = (run for run in stages if run.data.tags["stage"] == "report")
    assert server.artifact(report.info.artifact_uri, "report.html").is_file()
    assert all(len(many) == 1 for many in values(server.uri, "shared", "stage").values())
    assert not (tmp_path / "mlruns").exists()
    again = door_process(tmp_path, "experiment", *words, MLFLOW_TRACKING_URI=server.uri)
    assert again.returncode == 0, again.stderr
    assert len(runs_of(server.uri, "shared", "stage")) == len(stages) + 1  # another report


@pytest.fixture
def baseline(tmp_path: Path) -> list[str]:
    """A baseline of some seconds that measures at each step."""
    words = dict(zip(MICRO[::2], MICRO[1::2], strict=True))
    words = {k: v for k, v in words.items() if k not in RECURSION}
    words |= {"--baseline_steps": "400", "--evaluate_every": "20", "--checkpoint_every": "50"}
    return [word for pair in words.items() for word in pair]


def test_a_server_that_is_killed_under_a_baseline_loses_and_doubles_nothing(
    server: Server, baseline: list[str], tmp_path: Path
) -> None:
    undisturbed = f"sqlite:///{tmp_path}/mlflow.db"
    made = door_process(tmp_path, "baseline", *baseline, "--name", "outage")
    assert made.returncode == 0, made.stderr
    disturbed = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.baseline", *baseline, "--name", "outage"],
        cwd=tmp_path,
        env=environment(MLFLOW_TRACKING_URI=server.uri, COLLAPSE_HOME=str(tmp_path / "other")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for_training(server.uri, disturbed)
        server.kill()
        died = time.time()
        time.sleep(10)
    finally:
        server.start()
    _, stderr = disturbed.communicate(timeout=900)
    assert disturbed.returncode == 0, stderr
    assert died + 10 < time.time()
    assert {run.info.status for run in runs_of(server.uri, "outage", "stage")} == {"FINISHED"}
    for kind in ("stage", "chain"):
        expected = values(undisturbed, "outage", kind)
        assert len(expected) > 10
        assert values(server.uri, "outage", kind) == expected
    assert all(len(many) == 1 for many in values(server.uri, "outage", "stage").values())
    assert not list((tmp_path / "other").glob("*/outbox.jsonl"))
    assert made_during(server.uri, died, died + 10)


def wait_for_training(uri: str, door: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        assert door.poll() is None, door.communicate()[1]
        for run in runs_of(uri, "outage", "stage"):
            if "train/loss_nats" in run.data.metrics:
                return
        time.sleep(0.05)
    raise AssertionError("no training within a quarter of an hour")


def made_during(uri: str, first: float, last: float) -> bool:
    """Whether a loss was measured while nobody answered."""
    client = mlflow.MlflowClient(uri)
    for run in runs_of(uri, "outage", "stage"):
        for one in client.get_metric_history(run.info.run_id, "train/loss_nats"):
            if first < one.timestamp / 1000 < last:
                return True
    return False


def test_make_server_says_where_it_is_and_stops_both(tmp_path: Path) -> None:
    # Not in tmp_path, which the user that PostgreSQL runs as may not enter.
    folder, port = Path(f"/tmp/collapse-server-door-{os.getpid()}"), free_port()
    words = [sys.executable, "-m", "collapse.tracking.server", "--folder", str(folder)]
    words += ["--port", str(port), "--workers", "1"]
    door = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert door.stdout is not None
        line = door.stdout.readline()
        assert line.strip().endswith(f"export MLFLOW_TRACKING_URI=http://127.0.0.1:{port}")
        assert mlflow.MlflowClient(f"http://127.0.0.1:{port}").search_experiments()
        taken = subprocess.run(words, env=environment(), capture_output=True, text=True)
        assert taken.returncode == 2
        assert f"port {port} of 127.0.0.1 cannot be listened on" in taken.stderr
        assert len(taken.stderr.strip().splitlines()) == 1
    finally:
        door.terminate()
        door.communicate(timeout=900)
    assert door.returncode == 0
    assert not (folder / "postgres" / "postmaster.pid").exists()
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(folder) not in left
    shutil.rmtree(folder)
