"""The door `quality` on stories and on Python, looked at through MLflow's own client."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import mlflow
import pytest

from collapse.language.code_prompts import CODE_PROMPTS
from collapse.stages import judge
from tests.conftest import MICRO, open_door

ASKED = ("--samples", "24", "--prompts", "6", "--prompt_tokens", "8", "--generation", "1")
ASKED += ("--intervals", "true")


def looked_at(folder: Path, *words: str) -> Any:
    made = open_door(folder, "quality", *MICRO, *ASKED, *words)
    assert made.returncode == 0, made.stderr
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("quickstart").experiment_id
    run = client.search_runs([experiment], "attributes.run_name = 'quality g1'")[0]
    return run.data.metrics, Path(client.download_artifacts(run.info.run_id, ""))


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """With held-out text enough to train a judge, who reads it once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge, "MOST_EPOCHS", 1)
        return looked_at(tmp_path_factory.mktemp("stories"), "--heldout_documents", "200")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """On some Python that is held in a folder, but asked to complete Python all the same."""
    folder = tmp_path_factory.mktemp("code")
    sources = folder / "sources.jsonl"
    rows = [
        {"text": "".join(f"def f{n}_{k}(x):\n    return x + {n * k}\n\n\n" for k in range(6))}
        for n in range(300)
    ]
    sources.write_text("\n".join(json.dumps(row) for row in rows))
    words = ("--corpus", str(sources), "--completions", "python", "--completion_tokens", "12")
    return looked_at(folder, *words, "--intervals", "false")


def test_every_measure_of_text_is_logged_with_its_error(stories: Any) -> None:
    metrics, _ = stories
    whole = ("human/nll_nats", "human/perplexity", "human/bits_per_byte", "own/nll_nats")
    sets = [f"quality/distinct_{n}" for n in (1, 2, 3, 4)]
    sets += ["quality/self_bleu", "quality/vocabulary_diversity", "quality/bleu"]
    means = ["quality/repetition_4gram", "quality/rouge_l", "quality/copied_fraction"]
    means += ["quality/longest_copy_words", "quality/words_per_text", "truth/valid_fraction"]
    for name in (*whole, *sets, *means, "truth/tail_coverage"):
        assert math.isfinite(metrics[name]), name
    for name in (*sets, *means):
        assert metrics[f"{name}_se"] >= 0, name
    for name in ("bleu", "rouge_l", "copied_fraction"):
        assert f"quality/{name}_human" in metrics
    assert "quality/collapse_rate" not in metrics
    assert "quality/mauve" not in metrics


def test_texts_to_read_and_reasons_lie_beside_the_numbers(stories: Any) -> None:
    metrics, folder = stories
    content = json.loads((folder / "quality.json").read_text())
    for name, value in content["values"].items():
        assert metrics[name] == pytest.approx(value), name
    assert "24 texts a side, and 1000 are needed" in content["not_measured"]["quality/mauve"]
    assert -1 <= metrics["quality/coherence_human"] <= 1
    lines = (folder / "continuations.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 6
    assert all(row["prompt"] and row["human"] for row in rows)
    assert len((folder / "samples.jsonl").read_text().splitlines()) == 24
    table = (folder / "rare_choices.csv").read_text().splitlines()
    assert table[0] == "choice,option,probability,share"
    assert len(table) > 10


def test_the_distance_from_the_truth_is_split_and_adds_up(stories: Any) -> None:
    metrics, folder = stories
    names = [f"origin/{part}_nats" for part in ("sampling", "fitting", "decoding", "total")]
    sampling, fitting, decoding, total = (metrics[name] for name in names)
    assert sampling + fitting + decoding == pytest.approx(total)
    assert total == pytest.approx(metrics["truth/kl_nats_per_story"])
    assert decoding == 0
    assert all(metrics[f"{name}_se"] >= 0 for name in names)
    with (folder / "origins.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert sum(row["truth"] - row["refit"] for row in rows) / len(rows) == pytest.approx(
        sampling, abs=1e-5
    )
    with (folder / "origins_read.csv").open() as file:
        (read,) = csv.DictReader(file)
    assert read["source"] == "synthetic_gen1"
    assert int(read["texts"]) > 0
    assert metrics["origin/read_valid_fraction"] == int(read["stories"]) / int(read["texts"])


def test_python_is_completed_classed_and_parsed_beside_what_people_wrote(code: Any) -> None:
    metrics, folder = code
    kinds = ("mode_collapse", "repetitive", "good", "partial", "noise")
    assert sum(metrics[f"quality/class_{kind}"] for kind in kinds) == pytest.approx(1)
    failures = metrics["quality/class_mode_collapse"] + metrics["quality/class_repetitive"]
    assert metrics["quality/collapse_rate"] == pytest.approx(failures)
    assert 0 <= metrics["quality/parse_rate"] <= 1
    assert metrics["quality/parse_rate_human"] > 0.5
    assert 0 < metrics["quality/completion_top1"] <= 1
    assert metrics["quality/completion_entropy_nats"] > 0
    lines = (folder / "completions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 4 * len(CODE_PROMPTS)
    assert {row["prompt"] for row in rows} == set(CODE_PROMPTS)
    assert "truth/valid_fraction" not in metrics
    assert not [name for name in metrics if name.startswith("origin/")]
    missing = json.loads((folder / "quality.json").read_text())["not_measured"]
    assert missing["quality/coherence"] == "the corpus is too small to have a judge"


def test_without_intervals_only_closed_errors_are_logged(code: Any) -> None:
    metrics, _ = code
    assert "quality/distinct_2_se" not in metrics
    assert "quality/distinct_2" in metrics
