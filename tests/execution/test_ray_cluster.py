"""Ray: a cluster of two nodes, one killed in the middle of a chain; one that obeys its study."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest
from mlflow.entities import Run

from collapse.execution.ray_cluster import RayCrew
from collapse.tracking.provenance import PROCESS_TAG
from collapse.tracking.registry import SEAL
from tests.conftest import MICRO, ROOT, environment
from tests.execution.crew_at_work import told_by

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow
CHAIN = "quickstart.replace.seed0"
_QUICKSTART = (ROOT / "studies" / "quickstart.yaml").read_text()
_SETTINGS = _QUICKSTART[_QUICKSTART.index("settings:") : _QUICKSTART.index("scales:")]
STUDY = f"""
question: Does a chain end on another machine?
arms: {{replace: {{}}}}
control: replace
probes: []
{_SETTINGS}"""


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without cores, and two nodes with one each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.wait_for_nodes()
    yield made
    made.shutdown()


def test_a_chain_ends_on_the_other_node_with_the_same_bits(
    cluster: Any, micro_chain: Path, tmp_path: Path
) -> None:
    (tmp_path / "quickstart.yaml").write_text(STUDY)
    words = ["--study", "quickstart.yaml", "--seeds", "1", "--generations", "2", *MICRO]
    study = subprocess.Popen(
        [sys.executable, "-m", "entrypoints.experiment", *words]
        + ["--executor", "ray", "--address", cluster.address],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    held_by = psutil.Process(int(running(tmp_path).data.tags[PROCESS_TAG].split(":")[1]))
    node = next(
        node
        for node in cluster.list_all_nodes()
        if node.all_processes["raylet"][0].process.pid in [one.pid for one in held_by.parents()]
    )
    cluster.remove_node(node, allow_graceful=False)
    _, stderr = study.communicate(timeout=900)
    assert study.returncode == 0, stderr
    assert "recurse_step/replace/seed0/gen1 lost its process" in stderr
    assert seals(tmp_path) == seals(micro_chain)
    assert losses(tmp_path) == losses(micro_chain)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("quickstart").experiment_id
    names = sorted(run.info.run_name for run in client.search_runs([experiment]))
    trained = ["baseline g0", "recurse_step g1", "recurse_step g2"]
    assert [name for name in names if " g" in name] == trained  # none twice, none left behind
    assert {run.info.status for run in client.search_runs([experiment])} == {"FINISHED"}


def test_a_task_tells_how_far_its_stage_has_come(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (one,) = told_by(lambda: RayCrew(cluster.address, 1, 1, "cpu"), monkeypatch)
    assert (one.what, one.ended) == ("documents", True)


STARTS_ONE = """
from collapse.execution.ray_cluster import RayCrew
crew = RayCrew("", 1, 1, "cpu")
import ray
print(ray.get_runtime_context().gcs_address, flush=True)
input()
crew.leave()
"""
GIVES_ORDERS = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="error")
print("obeyed", ray.get(ray.remote(lambda: 6 * 7).remote()))
"""


def test_a_cluster_of_ones_own_obeys_nobody_else(tmp_path: Path) -> None:
    own = {key: value for key, value in environment().items() if not key.startswith("RAY_")}
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_ONE],
        cwd=tmp_path,
        env=own,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as crew:
        assert crew.stdin
        assert crew.stdout
        address = crew.stdout.readline().strip()
        driver = psutil.Process(crew.pid)
        raylet = next(one for one in driver.children() if one.name() == "raylet")
        keys = {k: v for k, v in raylet.environ().items() if k.startswith("RAY_AUTH")}
        orders = [
            subprocess.run(
                [sys.executable, "-c", GIVES_ORDERS, address],
                cwd=tmp_path,
                env=own | known,
                capture_output=True,
                text=True,
                timeout=900,
            )
            for known in ({}, keys)
        ]
        crew.communicate("\n", timeout=900)
    stranger, friend = orders
    assert "obeyed 42" in friend.stdout, friend.stderr
    assert stranger.returncode
    assert "InvalidAuthToken" in stranger.stderr


def running(folder: Path) -> Run:
    """The run of generation 1, once there is one."""
    for _ in range(9000):
        time.sleep(0.1)
        if not (folder / "mlruns").exists():
            continue  # the tables are still being made
        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        experiment = client.get_experiment_by_name("quickstart")
        query = "attributes.run_name = 'recurse_step g1'"
        if experiment and (found := client.search_runs([experiment.experiment_id], query)):
            return found[0]
    raise AssertionError("generation 1 did not begin in time")


def seals(folder: Path) -> list[str]:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    versions = [client.get_model_version_by_alias(CHAIN, f"gen-{g}") for g in range(3)]
    return [version.tags[SEAL] for version in versions]


def losses(folder: Path) -> list[float]:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    run_id = client.get_model_version_by_alias(CHAIN, "gen-1").run_id
    return [one.value for one in client.get_metric_history(run_id, "train/loss_nats")]
