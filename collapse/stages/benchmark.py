"""The stage `benchmark`: what a generation can do, on nine tasks beside what chance can."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from collapse.figures import benchmark_figure, png_bytes
from collapse.language.presets import parameter_count
from collapse.language.pretrained import load_model
from collapse.language.task_rows import TaskItems, chosen_tasks, task_items
from collapse.measurement import Measurement
from collapse.numerics.streams import numpy_stream, stream_seed
from collapse.parameters.doors import Benchmark
from collapse.probes.tasks.harness import TaskOutcome, harness_version, run_tasks
from collapse.probes.tasks.scores import (
    Overall,
    TaskScore,
    plain_overall,
    rescaled_overall,
    score_task,
)
from collapse.stages.device import choose_device
from collapse.stages.dynamics import dynamics_table, on_the_way
from collapse.stages.generation import load_input, open_ground
from collapse.stages.likelihood import likelihood_on_the_way
from collapse.stages.schedule import points_on_the_way, tokens_trained
from collapse.stages.workspace import Advance, DatasetNote, Workspace

ITEMS_KEPT = 1000
"""Items of a task whose answers are kept to read; all of them count."""
CHARACTERS_KEPT = 240
"""Of a question's end and of an answer."""


@dataclass(frozen=True, eq=False)
class Look:
    """What one set of weights made of the tasks."""

    outcomes: tuple[TaskOutcome, ...]
    scores: tuple[TaskScore, ...]


def benchmark(parameters: Benchmark, workspace: Workspace) -> Iterator[Measurement]:
    """Ask the nine tasks, or some of them, and see how far above chance the answers are.

    Leaves ``benchmark.json`` with every number and where the items came from, the model's answers
    in ``benchmark_items.jsonl``, and a figure. Where generation 0 kept weights on the way
    (`checkpoint_tokens`), these are asked the same, too, and ``dynamics.csv`` has their scores.

    Yields:
        For each set of weights on the way, and then the last, ``trajectory/...`` at step = tokens
        trained on; then ``benchmark/...`` at step = generation.
    """
    ground = open_ground(workspace)
    items = _items(parameters)
    trained = workspace.inputs.lineage[-1]
    kept = points_on_the_way(trained)
    tables: list[pd.DataFrame] = []
    asked = sum(len(one.rows) for one in items) * (len(kept) + 1)
    with workspace.progress("benchmark", asked) as advance:
        for point in kept:
            model = load_model(point.checkpoint_folder, device=choose_device(parameters.device))
            look = _look(parameters, model, ground.tokenizer, items, advance)
            human = likelihood_on_the_way(model, ground)
            tables.append(dynamics_table(point.tokens, look.scores, human))
            yield on_the_way(tables[-1])
        model = load_input(workspace, parameters.device)
        look = _look(parameters, model, ground.tokenizer, items, advance)
    if kept:
        human = likelihood_on_the_way(model, ground)
        tables.append(dynamics_table(tokens_trained(trained), look.scores, human))
        yield on_the_way(tables[-1])
        pd.concat(tables).to_csv(workspace.folder / "dynamics.csv", index=False)
    overall = rescaled_overall(look.scores)
    values = _values(look.scores) | _overall_values(
        overall,
        plain_overall(look.scores),
        parameter_count(model),
        _training_seconds(parameters, workspace),
    )
    _write_summary(parameters, workspace.folder, look, values)
    _write_answers(workspace.folder, look.outcomes)
    workspace.datasets.extend(
        DatasetNote(one.task, "evaluation", "", one.digest, len(one.rows)) for one in items
    )
    yield Measurement(parameters.generation, values)
    chain = f"gen. {parameters.generation}, {parameters.arm}, seed {parameters.seed}"
    figure = benchmark_figure(_table(look.scores), chain, overall.value, overall.error)
    (workspace.folder / "benchmark.png").write_bytes(png_bytes(figure))


def _items(parameters: Benchmark) -> list[TaskItems]:
    """All chains of a study are asked the same items, after the same examples."""
    return [
        task_items(
            task,
            parameters.task_data,
            limit=parameters.limit,
            with_shots=parameters.shots > 0,
            seed=parameters.study_seed,
        )
        for task in chosen_tasks(parameters.tasks)
    ]


