"""Of its own tasks we say what lm-eval says with its own model class, on real rows."""

import json
from pathlib import Path
from typing import Any

import pytest

from collapse.language.presets import load_preset
from collapse.language.task_rows import PUBLIC, TaskItems
from collapse.language.tokenizer import train_tokenizer
from collapse.numerics.streams import numpy_stream
from collapse.probes.tasks.scores import score_task
from tests.conftest import SHARED_DATA

ROWS = 200
NAMES = {
    "hellaswag": "hellaswag",
    "piqa": "piqa",
    "siqa": "social_iqa",
    "lambada": "lambada_openai",
}

pytestmark = pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the public sets are not here")


def first_rows(task: str) -> list[dict[str, Any]]:
    with (SHARED_DATA / PUBLIC[task].file).open(encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(ROWS), strict=False)]


@pytest.fixture(scope="module")
def speaker() -> tuple[Any, Any]:
    """A small random model that reads rather more than one item at once, and its tokenizer."""
    texts = [json.dumps(row) for task in NAMES for row in first_rows(task)]
    tokenizer = train_tokenizer(texts, kind="bpe", vocabulary_size=2000)
    model = load_preset(
        "pocket",
        seed=3,
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        max_position_embeddings=512,
        initializer_range=0.3,
    )
    return model.eval(), tokenizer


@pytest.fixture(scope="module")
def theirs(speaker: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """lm-eval's evaluator with its own class for Hugging Face models and its own YAML files."""
    import lm_eval
    import lm_eval.tasks
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("theirs")
    home = Path(lm_eval.tasks.__file__).parent
    places = {"siqa": "siqa/siqa", "lambada": "lambada/lambada_openai"}
    for task, name in NAMES.items():
        rows = folder / f"{task}.jsonl"
        rows.write_text("".join(json.dumps(row) + "\n" for row in first_rows(task)))
        split = PUBLIC[task].split
        content = {
            "include": str(home / f"{places.get(task, f'{task}/{task}')}.yaml"),
            "task": name,
            "dataset_path": "json",
            "dataset_name": None,
            "dataset_kwargs": {
                "data_files": {split: str(rows)},
                "cache_dir": str(folder / "cache"),
            },
            "training_split": None,
        }
        (folder / f"{task}.yaml").write_text(json.dumps(content))
    model, tokenizer = speaker
    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16)
    return lm_eval.simple_evaluate(
        model=lm,
        tasks=list(NAMES.values()),
        task_manager=TaskManager(include_defaults=False, include_path=str(folder)),
        log_samples=True,
        bootstrap_iters=0,
    )


@pytest.fixture(scope="module")
def ours(speaker: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from collapse.probes.tasks.harness import run_tasks

    tasks = [TaskItems(task, "rows", tuple(first_rows(task))) for task in NAMES]
    found = run_tasks(*speaker, tasks, tmp_path_factory.mktemp("ours"))
    return {one.items.task: one for one in found}


@pytest.mark.parametrize("task", NAMES)
def test_accuracies_and_their_errors_are_lm_evals_to_the_digit(
    task: str, ours: Any, theirs: Any
) -> None:
    from lm_eval.api.metrics import mean_stderr

    score = score_task(ours[task], numpy_stream(0))
    known = theirs["results"][NAMES[task]]
    samples = theirs["samples"][NAMES[task]]
    assert score.items == len(samples) == ROWS
    accuracies = [name for name in score.values if name.startswith("acc")]
    assert set(accuracies) == {
        key.removesuffix(",none") for key in known if key.startswith("acc") and "stderr" not in key
    }
    for name in accuracies:
        assert score.values[name] == known[f"{name},none"]
        assert score.errors[name] == mean_stderr([one[name] for one in samples])
    if task == "lambada":
        assert score.values["perplexity"] == pytest.approx(known["perplexity,none"], rel=1e-5)
    else:
        assert 0.05 < score.values["acc"] < 0.95


@pytest.mark.parametrize("task", NAMES)
def test_every_log_likelihood_is_lm_evals(task: str, ours: Any, theirs: Any) -> None:
    for own, known in zip(ours[task].samples, theirs["samples"][NAMES[task]], strict=True):
        assert own["arguments"] == known["arguments"]
        for (nats, greedy), (their_nats, their_greedy) in zip(
            own["filtered_resps"], known["filtered_resps"], strict=True
        ):
            assert nats == pytest.approx(their_nats, rel=1e-5, abs=1e-4)
            assert greedy == their_greedy
