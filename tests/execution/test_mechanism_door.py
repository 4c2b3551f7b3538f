"""The door `mechanism` on the micro chain, looked at through MLflow's own client."""

import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from collapse.execution.task import asked_ancestors
from collapse.language.pretrained import load_model
from collapse.parameters.doors import Mechanism
from collapse.parameters.study import load_study
from collapse.probes.mechanism import filter_directions, loss_slice
from collapse.stages.generation import open_ground
from collapse.stages.plan import PROBE_DOORS
from collapse.stages.probe_batch import probe_batch
from collapse.stages.workspace import Inputs, Workspace
from tests.conftest import MICRO, open_door

CHAIN = "quickstart.replace.seed0"
SMALL = ["--probe_tokens", "256", "--probe_parts", "4"]
SLICE = ["--landscape_points", "5", "--landscape_radius", "0.5"]


class Store:
    """What a folder's store holds of the stage."""

    def __init__(self, folder: Path) -> None:
        self.client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        self.experiment = self.client.get_experiment_by_name("quickstart").experiment_id

    def named(self, name: str) -> Any:
        return self.client.search_runs([self.experiment], f"attributes.run_name = '{name}'")[0]

    def file(self, name: str, file: str) -> Path:
        return Path(self.client.download_artifacts(self.named(name).info.run_id, file))

    def files(self, generation: int) -> Path:
        """The model of a registered version."""
        version = self.client.get_model_version_by_alias(CHAIN, f"gen-{generation}")
        files = mlflow.artifacts.download_artifacts(
            self.client.get_model_version_download_uri(version.name, version.version),
            tracking_uri=self.client.tracking_uri,
        )
        return Path(files) / "model"

    def weights(self, generation: int) -> torch.Tensor:
        """All weights of a registered version, from its file."""
        tensors = load_file(self.files(generation) / "model.safetensors")
        return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which generations 2 and 0 were looked at, and nothing else was asked for."""
    empty = tmp_path_factory.mktemp("mechanism")
    for words in (["--generation", "2", *SLICE], ["--generation", "0"]):
        made = open_door(empty, "mechanism", *MICRO, *SMALL, *words)
        assert made.returncode == 0, made.stderr
    return empty


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return Store(folder)


def test_drift_is_that_between_the_registered_files(store: Store) -> None:
    values = store.named("mechanism g2").data.metrics
    newest, parent, first = (store.weights(generation) for generation in (2, 1, 0))
    for name, then in (("drift", first), ("drift_from_previous", parent)):
        expected = float((newest - then).norm() / then.norm())
        assert values[f"{name}/all"] == pytest.approx(expected, rel=1e-6)
    assert values["drift/all"] != values["drift_from_previous/all"]


def test_every_name_of_the_design_is_logged_with_its_error(store: Store) -> None:
    values = store.named("mechanism g2").data.metrics
    for text in ("gradient", "gradient/own"):
        for name in ("norm", "signal_share", "cosine_to_g0", "cosine_to_previous"):
            assert f"{text}/{name}" in values
            assert values[f"{text}/{name}_se"] > 0
        assert values[f"{text}/cosine_to_g0"] < values[f"{text}/cosine_to_previous"] < 1
    for layer in ("embed_tokens", "layer_0"):
        assert 0.5 < values[f"cka/{layer}"] < 1
        assert values[f"cka/{layer}_se"] > 0
        assert 1 < values[f"activation/{layer}/participation_ratio"] < 32
        assert values[f"activation/{layer}/norm"] > 0
    assert {f"drift/{layer}" for layer in ("all", "embed_tokens", "layer_0", "norm")} <= set(values)
    for name in ("rise", "rise_half"):
        assert f"landscape/{name}_nats" in values
    history = store.client.get_metric_history(store.named(CHAIN).info.run_id, "cka/layer_0")
    assert [one.step for one in history] == [2]


def test_tables_hold_every_layer_and_every_point(store: Store) -> None:
    values = store.named("mechanism g2").data.metrics
    gradients = pd.read_csv(store.file("mechanism g2", "gradients.csv"))
    assert list(gradients.groupby("text").size()) == [4, 4]
    whole = gradients[(gradients["text"] == "human") & (gradients["layer"] == "all")].iloc[0]
    assert whole["norm"] == pytest.approx(values["gradient/norm"])
    rest = gradients[(gradients["text"] == "human") & (gradients["layer"] != "all")]
    assert (rest["norm"] ** 2).sum() == pytest.approx(whole["norm"] ** 2)
    layers = pd.read_csv(store.file("mechanism g2", "layers.csv")).set_index("layer")
    assert set(layers.index) == {"all", "embed_tokens", "layer_0", "norm"}
    assert layers["cka"]["layer_0"] == pytest.approx(values["cka/layer_0"])
    points = pd.read_csv(store.file("mechanism g2", "landscape.csv"))
    assert len(points) == 25
    assert sorted(points["first"].unique()) == [-0.5, -0.25, 0, 0.25, 0.5]
    picture = store.file("mechanism g2", "mechanism.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_the_slice_is_around_the_generation_in_steps_of_generation_0(store: Store) -> None:
    words = [*MICRO, *SMALL, *SLICE]
    given = {name[2:]: value for name, value in zip(words[::2], words[1::2], strict=True)}
    parameters = load_study("quickstart").door(
        Mechanism, given | {"arm": "replace", "seed": 0, "generation": 2}, "replace"
    )
    prepared = store.file("prepare", "")
    workspace = Workspace(prepared, prepared, Inputs(prepared=prepared))
    batch = probe_batch("human", parameters, workspace, open_ground(workspace))
    newest, first = (load_model(store.files(generation)) for generation in (2, 0))
    directions = filter_directions(first, parameters.study_seed)
    expected = loss_slice(newest, batch.parts, directions, np.linspace(-0.5, 0.5, 5))
    points = pd.read_csv(store.file("mechanism g2", "landscape.csv"))
    np.testing.assert_allclose(points["loss_nats"], expected.losses().ravel(), rtol=1e-6)
    own = loss_slice(newest, batch.parts, filter_directions(newest, 0), np.linspace(-0.5, 0.5, 5))
    assert abs(own.losses() - expected.losses()).max() > 1e-5


def test_generation_0_is_not_compared_with_itself(store: Store) -> None:
    values = store.named("mechanism g0").data.metrics
    assert "gradient/norm" in values
    assert "activation/layer_0/participation_ratio" in values
    assert not [n for n in values if n.startswith(("drift", "cka", "landscape")) or "cosine" in n]
    summaries = [
        json.loads(store.file(f"mechanism g{g}", "mechanism.json").read_text()) for g in (0, 2)
    ]
    assert [one["compared_with"] for one in summaries] == [[], [0, 1]]
    # The human text is one for all generations, the own text another at each.
    digests = [{t: one["texts"][t]["digest"] for t in ("human", "own")} for one in summaries]
    assert digests[0]["human"] == digests[1]["human"]
    assert digests[0]["own"] != digests[1]["own"]


@pytest.mark.parametrize(("newest", "expected"), [(0, []), (1, [0]), (2, [0, 1]), (5, [0, 4])])
def test_weights_of_ancestors_are_fetched_for_this_stage_alone(
    newest: int, expected: list[int]
) -> None:
    study = load_study("quickstart")
    for name, door in PROBE_DOORS.items():
        parameters = study.door(door, {"arm": "replace", "seed": 0, "generation": newest})
        found = asked_ancestors(parameters, newest)
        assert found == (expected if name == "mechanism" else [])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--probe_tokens", "32"], "probe_tokens=32"),
        (["--landscape_points", "4"], "odd and 5 or more"),
        (["--landscape_radius", "0"], "above 0"),
    ],
)
def test_bad_values_are_one_line(tmp_path: Path, words: list[str], says: str) -> None:
    made = open_door(tmp_path, "mechanism", *MICRO, *words)
    assert made.returncode == 2
    assert made.stderr.strip().count("\n") == 0
    assert says in made.stderr
    assert not list(tmp_path.iterdir())
