"""The door `benchmark`, looked at through MLflow's own client."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest

from tests.conftest import MICRO, open_door
from tests.probes.made_up_items import write_public_sets

ITEMS = 12


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Public tasks from files and an embedded one, of a micro baseline, after two examples."""
    folder = tmp_path_factory.mktemp("asked")
    write_public_sets(folder / "sets", 80)
    words = ["--tasks", "hellaswag,piqa,siqa,lambada,arithmetic,squad", "--task_data", "sets"]
    words += ["--limit", str(ITEMS), "--shots", "2", "--generation", "0"]
    made = open_door(folder, "benchmark", *MICRO, *words)
    assert made.returncode == 0, made.stderr
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("quickstart").experiment_id
    run = client.search_runs([experiment], "attributes.run_name = 'benchmark g0'")[0]
    return run.data.metrics, Path(client.download_artifacts(run.info.run_id, "")), made, folder


def test_every_task_is_logged_with_its_error_its_floor_and_a_guess(asked: Any) -> None:
    metrics, *_ = asked
    floors = {"hellaswag": 1 / 4, "piqa": 1 / 2, "siqa": 1 / 3, "lambada": 0.001}
    floors |= {"arithmetic": 1 / 20, "squad": 0.0}
    for task, floor in floors.items():
        name = "em" if task == "squad" else "acc"
        assert metrics[f"benchmark/{task}/floor"] == pytest.approx(floor)
        assert 0 <= metrics[f"benchmark/{task}/{name}"] <= 1
        assert 0 <= metrics[f"benchmark/{task}/{name}_stderr"] <= 0.2
        assert 0 <= metrics[f"benchmark/{task}/random_{name}"] <= 1
        assert metrics[f"benchmark/{task}/{name}"] * ITEMS == pytest.approx(
            round(metrics[f"benchmark/{task}/{name}"] * ITEMS)
        )
    assert metrics["benchmark/lambada/perplexity"] > 1
    heads = [metrics[f"benchmark/{task}/acc"] for task in floors if task != "squad"]
    heads.append(metrics["benchmark/squad/em"])
    assert metrics["benchmark/mean"] == pytest.approx(sum(heads) / 6)
    rescaled = [(h - f) / (1 - f) for h, f in zip(heads, floors.values(), strict=True)]
    assert metrics["benchmark/overall"] == pytest.approx(sum(rescaled) / 6)
    millions = metrics["benchmark/overall"] / metrics["benchmark/overall_per_million_parameters"]
    assert 0.001 < millions < 1


def test_numbers_answers_and_a_picture_lie_in_the_artifacts(asked: Any) -> None:
    metrics, folder, *_ = asked
    content = json.loads((folder / "benchmark.json").read_text())
    assert content["lm_eval"].startswith("0.4")
    logged = {k: v for k, v in metrics.items() if k.startswith("benchmark/")}
    assert content["values"] == pytest.approx(logged)
    hellaswag = content["tasks"]["hellaswag"]
    assert hellaswag["definition"] == "lm_eval/tasks/hellaswag/hellaswag.yaml"
    assert hellaswag["items"] == ITEMS
    assert hellaswag["source"].endswith("hellaswag/validation.jsonl")
    assert len(hellaswag["digest"]) == 16
    assert content["tasks"]["arithmetic"]["definition"].endswith("probes/tasks/arithmetic.yaml")
    assert content["tasks"]["arithmetic"]["source"] == "stories"
    lines = (folder / "benchmark_items.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 6 * ITEMS
    for row in (row for row in rows if row["task"] == "siqa"):
        assert row["acc"] == float(row["answer"] == row["right"])
        assert len(row["log_likelihoods_nats"]) == 3
    assert (folder / "benchmark.png").read_bytes()[1:4] == b"PNG"


def test_nobody_hears_of_lm_evals_bars_and_notes(asked: Any) -> None:
    _, _, made, _ = asked
    for word in ("lm_eval", "Generating", "Running", "WARNING", "Traceback", "warn"):
        assert word not in made.stdout + made.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tasks", "hellaswig"], "no task 'hellaswig': did you mean hellaswag?"),
        (["--tasks", "piqa", "--task_data", "sets/squad"], "piqa/validation.jsonl is not there"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    words: list[str], message: str, asked: Any
) -> None:
    *_, folder = asked
    made = open_door(folder, "benchmark", *MICRO, *words)
    assert made.returncode == 2
    assert message in made.stderr
    assert len(made.stderr.strip().splitlines()) == 1


def test_other_items_are_another_measurement(asked: Any) -> None:
    from collapse.execution.prepared import items_named
    from collapse.parameters.study import load_study
    from collapse.stages.plan import plan_chain

    *_, folder = asked
    given = {"tasks": "piqa", "task_data": str(folder / "sets")}
    plan = plan_chain(
        load_study("quickstart"), given, arm="replace", seed=0, generation=0, probes=["benchmark"]
    )
    before = items_named(plan)
    file = folder / "sets" / "piqa" / "validation.jsonl"
    file.write_text(file.read_text().replace("ladder", "rope"))
    after = items_named(plan)
    assert before.keys() == after.keys()
    assert list(before.values()) != list(after.values())
