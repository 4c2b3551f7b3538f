"""The doors `svd_probe` and `surgery` on the micro chain, looked at through MLflow's own client."""

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch

from collapse.language.pretrained import load_model
from collapse.numerics.rank import participation_ratio
from collapse.probes.heads import head_matrices
from collapse.probes.heads.spectra import WHICH
from tests.conftest import MICRO, open_door

NORMED = "hidden_size=32,intermediate_size=64,num_hidden_layers=2,qk_norm=true"
SMALL = [
    *("--preset_overrides", NORMED),
    *("--rank_tokens", "100"),
    *("--checkpoint_tokens", "0,512"),
]
CUT = ("--prune_percents", "50,90", "--random_draws", "2", "--surgery_tokens", "300")


def door(folder: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    cut = CUT if name == "surgery" else ()
    return open_door(folder, name, *MICRO, *SMALL, *cut, *words)


class Store:
    """What a folder's store holds."""

    def __init__(self, folder: Path) -> None:
        self.client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        self.experiment = self.client.get_experiment_by_name("quickstart").experiment_id

    def named(self, name: str) -> Any:
        query = f"attributes.run_name = '{name}'"
        return self.client.search_runs([self.experiment], query)[0]

    def file(self, name: str, file: str) -> Path:
        return Path(self.client.download_artifacts(self.named(name).info.run_id, file))

    def steps(self, name: str, metric: str) -> dict[int, float]:
        history = self.client.get_metric_history(self.named(name).info.run_id, metric)
        return {one.step: one.value for one in history}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which heads were looked at, and cut, at generation 0, and nothing else."""
    empty = tmp_path_factory.mktemp("ranks")
    for name in ("svd_probe", "surgery"):
        made = door(empty, name, "--generation", "0")
        assert made.returncode == 0, made.stderr
    return empty


@pytest.fixture(scope="module")
def store(folder: Path) -> Store:
    return Store(folder)


def test_every_head_is_in_the_table_at_every_point_of_the_schedule(store: Store) -> None:
    table = pd.read_csv(store.file("svd_probe g0", "head_ranks.csv"))
    assert sorted(table["tokens"].unique()) == [0, 512, 1024]
    assert set(table["which"]) == set(WHICH)
    assert set(table["site"]) == {"projection"}
    keys = table[(table["which"] == "K") & (table["tokens"] == 1024)]
    assert list(zip(keys["layer"], keys["head"], strict=True)) == [
        (layer, head) for layer in range(2) for head in range(4)
    ]


def test_numbers_are_those_of_numpy_on_the_registered_weights(store: Store) -> None:
    """By another road: the version's files, the stored batch, numpy's decomposition."""
    batch = torch.from_numpy(np.load(store.file("svd_probe g0", "rank_batch.npy"))).long()
    version = store.client.get_model_version_by_alias("quickstart.replace.seed0", "gen-0")
    files = mlflow.artifacts.download_artifacts(
        store.client.get_model_version_download_uri(version.name, version.version),
        tracking_uri=store.client.tracking_uri,
    )
    model = load_model(Path(files) / "model")
    matrices = head_matrices(model, batch, "projection")
    expected = [
        participation_ratio(np.linalg.svd(one.double().numpy(), compute_uv=False))
        for layer in matrices
        for one in layer.keys_KxNxE
    ]
    values = store.named("svd_probe g0").data.metrics
    assert math.isclose(values["svd/K/participation_ratio"], float(np.mean(expected)), rel_tol=1e-6)


def test_trajectory_is_by_tokens_and_the_rest_by_generation(store: Store) -> None:
    name = "trajectory/svd/K/participation_ratio"
    trajectory = store.steps("svd_probe g0", name)
    assert sorted(trajectory) == [0, 512, 1024]
    final = store.steps("svd_probe g0", "svd/K/participation_ratio")
    assert final == {0: trajectory[1024]}
    losses = store.steps("svd_probe g0", "trajectory/human/nll_nats")
    assert losses[0] == pytest.approx(math.log(300), abs=0.2)
    assert losses[1024] < losses[0]
    chain = store.named("quickstart.replace.seed0").data.metrics
    assert chain["svd/K/participation_ratio"] == trajectory[1024]
    assert not [one for one in chain if one.startswith("trajectory/")]


def test_gains_are_a_secondary_measure(store: Store) -> None:
    values = store.named("svd_probe g0").data.metrics
    assert 1 <= values["svd/gain_product/participation_ratio"] <= 8
    pairs = pd.read_csv(store.file("svd_probe g0", "gain_pairs.csv"))
    assert len(pairs) == 2 * 4 * 8
    np.testing.assert_allclose(pairs["key_rms"], pairs["gain"] * pairs["unit_rms"], rtol=1e-6)


def test_surgery_has_a_curve_for_every_strategy(store: Store) -> None:
    table = pd.read_csv(store.file("surgery g0", "surgery.csv"))
    assert set(table["strategy"]) == {"svd", "gamma", "random"}
    assert table[table["strategy"] == "random"].groupby(["basis", "draw"]).ngroups == 4
    whole = table[table["percent"] == 0]["nll_nats"].unique()
    assert len(whole) == 1
    curve = store.steps("surgery g0", "surgery/random/nll_nats")
    assert sorted(curve) == [0, 50, 90]
    draws = table[(table["strategy"] == "random") & (table["percent"] == 90)]["nll_nats"]
    assert curve[90] == pytest.approx(draws.mean())
    assert store.steps("surgery g0", "surgery/random/nll_nats_sd")[90] == pytest.approx(draws.std())
    excess = store.named("surgery g0").data.metrics["surgery/random/excess_nats"]
    assert excess == pytest.approx((curve[50] + curve[90]) / 2 - curve[0])


def test_surgery_says_where_it_cut_and_changed_no_version(store: Store) -> None:
    summary = json.loads(store.file("surgery g0", "surgery.json").read_text())
    assert summary["edited_at"] == "after_norm"
    assert summary["keys_from"] == "post_norm"
    assert summary["left_out"] == {}
    assert len(store.client.search_model_versions("name='quickstart.replace.seed0'")) == 1


def test_pictures_are_kept(store: Store) -> None:
    for name, file in (("svd_probe g0", "head_ranks.png"), ("surgery g0", "surgery.png")):
        assert store.file(name, file).read_bytes().startswith(b"\x89PNG")


def test_batch_is_noted_and_the_same_for_both(store: Store) -> None:
    looked = json.loads(store.file("svd_probe g0", "svd_probe.json").read_text())["batch"]
    cut = json.loads(store.file("surgery g0", "surgery.json").read_text())["batch"]
    assert looked == cut
    assert (looked["rows"], looked["row_tokens"]) == (2, 50)


def test_gains_are_refused_where_there_are_none(folder: Path) -> None:
    plain = NORMED.replace("qk_norm=true", "qk_norm=false")
    words = ("--generation", "0", "--preset_overrides", plain, "--prune_by", "gamma")
    made = door(folder, "surgery", *words)
    assert made.returncode == 2
    *meanwhile, line = made.stderr.splitlines()
    assert "prune_by=gamma needs a norm on the keys" in line
    assert all(one.startswith("quickstart: ") for one in meanwhile)  # of a slow machine


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("--prune_percents", "0,95"), "0 to 90"),
        (("--prune_percents", "50,20"), "rising"),
        (("--prune_by", "magnitude"), "svd, gamma, random"),
        (("--rank_tokens", "0"), "above 0"),
        (("--random_draws", "1"), "2 or more"),
    ],
)
def test_bad_values_are_one_line(tmp_path: Path, words: tuple[str, ...], right: str) -> None:
    made = door(tmp_path, "surgery", *words)
    assert made.returncode == 2
    assert len(made.stderr.splitlines()) == 1
    assert words[0][2:] in made.stderr
    assert right in made.stderr
    assert not list(tmp_path.iterdir())


def test_a_look_between_takes_no_place_but_when_it_is_to_be_run_again(
    folder: Path, store: Store, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    chain, metric = "quickstart.replace.seed0", "svd/K/participation_ratio"
    before = store.steps(chain, metric)
    other = ("--generation", "0", "--site", "post_rope")
    made = door(copy, "svd_probe", *other)
    assert made.returncode == 0, made.stderr
    assert "keeps what svd_probe measured before" in made.stderr
    assert "site=projection there, site=post_rope here" in made.stderr
    assert Store(copy).steps(chain, metric) == before
    again = door(copy, "svd_probe", *other, "--rerun", "true")
    assert "keeps what" not in again.stderr
    value = Store(copy).named("svd_probe g0").data.metrics[metric]
    assert Store(copy).named(chain).data.metrics[metric] == value != before[0]
