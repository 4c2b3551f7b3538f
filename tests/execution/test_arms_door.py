"""Every arm through the door, on a finite corpus; and a study in which one chain fails."""

import json
from pathlib import Path

import mlflow
import pytest

from tests.conftest import MICRO, open_door

ALONE = ("--workers", "1")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four hundred different texts: enough for generation 0 and two fresh ones, and no more."""
    from collapse.language.corpora.stories import world
    from collapse.numerics.streams import numpy_stream

    path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    texts = dict.fromkeys(world("stories").sample(400, numpy_stream(1, "corpus")))
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    return path


STUDY = """
question: does every arm run
arms:
  replace: {}
  fresh: {}
  static: {}
  mixed: {synthetic_fraction: 0.5}
  accumulate: {}
  accumulate_subsample: {}
control: fresh
probes: [quality]
settings: {seeds: 1, generations: 2, samples: 12}
"""


@pytest.fixture(scope="module")
def arms(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arms")
    (folder / "arms.yaml").write_text(STUDY)
    made = open_door(
        folder, "experiment", "--study", "arms.yaml", "--corpus", str(corpus), *MICRO, *ALONE
    )
    assert made.returncode == 0, made.stderr
    (folder / "stdout").write_text(made.stdout)
    return folder


def accounts(folder: Path, arm: str, generation: int) -> dict:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    version = client.get_model_version_by_alias(f"arms.{arm}.seed0", f"gen-{generation}")
    return json.loads(Path(client.download_artifacts(version.run_id, "ledger.json")).read_text())


def test_ledgers_say_what_each_arm_read(arms: Path) -> None:
    read = {
        arm: list(accounts(arms, arm, 2)["sources"])
        for arm in ("replace", "fresh", "static", "mixed", "accumulate")
    }
    assert read == {
        "replace": ["synthetic_gen2"],
        "fresh": ["human_fresh"],
        "static": ["human_static"],
        "mixed": ["synthetic_gen2", "human_fresh"],
        "accumulate": ["human_static", "synthetic_gen1", "synthetic_gen2"],
    }


def test_budgets_are_equal_but_for_accumulate(arms: Path) -> None:
    offered = {
        arm: accounts(arms, arm, 2)["tokens_offered"]
        for arm in ("replace", "fresh", "static", "mixed", "accumulate", "accumulate_subsample")
    }
    one = offered["replace"]
    assert offered == {arm: 3 * one if arm == "accumulate" else one for arm in offered}
    assert "Not every arm read as much as" in (arms / "stdout").read_text()


def test_fresh_generations_read_disjoint_texts(arms: Path) -> None:
    from datasets import load_from_disk

    client = mlflow.MlflowClient(f"sqlite:///{arms}/mlflow.db")
    seen: list[set[str]] = []
    for generation in range(3):
        version = client.get_model_version_by_alias("arms.fresh.seed0", f"gen-{generation}")
        texts = load_from_disk(client.download_artifacts(version.run_id, "human_text"))["text"]
        seen.append(set(texts))
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def test_no_truth_is_measured_where_none_is_known(arms: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{arms}/mlflow.db")
    experiment = client.get_experiment_by_name("arms").experiment_id
    names = {name for run in client.search_runs([experiment]) for name in run.data.metrics}
    assert "human/nll_nats" in names
    assert "own/nll_nats" in names
    assert not any(name.startswith("truth/") for name in names)


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_chain_that_fails_does_not_take_the_others_along(
    workers: str, corpus: Path, tmp_path: Path
) -> None:
    """Fresh text runs out in generation 1; replace goes on; the report lists what failed."""
    (tmp_path / "short.yaml").write_text(
        "question: who fails\narms: {replace: {}, fresh: {}}\ncontrol: fresh\n"
        "settings: {seeds: 1, generations: 1}\n"
    )
    words = [*MICRO, "--baseline_documents", "270", "--documents", "160", "--workers", workers]
    made = open_door(
        tmp_path, "experiment", "--study", "short.yaml", "--corpus", str(corpus), *words
    )
    assert made.returncode == 2
    assert "used up in generation 1" in made.stderr.strip().splitlines()[-1]
    assert "Traceback" not in made.stderr
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("short").experiment_id
    status = {
        (run.info.run_name, run.data.tags.get("arm")): run
        for run in client.search_runs([experiment])
    }
    assert status["recurse_step g1", "replace"].info.status == "FINISHED"
    failed = status["recurse_step g1", "fresh"]
    assert failed.info.status == "FAILED"
    assert "used up" in failed.data.tags["error"]
    assert status["short.fresh.seed0", "fresh"].info.status == "FAILED"
    assert status["short.replace.seed0", "replace"].info.status == "FINISHED"
    assert "1 failed" in made.stdout
    assert not [run for run in status.values() if run.info.status == "RUNNING"]
