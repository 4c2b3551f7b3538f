"""A door under torchrun: one set of books, and the numbers of one process."""

import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from collapse.tracking.machine import SAMPLING_VARIABLE
from tests.conftest import MICRO, environment, last_wins, of_the_result, open_door

pytestmark = pytest.mark.slow
CHAIN = "quickstart.replace.seed0"
TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"),
    *("--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0", "-m"),
]


def torchrun(
    folder: Path, door: str, *words: str, **more: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*TORCHRUN, f"entrypoints.{door}", *words],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=900,
    )


def alone_and_together(
    folder: Path, words: list[str], names: list[str]
) -> list[list[dict[str, float]]]:
    """Metrics of the runs of these names, by one process and by two.

    The machine is sampled so often that it has values in every stage, as on a slow one.
    """
    found = []
    often = {SAMPLING_VARIABLE: "0.1"}
    for name in ("alone", "together"):
        asked = [*last_wins(*words[1:]), "--name", name]
        if name == "alone":
            made = open_door(folder, words[0], *asked, **often)
        else:
            made = torchrun(folder, words[0], *asked, **often)
        assert made.returncode == 0, made.stderr
        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        experiment = client.get_experiment_by_name(name).experiment_id
        runs = {run.info.run_name: run for run in client.search_runs([experiment])}
        found.append([measured(runs[one].data.metrics) for one in names])
    return found


def measured(metrics: dict[str, float]) -> dict[str, float]:
    assert any(name.startswith("system/") for name in metrics)
    return {name: value for name, value in metrics.items() if of_the_result(name)}


def test_two_processes_keep_one_set_of_books(micro_chain: Path, tmp_path: Path) -> None:
    made = torchrun(tmp_path, "quality", "--generation", "1", *MICRO, "--samples", "9")
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
    words = ["hessian", "--generation", "0", *MICRO, *probe]
    found = alone_and_together(tmp_path, words, ["hessian g0"])
    for name in ("lambda_max", "lambda_min", "trace", "loss_nats", "lambda_max_data_se"):
        alone, together = (values[f"hessian/human/{name}"] for (values,) in found)
        assert together == pytest.approx(alone, rel=2e-3), name


def test_two_processes_write_and_judge_what_one_does(tmp_path: Path) -> None:
    """They share prompts and texts; the judge of both is trained by both."""
    few = ["--heldout_documents", "100", "--samples", "9", "--prompts", "4", "--intervals", "false"]
    words = ["quality", "--generation", "0", *MICRO, *few]
    found = alone_and_together(tmp_path, words, ["judge", "quality g0"])
    judges, quality = zip(*found, strict=True)
    assert judges[0]["judge/tokens"] == judges[1]["judge/tokens"] > 0
    assert judges[0]["judge/loss_nats"] == pytest.approx(judges[1]["judge/loss_nats"], rel=1e-3)
    assert {name.partition("/")[0] for name in quality[0]} >= {"human", "quality", "truth"}
    # Some are differences of nearly equal numbers.
    assert quality[1] == pytest.approx(quality[0], rel=2e-3, abs=2e-4)


def test_two_processes_answer_what_one_does(tmp_path: Path) -> None:
    words = ["benchmark", "--generation", "0", *MICRO, "--limit", "15"]
    words += ["--tasks", "all", "--task_data", "stories"]
    (alone,), (together,) = alone_and_together(tmp_path, words, ["benchmark g0"])
    assert len(alone) > 30
    assert together == pytest.approx(alone, rel=1e-3)
