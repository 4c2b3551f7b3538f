"""A door under torchrun: one set of books, and the numbers of one process."""

import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from tests.conftest import MICRO, environment, last_wins

CHAIN = "quickstart.replace.seed0"
TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
    *("--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0", "-m"),
]


def alone_and_together(folder: Path, words: list[str], query: str) -> list[dict[str, float]]:
    """Metrics of the one run of this query, by one process and by two."""
    found = []
    for launch, name in (([sys.executable, "-m"], "alone"), (TORCHRUN, "together")):
        made = subprocess.run(
            [*launch, words[0], *last_wins(*words[1:]), "--name", name],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert made.returncode == 0, made.stderr
        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        experiment = client.get_experiment_by_name(name).experiment_id
        (run,) = client.search_runs([experiment], query)
        found.append(run.data.metrics)
    return found


def test_two_processes_keep_one_set_of_books(micro_chain: Path, tmp_path: Path) -> None:
    made = subprocess.run(
        [*TORCHRUN, "entrypoints.quality", "--generation", "1", *MICRO, "--samples", "9"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert made.returncode == 0, made.stderr
    alone, together = (
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db") for folder in (micro_chain, tmp_path)
    )
    experiment = together.get_experiment_by_name("quickstart").experiment_id
    names = sorted(run.info.run_name for run in together.search_runs([experiment]))
    assert names == ["baseline g0", "judge", "prepare", "quality g1", CHAIN, "recurse_step g1"]
    losses = []
    for client in (alone, together):
        run_id = client.get_model_version_by_alias(CHAIN, "gen-1").run_id
        losses.append([one.value for one in client.get_metric_history(run_id, "train/loss_nats")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_two_processes_see_the_spectrum_of_one(tmp_path: Path) -> None:
    """Products of the parts are summed over both; names of runs tell the stores apart."""
    probe = [
        "--probe_tokens",
        "256",
        "--probe_parts",
        "4",
        "--probe_texts",
        "human",
        "--probe_vectors",
        "2",
    ]
    words = ["entrypoints.hessian", "--generation", "0", *MICRO, *probe]
    found = alone_and_together(tmp_path, words, "tags.stage = 'hessian'")
    for name in ("lambda_max", "lambda_min", "trace", "loss_nats", "lambda_max_data_se"):
        alone, together = (values[f"hessian/human/{name}"] for values in found)
        assert together == pytest.approx(alone, rel=2e-3), name


def test_two_processes_train_the_judge_of_one(tmp_path: Path) -> None:
    words = ["entrypoints.quality", "--generation", "0", *MICRO, "--heldout_documents", "100"]
    few = ["--samples", "9", "--prompts", "0"]
    judges = alone_and_together(tmp_path, [*words, *few], "attributes.run_name = 'judge'")
    assert judges[0]["judge/tokens"] == judges[1]["judge/tokens"] > 0
    assert judges[0]["judge/loss_nats"] == pytest.approx(judges[1]["judge/loss_nats"], rel=1e-3)
