"""What a study's chains measured, as tables."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Run

from collapse.tracking.metrics import mirrored
from collapse.tracking.runs import STAGE_SECONDS, artifacts, client, find_runs
from collapse.tracking.store import tracking_uri

LOCAL_UI = "http://127.0.0.1:5000"
SAMPLES = 4
"""Sample texts of a generation that are read."""


def chain_runs(experiment: str, fingerprints: Mapping[str, str]) -> dict[str, Run]:
    """The run of each chain that has one.

    Args:
        experiment: MLflow experiment.
        fingerprints: chain name to its fingerprint.
    """
    found = {}
    for name, fingerprint in fingerprints.items():
        tags = {"chain": name, "fingerprint": fingerprint, "run_kind": "chain"}
        if known := find_runs(experiment, tags):
            found[name] = known[0]
    return found


def measurements(chains: Sequence[Run]) -> pd.DataFrame:
    """All generation metrics: columns arm, seed, generation, metric, value."""
    rows = []
    for run in chains:
        for metric in run.data.metrics:
            # A stage that was run again wrote a step twice: the later value holds.
            history = sorted(
                client().get_metric_history(run.info.run_id, metric), key=lambda one: one.timestamp
            )
            latest = {one.step: one.value for one in history}
            rows += [(*_place(run), step, metric, value) for step, value in latest.items()]
    return pd.DataFrame(rows, columns=["arm", "seed", "generation", "metric", "value"])


def stage_runs(stages: Sequence[Run], chains: Sequence[Run]) -> pd.DataFrame:
    """Those of an experiment's runs of stages that are under these chains, failed ones too."""
    parents = {run.info.run_id for run in chains}
    rows = []
    for run in stages:
        tags = run.data.tags
        if tags.get("mlflow.parentRunId") in parents:
            rows.append(
                {
                    "run_id": run.info.run_id,
                    "arm": tags["arm"],
                    "seed": int(tags["seed"]),
                    "generation": int(tags["generation"]),
                    "stage": tags["stage"],
                    "status": run.info.status,
                    "seconds": _seconds(run),
                    "fingerprint": tags["fingerprint"],
                    "url": page_of(run),
                }
            )
    columns = ["run_id", "arm", "seed", "generation", "stage", "status", "seconds"]
    columns += ["fingerprint", "url"]
    return pd.DataFrame(rows, columns=columns).sort_values(["arm", "seed", "generation", "stage"])


def _seconds(run: Run) -> float:
    """How long a stage computed since it was last taken up; nan where nobody knows.

    Not the time from a run's start to its end: of one that was cut off and taken up the next
    morning a night is in that. Nobody knows when one ended that was found dead.
    """
    if STAGE_SECONDS in run.data.tags:
        return float(run.data.tags[STAGE_SECONDS])
    if run.info.status == "KILLED" or run.info.end_time is None:
        return math.nan
    return float(run.info.end_time - run.info.start_time) / 1000


def page_of(run: Run) -> str:
    """Where the MLflow UI shows a run: on the tracking server, or on one that `make ui` starts."""
    uri = tracking_uri()
    server = uri.rstrip("/") if uri.startswith(("http://", "https://")) else LOCAL_UI
    return f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"


def samples(chains: Sequence[Run]) -> pd.DataFrame:
    """A few texts of every generation: columns arm, seed, generation, text."""
    rows = []
    for run in chains:
        for generation, run_id in mirrored(run, "quality"):
            texts = _sample_texts(artifacts(run_id) / "samples.jsonl")
            rows += [(*_place(run), generation, text) for text in texts]
    return pd.DataFrame(rows, columns=["arm", "seed", "generation", "text"])


def spectra(chains: Sequence[Run]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The raw Lanczos runs of every generation's Hessian, and its certified eigenvalues.

    Returns:
        Columns arm, seed, generation, text, probe, step, alpha, beta: tridiagonals; and arm, seed,
        generation, text, rank, value, residual_bound, certified: the outliers, and as ranks
        ``lambda_max`` and ``lambda_min`` both ends.
    """
    runs, marks = [], []
    for run in chains:
        for generation, run_id in mirrored(run, "hessian"):
            path = artifacts(run_id) / "hessian_analysis.json"
            for text, found in json.loads(path.read_text())["texts"].items():
                place = (*_place(run), generation, text)
                runs += [(*place, *row) for row in _tridiagonals(found)]
                marks += [(*place, *row) for row in _eigenvalues(found)]
    where = ["arm", "seed", "generation", "text"]
    return (
        pd.DataFrame(runs, columns=[*where, "probe", "step", "alpha", "beta"]),
        pd.DataFrame(marks, columns=[*where, "rank", "value", "residual_bound", "certified"]),
    )


def stage_table(chains: Sequence[Run], stage: str, name: str) -> pd.DataFrame:
    """A table that every run of a stage may have left, of all generations of some chains.

    Args:
        chains: runs of chains.
        stage: the stage.
        name: of its artifact, a .csv, .jsonl (an object a line) or .parquet file.

    Returns:
        Columns arm, seed, generation, then those of the files; empty where there are none.
    """
    parts = []
    read = _READERS[name.rpartition(".")[2]]
    for run in chains:
        for generation, run_id in mirrored(run, stage):
            path = artifacts(run_id) / name
            if path.is_file():
                part = read(path)
                arm, seed = _place(run)
                part.insert(0, "generation", generation)
                part.insert(0, "seed", seed)
                part.insert(0, "arm", arm)
                parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _read_lines(path: Path) -> pd.DataFrame:
    # Texts stay texts: pandas would make dates and numbers of what looks like them.
    return pd.read_json(path, lines=True, dtype=False, convert_dates=False)


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "csv": pd.read_csv,
    "jsonl": _read_lines,
    "parquet": pd.read_parquet,
}


def _tridiagonals(found: Mapping[str, Any]) -> Iterator[tuple[int, int, float, float]]:
    """Probe, step, alpha, beta; none where a peer's package did the work."""
    for probe, one in enumerate(found.get("probes", ())):
        for step, (alpha, beta) in enumerate(zip(one["alpha"], one["beta"], strict=True)):
            yield probe, step, alpha, beta


def _eigenvalues(found: Mapping[str, Any]) -> Iterator[tuple[str, float, float, bool]]:
    """Rank, value, residual bound, certified."""
    named = {str(rank): one for rank, one in enumerate(found.get("outliers", ()), start=1)}
    ends = {name: found[name] for name in ("lambda_max", "lambda_min") if name in found}
    for rank, one in (named | ends).items():
        yield rank, one["value"], one["residual_bound"], one["certified"]


def _sample_texts(path: Path) -> list[str]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return [json.loads(line)["text"] for line, _ in zip(file, range(SAMPLES), strict=False)]


def _place(run: Run) -> tuple[str, int]:
    return run.data.tags["arm"], int(run.data.tags["seed"])
