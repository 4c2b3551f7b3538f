"""Seals over finished runs: a number that is changed afterwards is seen to be changed.

A seal is a digest that a run bears as a tag. It tells of mistakes, of repairs by hand and of rot;
whoever can write in the store and means to deceive can write another seal.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path

from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from collapse.errors import StoreError
from collapse.tracking.metrics import last_values
from collapse.tracking.registry import SEAL as WEIGHTS_SEAL
from collapse.tracking.runs import MODEL_TAG, artifacts, client

SEAL_TAG = "record_sha256"
_TAGS = (
    *("study", "chain", "arm", "seed", "generation", "stage", "fingerprint"),
    *("git_commit", "device", "corpus_fingerprint", MODEL_TAG, WEIGHTS_SEAL),
)
_OF_THE_MACHINE = "system/"


def seal_run(run_id: str) -> None:
    """Write down what a run holds, before it is closed as FINISHED."""
    client().set_tag(run_id, SEAL_TAG, record_digest(client().get_run(run_id)))


def record_digest(run: Run) -> str:
    """SHA-256 of a run's parameters, last values, tags of where it comes from, and tables.

    Of artifacts those count that are files of the run's own folder: its parameters, tables and
    figures. Weights have a seal of their own (`registry`), which is among the tags; metrics of the
    machine, which a clock writes, are left out.
    """
    values = run.data.metrics.items()
    content = {
        "parameters": run.data.params,
        "values": {k: repr(float(v)) for k, v in values if not k.startswith(_OF_THE_MACHINE)},
        "tags": {name: run.data.tags.get(name) for name in _TAGS},
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(run)},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _files(run: Run) -> list[Path]:
    """The files of a run's own folder; none where they are gone."""
    try:
        return sorted(path for path in artifacts(run.info.run_id).iterdir() if path.is_file())
    except (OSError, MlflowException):
        return []


def require_sealed(run: Run) -> None:
    """See that a finished run holds what it held when it was closed.

    A run of before there were seals passes: nobody can say.

    Raises:
        StoreError: it does not.
    """
    sealed = run.data.tags.get(SEAL_TAG)
    if sealed is not None and sealed != record_digest(run):
        raise StoreError(
            f"the run {run.info.run_id} ({run.data.tags.get('chain', 'of the study')}, "
            f"{run.info.run_name}) was changed after it finished: what it holds is not what its "
            "seal says; make it again with rerun=true"
        )


def require_records(chains: Iterable[Run], stages: Iterable[Run] = ()) -> None:
    """See that chains hold what their finished stages measured, and these what they held then.

    Args:
        chains: runs of chains.
        stages: runs of stages that were just read, which need not be read again.

    Raises:
        StoreError: a stage's run was changed or is gone, or a number was changed on its chain.
    """
    read = {run.info.run_id: run for run in stages}
    known: dict[str, Run] = {}  # generation 0 is many chains'
    for chain in chains:
        tags = chain.data.tags.items()
        mirrored = {tag: run_id for tag, run_id in tags if tag.startswith("mirrored.")}
        for run_id in set(mirrored.values()) - known.keys():
            known[run_id] = read.get(run_id) or client().get_run(run_id)
            require_sealed(known[run_id])
        _require_mirrored(chain, {tag: known[run_id] for tag, run_id in mirrored.items()})


def _require_mirrored(chain: Run, stages: dict[str, Run]) -> None:
    """See that whatever stages of a generation measured is the newest value on the chain."""
    measured: dict[tuple[str, int], list[float]] = {}
    for tag, run in stages.items():
        generation = int(tag.rpartition(".")[2])
        for name, value in last_values(run).items():
            measured.setdefault((name, generation), []).append(value)
    for name in {name for name, _ in measured}:
        history = client().get_metric_history(chain.info.run_id, name)
        newest = {one.step: one.value for one in sorted(history, key=lambda one: one.timestamp)}
        for generation, value in newest.items():
            wanted = measured.get((name, generation))
            if wanted is not None and not any(_same(value, one) for one in wanted):
                raise StoreError(
                    f"{chain.info.run_name}: {name} of generation {generation} is {value:g} on the "
                    f"chain, and {wanted[-1]:g} is what was measured: it was changed afterwards; "
                    "delete the chain's run, and the same command writes it again"
                )


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
