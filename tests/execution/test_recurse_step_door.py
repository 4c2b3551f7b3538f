"""`recurse_step --generation 2` on an empty store, looked at through MLflow's own client."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest

from collapse.execution import task
from tests.conftest import MICRO, door_process, empty_store, environment, open_door

CHAIN = "quickstart.replace.seed0"


@pytest.fixture
def client(micro_chain: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{micro_chain}/mlflow.db")


def runs(client: mlflow.MlflowClient, query: str = "") -> list[mlflow.entities.Run]:
    experiment = client.get_experiment_by_name("quickstart")
    return client.search_runs([experiment.experiment_id], query, order_by=["start_time ASC"])


def by_name(client: mlflow.MlflowClient) -> dict[str, mlflow.entities.Run]:
    return {run.info.run_name: run for run in runs(client)}


def test_says_what_it_builds_first_and_where_to_look(micro_chain: Path) -> None:
    assert "building them first" in (micro_chain / "stderr").read_text()
    assert "gen0" in (micro_chain / "stderr").read_text()
    last = (micro_chain / "stdout").read_text().strip().splitlines()[-1]
    assert "is done" in last
    assert "quickstart" in last


def test_children_stand_one_level_under_their_chain(client: mlflow.MlflowClient) -> None:
    found = by_name(client)
    assert set(found) == {CHAIN, "prepare", "baseline g0", "recurse_step g1", "recurse_step g2"}
    assert all(run.info.status == "FINISHED" for run in found.values())
    parent = found[CHAIN]
    assert not {"generation", "stage"} & set(parent.data.tags)
    for name in ("baseline g0", "recurse_step g1", "recurse_step g2"):
        tags = found[name].data.tags
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        wanted = {"study", "arm", "seed", "generation", "stage", "chain", "fingerprint"}
        assert wanted | {"git_commit"} <= set(tags)
        assert tags["chain"] == CHAIN
    assert "mlflow.parentRunId" not in found["prepare"].data.tags


def test_values_are_mirrored_on_the_chain_by_generation(client: mlflow.MlflowClient) -> None:
    found = by_name(client)
    history = client.get_metric_history(found[CHAIN].info.run_id, "validation/nll_nats")
    assert [one.step for one in sorted(history, key=lambda one: one.step)] == [0, 1, 2]
    for one in history:
        name = f"recurse_step g{one.step}" if one.step else "baseline g0"
        assert one.value == found[name].data.metrics["validation/nll_nats"]
    assert not any(name.startswith("system/") for name in found[CHAIN].data.metrics)


def test_parameters_and_the_full_set_as_an_artifact(client: mlflow.MlflowClient) -> None:
    run = by_name(client)["recurse_step g2"]
    assert run.data.params["steps"] == "3"
    assert run.data.params["arm"] == "replace"
    path = client.download_artifacts(run.info.run_id, "parameters.json")
    assert json.loads(Path(path).read_text())["generation"] == 2


def test_artifacts_bear_the_seeds_names(client: mlflow.MlflowClient) -> None:
    run = by_name(client)["recurse_step g2"]
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {
        "training_summary.json",
        "metadata.json",
        "ledger.json",
        "samples.txt",
        "synthetic_text",
    } <= names
    metadata = json.loads(
        Path(client.download_artifacts(run.info.run_id, "metadata.json")).read_text()
    )
    assert metadata["kept"] > 0
    assert metadata["drawn"] == metadata["kept"] + metadata["dropped"]
    assert metadata["parent_generation"] == 1
    from datasets import load_from_disk

    texts = load_from_disk(client.download_artifacts(run.info.run_id, "synthetic_text"))["text"]
    assert len(texts) == metadata["kept"]


def test_equal_budgets_are_in_the_ledger(client: mlflow.MlflowClient) -> None:
    accounts = []
    for name in ("recurse_step g1", "recurse_step g2"):
        run = by_name(client)[name]
        path = client.download_artifacts(run.info.run_id, "ledger.json")
        accounts.append(json.loads(Path(path).read_text()))
    assert accounts[0]["tokens_offered"] == accounts[1]["tokens_offered"]
    assert list(accounts[1]["sources"]) == ["synthetic_gen2"]


def test_texts_are_logged_as_datasets(client: mlflow.MlflowClient) -> None:
    found = by_name(client)
    prepared = {d.dataset.name for d in found["prepare"].inputs.dataset_inputs}
    assert {f"stories:lost.{one}" for one in ("validation", "test", "probe")} <= prepared
    (trained,) = found["recurse_step g2"].inputs.dataset_inputs
    assert trained.dataset.name == "synthetic_gen2"
    assert trained.tags[0].value == "training"


def test_versions_have_aliases_and_lineage_down_to_the_human_text(
    client: mlflow.MlflowClient,
) -> None:
    versions = [client.get_model_version_by_alias(CHAIN, f"gen-{g}") for g in range(3)]
    for g, version in enumerate(versions):
        assert version.tags["generation"] == str(g)
        assert version.tags["arm"] == "replace"
        assert len(version.tags["corpus_fingerprint"]) >= 16
    assert versions[1].tags["parent_version"] == str(versions[0].version)
    assert versions[2].tags["parent_version"] == str(versions[1].version)
    assert "parent_version" not in versions[0].tags


def test_second_call_reuses_and_rerun_does_not(micro_copy: Path) -> None:
    folder = micro_copy
    again = open_door(folder, "recurse_step", "--generation", "2", *MICRO)
    assert again.returncode == 0, again.stderr
    assert "was there already" in again.stdout
    assert "building" not in again.stderr
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    assert len(runs(client)) == 5
    forced = open_door(folder, "recurse_step", "--generation", "2", "--rerun", "true", *MICRO)
    assert "is done" in forced.stdout
    assert len(runs(client)) == 6
    assert "from now on" not in again.stderr
    assert "quickstart.replace.seed0@gen-2 is version 4 from now on; version 3 " in forced.stderr


def test_same_parameters_give_the_same_bits(micro_chain: Path, tmp_path: Path) -> None:
    """Another store, another process, another working folder: the same files."""
    (tmp_path / "mlflow.db").write_bytes(empty_store())
    again = door_process(tmp_path, "recurse_step", "--generation", "2", *MICRO)
    assert again.returncode == 0, again.stderr
    seals = [
        by_name(mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db"))["recurse_step g2"].data.tags[
            "sha256"
        ]
        for folder in (micro_chain, tmp_path)
    ]
    assert seals[0] == seals[1]


def test_required_ancestors_are_named_and_nothing_is_made(tmp_path: Path) -> None:
    made = open_door(
        tmp_path, "recurse_step", "--generation", "2", "--ancestors", "require", *MICRO
    )
    assert made.returncode == 2, made.stderr
    assert "baseline/replace/seed0/gen0" in made.stderr
    assert "recurse_step/replace/seed0/gen1" in made.stderr
    assert len(made.stderr.strip().splitlines()) == 1
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    assert client.get_experiment_by_name("quickstart") is None


def test_quality_of_any_generation(micro_copy: Path) -> None:
    made = open_door(micro_copy, "quality", "--generation", "1", "--samples", "16", *MICRO)
    assert made.returncode == 0, made.stderr
    client = mlflow.MlflowClient(f"sqlite:///{micro_copy}/mlflow.db")
    metrics = by_name(client)["quality g1"].data.metrics
    wanted = {
        "human/nll_nats",
        "human/perplexity",
        "human/bits_per_byte",
        "human/entropy_nats",
        "own/nll_nats",
        "truth/kl_nats_per_token",
        "truth/valid_fraction",
        "truth/tail_coverage",
        "quality/distinct_1",
    }
    assert wanted <= set(metrics)
    assert metrics["truth/kl_nats_per_token"] < metrics["human/nll_nats"]
    chain = by_name(client)[CHAIN]
    (mirrored,) = client.get_metric_history(chain.info.run_id, "human/nll_nats")
    assert (mirrored.step, mirrored.value) == (1, metrics["human/nll_nats"])


def test_a_rerun_runs_though_an_earlier_call_could_not_hand_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a call after one that was killed take the half of what that one made for whole."""
    small = MICRO[:6]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(task, "_keep", full)
        assert open_door(tmp_path, "prepare", *small).returncode == 2
    code = "import os, runpy; from collapse.execution import task\n"
    code += "task._run_stage = lambda *_: os._exit(9)\n"
    code += "runpy.run_module('entrypoints.prepare', run_name='__main__')"
    killed = [sys.executable, "-c", code, *small, "--rerun", "true"]
    assert subprocess.run(killed, cwd=tmp_path, env=environment()).returncode == 9
    assert open_door(tmp_path, "prepare", *small).returncode == 0
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    first, last = runs(client)
    assert (first.info.status, last.info.status) == ("FAILED", "FINISHED")
    assert float(last.data.tags["stage_seconds"]) > 0
    kept = {one.path for one in client.list_artifacts(last.info.run_id)}
    assert {"parameters.json", "tokenizer"} <= kept


def test_a_chain_that_nothing_could_be_made_for_is_no_finished_one(tmp_path: Path) -> None:
    made = open_door(tmp_path, "experiment", *MICRO, "--vocabulary_size", "60000", "--workers", "1")
    assert made.returncode == 2, made.stderr
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    chain = by_name(client)[CHAIN]
    assert chain.info.status == "FAILED"
