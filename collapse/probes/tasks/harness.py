"""The tasks as lm-eval knows them, over our items, and run on a model."""

import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lm_eval.tasks
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

from collapse.language.task_rows import TaskItems
from collapse.probes.tasks.lm import CheckpointLM

OWN = Path(__file__).parent
THEIRS = Path(lm_eval.tasks.__file__).parent
PUBLIC_DEFINITIONS = {
    "hellaswag": THEIRS / "hellaswag" / "hellaswag.yaml",
    "piqa": THEIRS / "piqa" / "piqa.yaml",
    "siqa": THEIRS / "siqa" / "siqa.yaml",
    "lambada": THEIRS / "lambada" / "lambada_openai.yaml",
    "squad": OWN / "squad_v1.yaml",
}
EMBEDDED_DEFINITIONS = {
    "hellaswag": OWN / "story_hellaswag.yaml",
    "piqa": OWN / "story_piqa.yaml",
    "siqa": OWN / "story_siqa.yaml",
    "lambada": PUBLIC_DEFINITIONS["lambada"],
    "squad": OWN / "story_squad.yaml",
}
_SAID = ("lm_eval", "datasets")
"""Loggers that say much that is nobody's concern here."""


@dataclass(frozen=True)
class TaskOutcome:
    """What a model made of the items of one task.

    Attributes:
        items: what was asked.
        definition: the YAML file, from its package on.
        version: the definition's.
        samples: of each item, in order, what lm-eval keeps: ``doc``, ``target``, ``arguments``,
            ``filtered_resps``, and the value of each metric under its name.
        metrics: names of the metrics.
        cut: requests whose context lost its beginning, as the model could not read it whole.
    """

    items: TaskItems
    definition: str
    version: str
    samples: tuple[dict[str, Any], ...]
    metrics: tuple[str, ...]
    cut: int


def run_tasks(
    model: Any,
    tokenizer: Any,
    tasks: Sequence[TaskItems],
    folder: Path,
    *,
    shots: int = 0,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> list[TaskOutcome]:
    """Ask a model the items of tasks, by lm-eval's evaluator and, where it has one, its definition.

    Args:
        model: a causal language model in float32.
        tokenizer: its tokenizer.
        tasks: the items, each task once.
        folder: scratch: gets the items and the definitions that point to them, so that
            ``lm-eval --include_path`` can run the same.
        shots: examples before each question.
        seed: of the choice of examples.
        advance: told how many more items were scored.
    """
    documents = [one.task for one in tasks if one.is_embedded]
    lm = CheckpointLM(model, tokenizer, documents=documents, advance=advance)
    with _quiet():
        for one in tasks:
            _write_definition(one, folder, shots)
        manager = TaskManager(include_defaults=False, include_path=str(folder))
        loaded = manager.load([one.task for one in tasks])
        for task in loaded["tasks"].values():
            task.set_config("num_fewshot", shots)
            task.set_fewshot_seed(seed)
        # Errors are taken from the samples, in `scores`: the evaluator would start processes to
        # bootstrap a perplexity.
        found = evaluate(lm=lm, task_dict=loaded, log_samples=True, bootstrap_iters=0)
    assert found is not None, "only other processes than the first have no result"
    return [
        TaskOutcome(
            items=one,
            definition=_place(definition_of(one)),
            version=str(found["versions"][one.task]),
            samples=tuple(found["samples"][one.task]),
            metrics=tuple(loaded["tasks"][one.task].aggregation()),
            cut=lm.cut[one.task],
        )
        for one in tasks
    ]


def definition_of(items: TaskItems) -> Path:
    """The YAML file that says how the items are asked."""
    known = EMBEDDED_DEFINITIONS if items.is_embedded else PUBLIC_DEFINITIONS
    return known.get(items.task, OWN / f"{items.task}.yaml")


def harness_version() -> str:
    """The version of lm-eval."""
    return version("lm_eval")


def _write_definition(items: TaskItems, folder: Path, shots: int) -> None:
    """The items as JSON lines, and a task that is its definition but for where these lie."""
    own = folder / items.task
    own.mkdir(parents=True, exist_ok=True)
    files = {"items": own / "items.jsonl"} | ({"shots": own / "shots.jsonl"} if shots else {})
    for name, path in files.items():
        rows = items.rows if name == "items" else items.shots
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    # JSON is YAML.
    definition = {
        "include": str(definition_of(items)),
        "task": items.task,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {
            "data_files": {name: str(path) for name, path in files.items()},
            "cache_dir": str(own / "cache"),
        },
        "training_split": "shots" if shots else None,
        "validation_split": None,
        "test_split": "items",
    }
    (own / f"{items.task}.yaml").write_text(json.dumps(definition, indent=1), encoding="utf-8")


def _place(path: Path) -> str:
    """A file of lm-eval's or of ours, from its package on."""
    base = THEIRS.parents[1] if path.is_relative_to(THEIRS) else OWN.parents[2]
    return str(path.relative_to(base))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing is told but errors: lm-eval's and datasets' notes and bars are for their developers.

    A bar that was opened before goes on.
    """
    from datasets import disable_progress_bars, enable_progress_bars
    from datasets.utils import are_progress_bars_disabled

    were_disabled = are_progress_bars_disabled()
    levels = {name: logging.getLogger(name).level for name in _SAID}
    disable_progress_bars()
    for name in _SAID:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if not were_disabled:
            enable_progress_bars()
