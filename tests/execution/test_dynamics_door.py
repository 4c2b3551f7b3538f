"""The door `benchmark` where generation 0 kept weights on the way, through MLflow's own client."""

import math
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from tests.conftest import MICRO, open_door

ENDS = (0, 512, 1024)
"""Tokens trained on where the baseline of four steps kept weights, and at its end."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[mlflow.MlflowClient, Any, Any]:
    """The client, and the runs of the stage and of its chain."""
    folder = tmp_path_factory.mktemp("dynamics")
    words = ["--tasks", "lambada,arithmetic", "--limit", "12", "--generation", "0"]
    made = open_door(folder, "benchmark", *MICRO, *words, "--checkpoint_tokens", "0,512,1024")
    assert made.returncode == 0, made.stderr
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("quickstart").experiment_id
    stage, chain = (
        client.search_runs([experiment], f"attributes.run_name = '{name}'")[0]
        for name in ("benchmark g0", "quickstart.replace.seed0")
    )
    return client, stage, chain


def steps(asked: Any, metric: str) -> dict[int, float]:
    client, stage, _ = asked
    return {one.step: one.value for one in client.get_metric_history(stage.info.run_id, metric)}


def test_every_kept_checkpoint_is_asked_and_its_own_answers_count(asked: Any) -> None:
    perplexities = steps(asked, "trajectory/benchmark/lambada/perplexity")
    assert tuple(sorted(perplexities)) == ENDS
    assert len(set(perplexities.values())) == 3
    assert steps(asked, "benchmark/lambada/perplexity") == {0: perplexities[1024]}
    losses = steps(asked, "trajectory/human/nll_nats")
    assert losses[0] == pytest.approx(math.log(300), abs=0.2)
    assert losses[1024] < losses[512] < losses[0]


def test_the_last_point_is_the_generation_itself(asked: Any) -> None:
    _, stage, _ = asked
    for name in ("benchmark/overall", "benchmark/overall_stderr", "benchmark/arithmetic/acc"):
        assert steps(asked, f"trajectory/{name}")[1024] == stage.data.metrics[name]


def test_the_chain_is_told_of_the_generation_alone(asked: Any) -> None:
    _, _, chain = asked
    assert "benchmark/overall" in chain.data.metrics
    assert not [name for name in chain.data.metrics if name.startswith("trajectory/")]


def test_the_table_has_what_the_metrics_have(asked: Any) -> None:
    client, stage, _ = asked
    table = pd.read_csv(Path(client.download_artifacts(stage.info.run_id, "dynamics.csv")))
    assert list(table) == ["tokens", "task", "metric", "value", "stderr", "floor"]
    assert tuple(table["tokens"].unique()) == ENDS
    assert set(table["task"]) == {"lambada", "arithmetic", "overall", "human"}
    for task, name in (("overall", "benchmark/overall"), ("human", "human/nll_nats")):
        own = table[table["task"] == task].set_index("tokens")["value"]
        assert own.to_dict() == pytest.approx(steps(asked, f"trajectory/{name}"), rel=1e-12)
    floors = table[table["metric"] == "acc"].groupby("task")["floor"].unique()
    assert floors["arithmetic"] == pytest.approx([1 / 20])
