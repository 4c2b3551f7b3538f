"""Weights kept on the way: which, that they do not disturb, and that a kill loses none."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from collapse.errors import BadParameter, StoreError
from collapse.language.checkpoint import verify_checkpoint
from collapse.language.pretrained import load_model
from collapse.measurement import Measurement
from collapse.parameters.doors import Baseline, Prepare
from collapse.parameters.parse import build
from collapse.stages.baseline import baseline
from collapse.stages.prepare import prepare
from collapse.stages.schedule import PlannedPoint, SchedulePoint, planned_points, schedule_points
from collapse.stages.workspace import Advance, Inputs, Workspace, no_progress
from tests.conftest import MICRO, environment

SETTINGS = {
    key.removeprefix("--"): value for key, value in zip(MICRO[::2], MICRO[1::2], strict=True)
}
# 8 steps of 256 tokens, a state after every third; kept at the steps 0, 2, 4, 5 and 8.
TRAINING = SETTINGS | {"baseline_steps": 8, "checkpoint_every": 3, "optimizer": "muon"}
TRAINING |= {
    "weight_decay": 0.1,
    "preset_overrides": SETTINGS["preset_overrides"] + ",qk_norm=true",
}
SCHEDULE = {"checkpoint_tokens": "0,500,1e3,1300,2048"}
STEPS = (0, 2, 4, 5, 8)
KILLED_AT = 5
"""Before point 5 is kept; the newest state is of step 3, so that point 4 lies after it."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    list(prepare(build(Prepare, SETTINGS), Workspace(folder, folder / "state", Inputs())))
    return folder


@contextmanager
def kill(what: str, _total: int) -> Iterator[Advance]:
    """Progress in the course of which this process dies."""
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if done == KILLED_AT:
            os.kill(os.getpid(), signal.SIGKILL)

    yield advance


def run(folder: Path, prepared: Path, progress=no_progress, **more: str) -> list[Measurement]:
    """The stage, in a folder whose artifacts are wiped first, as a task does it."""
    shutil.rmtree(folder / "artifacts", ignore_errors=True)
    for name in ("artifacts", "state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    workspace = Workspace(
        folder / "artifacts", folder / "state", Inputs(prepared), progress=progress
    )
    return list(baseline(build(Baseline, TRAINING, more), workspace))


def files(folder: Path) -> dict[str, str]:
    """Every file of a folder, by its hash."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def undisturbed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    run(folder, prepared)
    return folder / "artifacts"


@pytest.fixture(scope="module")
def scheduled(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scheduled")
    run(folder, prepared, **SCHEDULE)
    return folder / "artifacts"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_model(folder).named_parameters())


def same(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, others[name]) for name, tensor in some.items())


def test_counts_become_the_nearest_steps() -> None:
    parameters = Baseline(checkpoint_tokens="0,500,1e3,2000", tokens_per_step=256, baseline_steps=8)
    assert planned_points(parameters) == (
        PlannedPoint(0, 0, 0),
        PlannedPoint(500, 512, 2),
        PlannedPoint(1000, 1024, 4),
        PlannedPoint(2000, 2048, 8),
    )
    assert planned_points(Baseline()) == ()


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ("0,100", r"0 and 100 fall on the same step 0 of 256 tokens"),
        ("512,600,900", r"512 and 600 fall on the same step 2"),
        ("512,2200", r"2200 is beyond the end of training, which is 2048 tokens \(8 steps of 256"),
    ],
)
def test_counts_that_cannot_be_are_named(counts: str, says: str) -> None:
    parameters = Baseline(checkpoint_tokens=counts, tokens_per_step=256, baseline_steps=8)
    with pytest.raises(BadParameter, match=says):
        planned_points(parameters)


def test_the_schedule_is_listed_with_its_true_counts(scheduled: Path, undisturbed: Path) -> None:
    listed = json.loads((scheduled / "schedule.json").read_text())
    assert [one["step"] for one in listed] == list(STEPS)
    assert [one["tokens"] for one in listed] == [256 * step for step in STEPS]
    assert [one["tokens_asked"] for one in listed] == [0, 500, 1000, 1300, 2048]
    points = schedule_points(scheduled)
    assert [point.tokens for point in points] == [256 * step for step in STEPS]
    names = [point.checkpoint_folder.name for point in points]
    assert names == sorted(names)  # so that a listing is in order
    assert names[1] == "tokens-000000000000512"
    assert points[0] == SchedulePoint(0, scheduled / "schedule" / "tokens-000000000000000")
    assert schedule_points(undisturbed) == ()
    assert not (undisturbed / "schedule").exists()


def test_keeping_weights_does_not_disturb(scheduled: Path, undisturbed: Path) -> None:
    assert files(scheduled / "checkpoint") == files(undisturbed / "checkpoint")


def test_each_point_is_a_model_of_its_own_step(scheduled: Path) -> None:
    kept = [weights(point.checkpoint_folder) for point in schedule_points(scheduled)]
    assert same(kept[-1], weights(scheduled / "checkpoint"))
    assert not any(same(one, next_) for one, next_ in pairwise(kept))
    for point in schedule_points(scheduled):
        verify_checkpoint(point.checkpoint_folder)
    # Untrained gains are ones, and the weights those of a training of no step.
    assert all((tensor == 1).all() for name, tensor in kept[0].items() if "norm" in name)


def test_a_point_is_where_a_shorter_training_ends(
    scheduled: Path, prepared: Path, tmp_path: Path
) -> None:
    """Foreign to the schedule: with a constant rate, five steps are the first five of eight."""
    shape = {"schedule": "constant", "warmup_steps": "1"}
    run(tmp_path / "five", prepared, **shape, baseline_steps="5")
    run(tmp_path / "eight", prepared, **shape, **SCHEDULE)
    points = {point.tokens: point for point in schedule_points(tmp_path / "eight" / "artifacts")}
    five = weights(tmp_path / "five" / "artifacts" / "checkpoint")
    assert same(five, weights(points[5 * 256].checkpoint_folder))
    assert not same(five, weights(points[4 * 256].checkpoint_folder))


KILLED = """
import sys
from pathlib import Path
from tests.stages.test_schedule import SCHEDULE, kill, run

