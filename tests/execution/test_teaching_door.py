"""A student, its teacher and a model without its mask, through the door."""

import json
import subprocess
from pathlib import Path
from typing import Any

import mlflow
import pytest

from tests.conftest import MICRO, open_door

OF_ARMS = ("--preset_overrides", "--baseline_steps", "--vocabulary_size")
"""What the study file sets itself, as its arms differ in it."""
SHAPE = MICRO[MICRO.index("--preset_overrides") + 1]
SHARED = [
    word
    for name, value in zip(MICRO[::2], MICRO[1::2], strict=True)
    if name not in OF_ARMS
    for word in (name, value)
]
STUDY = f"""
question: does a student have a teacher
arms:
  student: {{kind: static, teacher: master, teacher_text: 0.25, teacher_weight: 0.6}}
  master: {{kind: static, baseline_steps: 8}}
  reader: {{kind: static, teacher: master, teacher_text: 1.0, teacher_weight: 0.0, vocabulary_size: 280}}
  no_mask: {{kind: static, preset_overrides: "causal=false,{SHAPE}"}}
control: master
settings:
  {{seeds: 1, generations: 0, preset_overrides: "{SHAPE}", baseline_steps: 4, vocabulary_size: 300}}
"""  # noqa: E501


def door(folder: Path, name: str, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "taught.yaml").write_text(text)
    return open_door(folder, name, "--study", "taught.yaml", *SHARED, *words)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    made = door(folder, "experiment", STUDY, "--workers", "1")
    assert made.returncode == 0, made.stderr
    (folder / "stdout").write_text(made.stdout)
    return folder


def run_of(folder: Path, arm: str) -> tuple[mlflow.MlflowClient, Any]:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    version = client.get_model_version_by_alias(f"taught.{arm}.seed0", "gen-0")
    return client, client.get_run(version.run_id)


def artifact(folder: Path, arm: str, name: str) -> Any:
    client, run = run_of(folder, arm)
    return json.loads(Path(client.download_artifacts(run.info.run_id, name)).read_text())


def test_a_student_reads_its_teachers_text_and_hears_its_distributions(taught: Path) -> None:
    sources = artifact(taught, "student", "ledger.json")["sources"]
    assert list(sources) == ["human_fresh", "teacher"]
    offered = sum(source["tokens"] for source in sources.values())
    assert sources["teacher"]["tokens"] == round(0.25 * offered)
    assert run_of(taught, "student")[1].data.metrics["train/teacher_kl_nats"] > 0
    assert artifact(taught, "student", "teacher.json")["teacher"] == "master"
    assert "train/teacher_kl_nats" not in run_of(taught, "master")[1].data.metrics


def test_text_alone_crosses_vocabularies(taught: Path) -> None:
    assert list(artifact(taught, "reader", "ledger.json")["sources"]) == ["teacher"]
    assert "train/teacher_kl_nats" not in run_of(taught, "reader")[1].data.metrics


def test_the_leak_is_named_in_the_run_and_before_the_verdict(taught: Path) -> None:
    leaking, sound = (run_of(taught, arm)[1].data.metrics for arm in ("no_mask", "master"))
    assert leaking["train/sees_future"] == 1
    assert leaking["train/future_leak_logits"] > 1e-3
    assert sound["train/sees_future"] == 0
    assert sound["train/future_leak_logits"] < 1e-4
    told = (taught / "stdout").read_text()
    assert "ALARM" in told
    assert "The model of no_mask sees the tokens that it is to predict (seed 0)" in told
    assert "model of master" not in told


def test_distributions_do_not_cross_vocabularies(taught: Path) -> None:
    apart = STUDY.replace("master: {kind: static,", "master: {kind: static, vocabulary_size: 270,")
    made = door(taught, "recurse_step", apart, "--arm", "student")
    assert made.returncode == 2
    assert "another vocabulary than its student" in made.stderr.splitlines()[-1]
    assert "Traceback" not in made.stderr


@pytest.mark.parametrize(
    ("arm", "words"),
    [
        (
            "itself: {kind: static, teacher: itself}",
            "learns from itself: its teacher must be another",
        ),
        ("third: {kind: static, teacher: student}", "must be another arm, one without a teacher"),
        ("fourth: {kind: static, teacher: ./nowhere}", "model './nowhere': there is no such"),
        ("fifth: {kind: static, beams: 3}", "beams=3 is a search and draws nothing"),
    ],
)
def test_what_does_not_go_is_refused_before_anything_runs(
    taught: Path, arm: str, words: str
) -> None:
    study = STUDY.replace("control:", f"  {arm}\ncontrol:")
    made = door(taught, "recurse_step", study, "--arm", arm.partition(":")[0])
    assert made.returncode == 2
    assert words in made.stderr.splitlines()[-1]
    assert "Traceback" not in made.stderr
