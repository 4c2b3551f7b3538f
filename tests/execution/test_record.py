"""The record of an experiment (R3.7): from one number to all it came from, and no way round."""

import hashlib
import json
import shlex
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import mlflow
import pytest

from collapse.errors import StoreError
from collapse.execution.prepared import prepare_plan
from collapse.language.corpora.source import corpus_fingerprint
from collapse.parameters.doors import Experiment, RecurseStep, Report
from collapse.parameters.fields import settings_of
from collapse.parameters.study import load_study
from collapse.stages.device import choose_device, device_name
from collapse.stages.plan import plan_chain
from collapse.tracking import provenance, seals, store
from entrypoints.record import commands
from tests.conftest import MICRO, open_door

CHAIN = "quickstart.replace.seed0"
NUMBER = "validation/nll_nats"
WORDS = dict(zip((word[2:] for word in MICRO[::2]), MICRO[1::2], strict=True))


class Walk:
    """A number of a chain's generation 1, and the roads that lead from it."""

    def __init__(self, folder: Path) -> None:
        self.client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        self.experiment = self.client.get_experiment_by_name("quickstart")
        query = f"attributes.run_name = '{CHAIN}'"
        self.chain = self.client.search_runs([self.experiment.experiment_id], query)[0]
        self.run = self.client.get_run(self.chain.data.tags["mirrored.recurse_step.1"])

    def file(self, run: Any, name: str) -> Path:
        return Path(self.client.download_artifacts(run.info.run_id, name))


@pytest.fixture(scope="module")
def walk(micro_chain: Path) -> Walk:
    return Walk(micro_chain)


def test_to_the_run_that_measured_it_when_where_and_by_which_sources(walk: Walk) -> None:
    history = walk.client.get_metric_history(walk.chain.info.run_id, NUMBER)
    value = {one.step: one.value for one in history}[1]
    assert walk.run.data.metrics[NUMBER] == value
    assert walk.run.info.status == "FINISHED"
    assert walk.chain.info.start_time <= walk.run.info.start_time < walk.run.info.end_time
    commit = provenance.git_commit().removesuffix("-dirty")
    assert walk.run.data.tags["git_commit"].removesuffix("-dirty") == commit
    assert walk.run.data.tags["device"] == device_name(choose_device("auto"))


def test_to_its_full_configuration(walk: Walk) -> None:
    content = json.loads(walk.file(walk.run, "parameters.json").read_text())
    assert set(content) == {one.name for one in fields(RecurseStep)}
    assert {k: str(content[k]) for k in ("documents", "steps", "vocabulary_size")} == {
        k: WORDS[k] for k in ("documents", "steps", "vocabulary_size")
    }
    plan = plan_chain(
        load_study("quickstart"), WORDS, arm="replace", seed=0, generation=1, probes=()
    )
    known = prepare_plan(load_study("quickstart"), plan).fingerprints
    assert walk.run.data.tags["fingerprint"] == known["recurse_step/replace/seed0/gen1"]


def test_to_the_data(walk: Walk) -> None:
    assert walk.run.data.tags["corpus_fingerprint"] == corpus_fingerprint("stories:lost")
    texts = {
        tag.value: one.dataset.digest for one in walk.run.inputs.dataset_inputs for tag in one.tags
    }
    assert "training" in texts
    assert all(texts.values())


def test_to_the_hypothesis_as_it_stood_before(walk: Walk) -> None:
    content = json.loads(walk.file(walk.chain, "hypothesis.json").read_text())
    study = load_study("quickstart")
    assert content["question"] == study.question
    assert [one["id"] for one in content["claims"]] == [one.id for one in study.claims]
    text = json.dumps(content["claims"], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert digest == walk.chain.data.tags["claims_hash"] == walk.experiment.tags["claims_hash"]


def test_to_the_weights(walk: Walk) -> None:
    version = walk.client.get_model_version_by_alias(CHAIN, "gen-1")
    assert version.run_id == walk.run.info.run_id
    source = walk.client.get_model_version_download_uri(CHAIN, version.version)
    folder = Path(
        mlflow.artifacts.download_artifacts(source, tracking_uri=walk.client.tracking_uri)
    )
    sealed = json.loads(version.tags["sha256"])
    assert "model/model.safetensors" in sealed
    for name, digest in sealed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    parent = walk.client.get_model_version(CHAIN, version.tags["parent_version"])
    assert parent.tags["generation"] == "0"


@pytest.fixture
def copy(micro_chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """The same store's database, which a test may change."""
    shutil.copy(micro_chain / "mlflow.db", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    store.connect()
    return Walk(tmp_path)


def test_every_finished_run_is_sealed_and_a_changed_one_is_not_read(copy: Walk) -> None:
    every = copy.client.search_runs([copy.experiment.experiment_id], "tags.run_kind = 'stage'")
    assert every
    for run in every:
        assert seals.SEAL_TAG in run.data.tags
        seals.require_sealed(run)
    seals.require_records([copy.chain])
    copy.client.log_metric(copy.run.info.run_id, NUMBER, 0.1, step=9)
    with pytest.raises(StoreError, match=f"{copy.run.info.run_id}.*was changed after it finished"):
        seals.require_records([copy.chain])


def test_a_number_changed_on_the_chain_alone_is_not_read(copy: Walk) -> None:
    copy.client.log_metric(copy.chain.info.run_id, NUMBER, 0.1, step=1)
    with pytest.raises(StoreError, match=f"{NUMBER} of generation 1 is 0.1"):
        seals.require_records([copy.client.get_run(copy.chain.info.run_id)])


def test_no_generation_is_built_on_a_changed_one(copy: Walk, tmp_path: Path) -> None:
    copy.client.set_tag(copy.run.info.run_id, "corpus_fingerprint", "another")
    made = open_door(tmp_path, "recurse_step", "--generation", "2", *MICRO)
    assert made.returncode == 2
    (line,) = made.stderr.strip().splitlines()
    assert f"the run {copy.run.info.run_id}" in line
    assert "rerun=true" in line


def test_the_lines_that_run_a_study_again_are_taken_by_the_doors() -> None:
    """What is the run's alone, as the number of workers, is no word for `report`."""
    study = load_study("quickstart")
    given = {"study": "quickstart", "scale": "trial", "workers": "3", "executor": "ray"}
    given |= {"corpus": "my texts.txt", "prompts": "7", "learning_rate": "1e-4"}
    parameters = study.door(Experiment, given)
    again, report = (shlex.split(line)[5:] for line in commands(study, parameters))
    assert {"workers=3", "executor=ray", "corpus=my texts.txt", "prompts=7"} <= set(again)
    for door, words in ((Experiment, again), (Report, report[2:])):
        assert words[::2] == ["-P"] * (len(words) // 2)
        pairs = dict(word.split("=", 1) for word in words[1::2])
        assert settings_of(study.door(door, pairs)) == settings_of(parameters)