run(Path(sys.argv[1]), Path(sys.argv[2]), progress=kill, **SCHEDULE)
"""


def test_a_kill_loses_no_point(scheduled: Path, prepared: Path, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(prepared)],
        env=environment(),
        timeout=900,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    states = [path.name for path in (tmp_path / "state" / "training").glob("*.pt")]
    assert states == ["step-000000003.pt"]
    kept = sorted((tmp_path / "state" / "schedule").iterdir())
    assert [int(path.name.removeprefix("tokens-")) // 256 for path in kept] == [0, 2, 4]
    # What was being written when the kill came: cut short, and with a file of no meaning.
    (kept[-1] / "model.safetensors").write_bytes(b"half")
    (kept[-1] / "manifest.json").unlink()
    (kept[-1] / "left-over").write_text("")

    measured = run(tmp_path, prepared, **SCHEDULE)
    assert min(one.step for one in measured) > 3
    for name in ("schedule", "checkpoint"):
        assert files(tmp_path / "artifacts" / name) == files(scheduled / name)
    assert schedule_points(tmp_path / "artifacts")


def test_a_kill_after_the_weights_were_handed_over_loses_none_either(
    scheduled: Path, prepared: Path, tmp_path: Path
) -> None:
    """Between the stage's end and that of its run, which wipes the artifacts when it goes on."""
    for _ in range(2):
        measured = run(tmp_path, prepared, **SCHEDULE)
    assert min(one.step for one in measured) > 6
    for name in ("schedule", "checkpoint"):
        assert files(tmp_path / "artifacts" / name) == files(scheduled / name)


def test_weights_that_are_gone_are_said(prepared: Path, tmp_path: Path) -> None:
    run(tmp_path, prepared, **SCHEDULE)
    point = schedule_points(tmp_path / "artifacts")[1]
    shutil.rmtree(point.checkpoint_folder)
    with pytest.raises(StoreError, match="tokens-000000000000512"):
        schedule_points(tmp_path / "artifacts")
    shutil.rmtree(tmp_path / "state" / "schedule" / point.checkpoint_folder.name)
    with pytest.raises(StoreError, match=r"tokens-000000000000512; remove .*state to train"):
        run(tmp_path, prepared, **SCHEDULE)


def test_training_with_frozen_gains_leaves_ones(prepared: Path, tmp_path: Path) -> None:
    measured = run(tmp_path, prepared, freeze="q_norm,k_norm")
    for name, tensor in weights(tmp_path / "artifacts" / "checkpoint").items():
        if "q_norm" in name or "k_norm" in name:
            assert (tensor == 1).all(), name
        elif "norm" in name:
            assert not (tensor == 1).all(), name
    summary = json.loads((tmp_path / "artifacts" / "training_summary.json").read_text())
    assert summary["recipe"]["freeze"] == "q_norm,k_norm"
    assert measured[-1].values["text/complexity"] == summary["text_complexity"]


def test_simple_text_is_trained_on_and_its_complexity_is_logged(
    undisturbed: Path, prepared: Path, tmp_path: Path
) -> None:
    from collapse.language.corpora.human_text import HumanText
    from collapse.stages.texts import read_texts

    scale = HumanText.open(prepared / "corpus").scale
    found = {}
    for choice in ("simple", "complex"):
        *_, last = run(tmp_path / choice, prepared, training_text=choice)
        texts = read_texts(tmp_path / choice / "artifacts" / "human_text")
        assert {scale.is_simple(text) for text in texts} == {choice == "simple"}
        found[choice] = last.values["text/complexity"]
        assert found[choice] == pytest.approx(sum(map(scale.score, texts)) / len(texts))
    either = json.loads((undisturbed / "training_summary.json").read_text())["text_complexity"]
    assert found["simple"] < either < found["complex"]
