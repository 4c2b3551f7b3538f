"""What the stage `benchmark` makes of its scores."""

import json
from pathlib import Path

import pytest

from collapse.parameters.doors import Benchmark
from collapse.probes.tasks.scores import Overall, TaskScore
from collapse.stages.benchmark import _answer, _overall_values, _training_seconds, _values
from collapse.stages.workspace import Inputs, Workspace


def after_trainings(folder: Path, *seconds: float | None) -> Workspace:
    """A place whose generations took so long to train; None where nobody timed it."""
    lineage = []
    for generation, one in enumerate(seconds):
        place = folder / str(generation)
        place.mkdir(parents=True)
        last = {"train/loss_nats": 1.0} | ({} if one is None else {"train/seconds": one})
        (place / "training_summary.json").write_text(json.dumps({"last": last}))
        lineage.append(place)
    return Workspace(folder, folder, Inputs(lineage=tuple(lineage)))


def test_training_is_all_that_the_weights_went_through(tmp_path: Path) -> None:
    workspace = after_trainings(tmp_path / "timed", 100.0, 20.0, 30.0)
    assert _training_seconds(Benchmark(start="parent"), workspace) == 150
    assert _training_seconds(Benchmark(start="fresh"), workspace) == 30
    untimed = after_trainings(tmp_path / "untimed", None, 20.0)
    assert _training_seconds(Benchmark(start="parent"), untimed) is None
    assert _training_seconds(Benchmark(start="fresh"), untimed) == 20


def test_scores_an_hour_and_a_million_parameters() -> None:
    values = _overall_values(Overall(0.3, 0.01), Overall(0.5, None), 2_000_000, 1800.0)
    assert values == pytest.approx(
        {
            "benchmark/overall": 0.3,
            "benchmark/overall_stderr": 0.01,
            "benchmark/mean": 0.5,
            "benchmark/overall_per_million_parameters": 0.15,
            "benchmark/overall_per_training_hour": 0.6,
        }
    )
    untimed = _overall_values(Overall(0.3, 0.01), Overall(0.5, None), 2_000_000, None)
    assert "benchmark/overall_per_training_hour" not in untimed


def test_what_has_no_error_logs_none() -> None:
    score = TaskScore("piqa", 1, {"acc": 1.0, "acc_norm": 0.0}, {}, 0.5, {"acc": 0.0})
    assert _values([score]) == {
        "benchmark/piqa/acc": 1.0,
        "benchmark/piqa/acc_norm": 0.0,
        "benchmark/piqa/random_acc": 0.0,
        "benchmark/piqa/floor": 0.5,
    }


def test_answers_are_kept_as_a_person_reads_them() -> None:
    choice = {
        "arguments": [("Lily had", " a ball"), ("Lily had", " a kite")],
        "filtered_resps": [(-2.0, False), (float("-inf"), False)],
        "target": 1,
    }
    assert _answer(choice) == {
        "question": "Lily had",
        "log_likelihoods_nats": [-2.0, None],
        "answer": "a ball",
        "right": "a kite",
    }
    word = {"arguments": [("x" * 500, " hat")], "filtered_resps": [(-1.0, True)], "target": " hat"}
    assert _answer(word) == {
        "question": "x" * 240,
        "log_likelihoods_nats": [-1.0],
        "right": "hat",
        "is_likeliest": True,
    }
    span = {"arguments": [("Q", {"until": []})], "filtered_resps": [" a hat"], "target": "hat"}
    assert _answer(span) == {"question": "Q", "answer": " a hat", "right": "hat"}