def _look(
    parameters: Benchmark,
    model: Any,
    tokenizer: Any,
    items: Sequence[TaskItems],
    advance: Advance,
) -> Look:
    seed = parameters.study_seed
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run_tasks(
            model,
            tokenizer,
            items,
            Path(folder),
            shots=parameters.shots,
            seed=stream_seed(seed, "benchmark", "shots"),
            advance=advance,
        )
    scores = [
        score_task(one, numpy_stream(seed, "benchmark", "guesses", one.items.task))
        for one in outcomes
    ]
    return Look(tuple(outcomes), tuple(scores))


def _values(scores: Sequence[TaskScore]) -> dict[str, float]:
    values: dict[str, float] = {}
    for one in scores:
        own = dict(one.values)
        own |= {f"{name}_stderr": error for name, error in one.errors.items()}
        own |= {f"random_{name}": value for name, value in one.random.items()}
        own["floor"] = one.floor
        values |= {f"benchmark/{one.task}/{name}": value for name, value in own.items()}
    return values


def _overall_values(
    overall: Overall, mean: Overall, parameter_count: int, training_seconds: float | None
) -> dict[str, float]:
    """One number over the tasks, and what it took to get there, as far as that is known."""
    values: dict[str, float] = {}
    for name, one in (("overall", overall), ("mean", mean)):
        values[f"benchmark/{name}"] = one.value
        if one.error is not None:
            values[f"benchmark/{name}_stderr"] = one.error
    values["benchmark/overall_per_million_parameters"] = overall.value / (parameter_count / 1e6)
    if training_seconds:
        values["benchmark/overall_per_training_hour"] = overall.value / (training_seconds / 3600)
    return values


def _training_seconds(parameters: Benchmark, workspace: Workspace) -> float | None:
    """Of all training that the weights went through; None where some of it was not timed."""
    lineage = workspace.inputs.lineage
    trained = lineage if parameters.start == "parent" else lineage[-1:]
    seconds = [
        json.loads((one / "training_summary.json").read_text())["last"].get("train/seconds")
        for one in trained
    ]
    return sum(seconds) if all(seconds) else None


def _write_summary(
    parameters: Benchmark,
    folder: Path,
    look: Look,
    values: Mapping[str, float],
) -> None:
    """Every number, what was asked, by which definition, and what the model could not read."""
    tasks = {}
    for outcome, score in zip(look.outcomes, look.scores, strict=True):
        tasks[score.task] = asdict(score) | {
            "source": outcome.items.source,
            "digest": outcome.items.digest,
            "definition": outcome.definition,
            "definition_version": outcome.version,
            "requests_without_their_beginning": outcome.cut,
        }
    summary = {
        "generation": parameters.generation,
        "lm_eval": harness_version(),
        "shots": parameters.shots,
        "items_seed": parameters.study_seed,
        "tasks": tasks,
        "values": values,
    }
    (folder / "benchmark.json").write_text(json.dumps(summary, indent=1))


def _write_answers(folder: Path, outcomes: Sequence[TaskOutcome]) -> None:
    """What the model chose or wrote, item by item, beside what is right."""
    with (folder / "benchmark_items.jsonl").open("w", encoding="utf-8") as file:
        for outcome in outcomes:
            for number, sample in enumerate(outcome.samples[:ITEMS_KEPT]):
                row = {"task": outcome.items.task, "item": number} | _answer(sample)
                # A perplexity is of all items; of one there is the log-likelihood already.
                row |= {name: sample[name] for name in outcome.metrics if name != "perplexity"}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _answer(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The end of the question, the answer and the right one; of choices all log-likelihoods."""
    arguments, responses = sample["arguments"], sample["filtered_resps"]
    row: dict[str, Any] = {"question": arguments[0][0][-CHARACTERS_KEPT:]}
    if isinstance(responses[0], str):
        return row | {"answer": responses[0][:CHARACTERS_KEPT], "right": sample["target"]}
    nats = [float(one[0]) for one in responses]
    row["log_likelihoods_nats"] = [round(one, 4) if np.isfinite(one) else None for one in nats]
    if len(responses) == 1:
        return row | {"right": arguments[0][1].strip(), "is_likeliest": bool(responses[0][1])}
    texts = [continuation.strip()[:CHARACTERS_KEPT] for _, continuation in arguments]
    return row | {"answer": texts[int(np.argmax(nats))], "right": texts[int(sample["target"])]}


def _table(scores: Sequence[TaskScore]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "task": [one.task for one in scores],
            "metric": [one.headline for one in scores],
            "value": [one.value for one in scores],
            "error": [np.nan if one.error is None else one.error for one in scores],
            "floor": [one.floor for one in scores],
            "random": [one.random[one.headline] for one in scores],
            "items": [one.items for one in scores],
        }
    )
