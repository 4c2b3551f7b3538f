"""The door `hessian` on the micro chain, looked at through MLflow's own client."""

import json
import subprocess
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from tests.conftest import MICRO, open_door

CHAIN = "quickstart.replace.seed0"
SMALL = [
    "--probe_texts",
    "human,own",
    "--probe_tokens",
    "256",
    "--probe_parts",
    "2",
    "--probe_vectors",
    "3",
    "--density_steps",
    "4",
]


def door(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return open_door(folder, "hessian", *MICRO, *SMALL, *words)


class Store:
    """What a folder's store holds of the stage."""

    def __init__(self, folder: Path) -> None:
        self.client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        self.experiment = self.client.get_experiment_by_name("quickstart").experiment_id

    def named(self, name: str) -> mlflow.entities.Run:
        """The newest run of a name."""
        query = f"attributes.run_name = '{name}'"
        found = self.client.search_runs([self.experiment], query, order_by=["start_time DESC"])
        return found[0]

    def artifact(self, name: str, file: str) -> Path:
        return Path(self.client.download_artifacts(self.named(name).info.run_id, file))

    def analysis(self, name: str) -> dict[str, Any]:
        return json.loads(self.artifact(name, "hessian_analysis.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the Hessian of generation 1 was asked for, and nothing else."""
    empty = tmp_path_factory.mktemp("hessian")
    made = door(empty, "--generation", "1")
    assert made.returncode == 0, made.stderr
    assert "building them first" in made.stderr
    return empty


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(folder)


@pytest.mark.parametrize("text", ["human", "own"])
def test_every_name_of_the_design_is_logged_with_its_error(store: Store, text: str) -> None:
    values = store.named("hessian g1").data.metrics
    ends = ("lambda_max", "lambda_min", "lambda_max_over_abs_min", "range")
    plain = (*ends, "legacy_ratio", "iqr_ratio")
    estimated = ("trace", "variance", "negative_share", "bulk_center", "bulk_width")
    for name in (*plain, *estimated, *(f"{one}_se" for one in estimated)):
        assert f"hessian/{text}/{name}" in values
    assert values[f"hessian/{text}/lambda_max_data_se"] > 0
    certified = values[f"hessian/{text}/certified"]
    found = store.analysis("hessian g1")["texts"][text]
    assert certified == all(
        one["certified"] for one in (*found["outliers"], found["lambda_max"], found["lambda_min"])
    )
    # No ratio without certificates (DESIGN 4).
    outliers = all(one["certified"] for one in (*found["outliers"], found["lambda_max"]))
    assert (f"hessian/{text}/spectral_ratio" in values) == outliers


def test_the_file_holds_enough_to_draw_and_judge_it_again(store: Store) -> None:
    whole = store.analysis("hessian g1")
    for text in ("human", "own"):
        found = whole["texts"][text]
        assert len(found["eigenvalue_density"]) == 30
        assert len(found["probes"]) == 3
        first = found["probes"][0]
        tridiagonal = np.diag(first["alpha"]) + sum(
            np.diag(first["beta"][:-1], side) for side in (1, -1)
        )
        np.testing.assert_allclose(
            np.linalg.eigvalsh(tridiagonal), found["ritz_values"], atol=1e-12
        )
        assert found["graph"] == "kept"
        assert found["batch"]["rows"] == 4
    picture = store.artifact("hessian g1", "hessian_spectrum.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_values_are_mirrored_on_the_chain(store: Store) -> None:
    history = store.client.get_metric_history(
        store.named(CHAIN).info.run_id, "hessian/human/lambda_max"
    )
    assert [one.step for one in history] == [1]
    run = store.named("hessian g1")
    assert run.data.tags["stage"] == "hessian"
    assert run.data.tags["mlflow.parentRunId"] == store.named(CHAIN).info.run_id


def test_a_second_call_reuses_the_run_and_a_rerun_gives_the_same_bits(
    folder: Path, store: Store
) -> None:
    before = store.named("hessian g1")
    again = door(folder, "--generation", "1")
    assert "was there already" in again.stdout
    forced = door(folder, "--generation", "1", "--rerun", "true")
    assert forced.returncode == 0, forced.stderr
    after = store.named("hessian g1")
    assert after.info.run_id != before.info.run_id

    def ours(run: mlflow.entities.Run) -> dict[str, float]:
        return {k: v for k, v in run.data.metrics.items() if k.startswith("hessian/")}

    assert ours(after) == ours(before)


def test_quick_mode_measures_ends_and_says_nothing_of_the_bulk(folder: Path, store: Store) -> None:
    made = door(folder, "--generation", "2", "--mode", "quick", "--probe_texts", "human")
    assert made.returncode == 0, made.stderr
    values = store.named("hessian g2").data.metrics
    assert "hessian/human/lambda_max" in values
    assert not [name for name in values if "bulk" in name or "own" in name or "trace" in name]
    # In a basis of sixteen vectors, thirty products at least: certified ends, and no density.
    found = store.analysis("hessian g2")["texts"]["human"]
    assert len(found["ritz_values"]) < 16 < 30 <= found["products"]
    assert found["lambda_max"]["certified"]
    assert (found["legacy"], found["eigenvalue_density"]) == (None, [])


def test_layers_and_overlaps_are_options(folder: Path, store: Store) -> None:
    words = ["--probe_texts", "human", "--layer_spectra", "true", "--overlap", "true"]
    made = door(folder, "--generation", "2", "--mode", "quick", *words)
    assert made.returncode == 0, made.stderr
    values = store.named("hessian g2").data.metrics
    whole = values["hessian/human/lambda_max"]
    blocks = {name.split("/")[2] for name in values if name.count("/") == 3}
    assert blocks == {"layer_0", "embed_tokens", "norm"}
    # Cauchy's interlacing: no block has a larger eigenvalue than the whole.
    for block in blocks:
        assert values[f"hessian/human/{block}/lambda_max"] <= whole * (1 + 1e-3)
    for name in ("overlap_previous", "overlap_g0"):
        assert 0 <= values[f"hessian/human/{name}"] <= 1 + 1e-6
    assert values["hessian/human/overlap_previous"] > 0.01  # three steps at a small rate


def test_pyhessian_goes_through_the_same_stage_by_names_of_its_own(
    folder: Path, store: Store
) -> None:
    ours = store.named("hessian g1").data.metrics["hessian/human/lambda_max"]
    made = door(folder, "--generation", "1", "--backend", "pyhessian", "--probe_texts", "human")
    assert made.returncode == 0, made.stderr
    assert "repaired" in made.stderr
    values = store.named("hessian g1").data.metrics
    assert not [name for name in values if name.startswith("hessian/")]
    assert values["pyhessian/human/lambda_max"] == pytest.approx(ours, rel=0.05)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--probe_tokens", "32"], "probe_tokens=32"),
        (["--backend", "pyhessian", "--overlap", "true"], "overlap=true"),
        (["--backend", "pyhessian", "--operator", "gauss_newton"], "operator=gauss_newton"),
        (["--lanczos_steps", "12"], "30 or more"),
        (["--mode", "slow"], "quick"),
    ],
)
def test_bad_input_is_refused_before_anything_is_built(
    words: list[str], says: str, tmp_path: Path
) -> None:
    made = door(tmp_path, *words)
    assert made.returncode == 2
    assert made.stderr.startswith("error: ")
    assert made.stderr.strip().count("\n") == 0
    assert says in made.stderr
    assert not (tmp_path / "mlflow.db").exists()


def test_too_little_text_is_one_line_and_a_failed_run(folder: Path, store: Store) -> None:
    made = door(folder, "--generation", "1", "--probe_tokens", "64000")
    assert made.returncode == 2
    assert "probe_tokens=64000 on human text" in made.stderr
    assert store.named("hessian g1").info.status == "FAILED"
