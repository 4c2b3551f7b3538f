"""Runs: found again by fingerprint, opened as children of their chain, mirrored on it, closed."""

import functools
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import psutil
from mlflow.entities import Param, Run
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from collapse.errors import StoreError
from collapse.tracking.store import ARTIFACTS, DEFAULT_URI, first_line, tracking_uri

PROCESS_TAG = "process"
MODEL_TAG = "model_uri"


@dataclass(frozen=True)
class RunLabel:
    """What a run is called and found by.

    Attributes:
        experiment: MLflow experiment: the study.
        name: name shown in the UI.
        tags: study, arm, seed, generation, stage, chain, fingerprint; what is None is left out.
        parameters: values to log, by name.
        parent: run id of the chain's run, None for a run that stands alone.
    """

    experiment: str
    name: str
    tags: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None


def client() -> mlflow.MlflowClient:
    """The MLflow client of this process."""
    return mlflow.MlflowClient()


def experiment_id(name: str) -> str:
    """The id of an experiment, which is made where it is not there."""
    known = client().get_experiment_by_name(name)
    if known is not None and known.lifecycle_stage == "deleted":
        raise StoreError(
            f"the experiment {name!r} was deleted: restore it with `mlflow experiments restore -x "
            f"{known.experiment_id}`, or give name=ANOTHER"
        )
    if known is not None:
        return known.experiment_id
    location = None
    if tracking_uri() == DEFAULT_URI:
        location = Path(ARTIFACTS).absolute().as_uri()
    # The UI then opens on its pages for training, not on those for chat traces.
    tags = {"mlflow.experimentKind": "custom_model_development"}
    return client().create_experiment(name, artifact_location=location, tags=tags)


def find_runs(experiment: str, tags: Mapping[str, Any]) -> list[Run]:
    """The runs of an experiment that bear these tags, newest first."""
    query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    known = client().get_experiment_by_name(experiment)
    if known is None:
        return []
    return list(
        client().search_runs(
            [known.experiment_id], query, max_results=1000, order_by=["attributes.start_time DESC"]
        )
    )


def find_finished(experiment: str, fingerprint: str) -> Run | None:
    """The newest FINISHED run of a stage with this fingerprint."""
    for run in find_runs(experiment, {"fingerprint": fingerprint}):
        if run.info.status == "FINISHED" and "stage" in run.data.tags:
            return run
    return None


def open_run(label: RunLabel) -> Run:
    """A running run for a label: one that a dead process left behind, or else a new one."""
    wanted = {"fingerprint": label.tags["fingerprint"], "run_kind": _kind(label)}
    for run in find_runs(label.experiment, wanted):
        if run.info.status == "RUNNING" and not is_alive(run):
            tags = _tags(label)
            for key, value in tags.items():
                client().set_tag(run.info.run_id, key, value)
            log_parameters(run.info.run_id, label.parameters)
            return client().get_run(run.info.run_id)
    run = client().create_run(
        experiment_id(label.experiment), tags=_tags(label), run_name=label.name
    )
    log_parameters(run.info.run_id, label.parameters)
    return client().get_run(run.info.run_id)


def reopen(run_id: str) -> None:
    """Set a run that had ended RUNNING again, in this process's name."""
    client().set_tag(run_id, PROCESS_TAG, this_process())
    client().update_run(run_id, status="RUNNING")


def close_run(run_id: str, status: str, error: BaseException | None = None) -> None:
    """End a run as FINISHED, FAILED or KILLED, with what went wrong where something did."""
    if error is not None:
        client().set_tag(run_id, "error", first_line(error) or type(error).__name__)
    client().set_terminated(run_id, status)


def close_own(run_id: str, status: str) -> None:
    """End a run unless another process holds it by now."""
    if client().get_run(run_id).data.tags.get(PROCESS_TAG) == this_process():
        close_run(run_id, status)


def _kind(label: RunLabel) -> str:
    return "stage" if "stage" in label.tags else "chain"


def _tags(label: RunLabel) -> dict[str, str]:
    tags = {key: str(value) for key, value in label.tags.items() if value is not None}
    tags |= {
        "run_kind": _kind(label),
        MLFLOW_RUN_NAME: label.name,
        PROCESS_TAG: this_process(),
        "git_commit": git_commit(),
        "mlflow.source.name": f"entrypoints.{label.tags.get('stage', 'experiment')}",
        "mlflow.source.type": "PROJECT",
    }
    if label.parent:
        tags[MLFLOW_PARENT_RUN_ID] = label.parent
    return tags


def log_parameters(run_id: str, parameters: Mapping[str, Any]) -> None:
    """Log parameters; empty ones are left out, since MLflow shows them as missing anyway."""
    known = client().get_run(run_id).data.params
    new = [Param(k, str(v)) for k, v in parameters.items() if k not in known and str(v) != ""]
    client().log_batch(run_id, params=new)


@contextmanager
def active(run_id: str, *, system_metrics: bool) -> Iterator[None]:
    """Make a run the active one of this process, without ending it.

    MLflow's own context ends a run as FINISHED however it leaves; the caller knows better.
    """
    mlflow.start_run(run_id=run_id, log_system_metrics=system_metrics)
    try:
        yield
    finally:
        mlflow.end_run(status="RUNNING")


def upload(run_id: str, folder: Path, names: Iterable[str]) -> None:
    """Upload files and folders of a workspace as artifacts."""
    for name in names:
        path = folder / name
        if path.is_dir():
            client().log_artifacts(run_id, str(path), name)
        else:
            client().log_artifact(run_id, str(path))


def artifacts(run_id: str) -> Path:
    """A run's artifacts on local disk; in a local store they are not copied."""
    uri = client().get_run(run_id).info.artifact_uri
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))


def log_dataset(
    run_id: str, name: str, context: str, digest: str, documents: int, folder: str
) -> None:
    """Log a text as an MLflow dataset.

    MLflow looks for the dataset and then adds it: of two processes that log the same text at once,
    the second finds its row taken, and finds it there when it looks again.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    uri = f"{client().get_run(run_id).info.artifact_uri}/{folder}".rstrip("/")
    dataset = Dataset(
        name=name,
        digest=digest,
        source_type="local",
        source='{"uri": "%s"}' % uri,  # noqa: UP031 - JSON has braces of its own
        profile='{"documents": %d}' % documents,  # noqa: UP031
    )
    tags = [InputTag("mlflow.data.context", context)]
    for attempts_left in (2, 1, 0):
        try:
            client().log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])
            return
        except Exception as error:  # the database's own kind, or MLflow's
            if not attempts_left or "unique constraint" not in str(error).lower():
                raise


def this_process() -> str:
    """Host, process id and start time: tells a living process from a later one of its number."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def is_alive(run: Run) -> bool:
    """Whether the process that opened a run still runs; one on another machine may well."""
    host, _, rest = run.data.tags.get(PROCESS_TAG, "::").partition(":")
    number, _, started = rest.partition(":")
    if host != socket.gethostname():
        return bool(host)
    try:
        return f"{psutil.Process(int(number)).create_time():.2f}" == started
    except (psutil.Error, ValueError):
        return False


def close_dead(experiment: str) -> list[str]:
    """Close as KILLED what dead processes left RUNNING, and return the ids."""
    dead = [
        run
        for run in find_runs(experiment, {})
        if run.info.status == "RUNNING" and PROCESS_TAG in run.data.tags and not is_alive(run)
    ]
    for run in dead:
        close_run(run.info.run_id, "KILLED")
    return [run.info.run_id for run in dead]


@functools.cache
def git_commit() -> str:
    """The commit of this source tree, with a mark where it was changed; "unknown" outside git."""
    root = Path(__file__).resolve().parents[2]
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("-dirty" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
    ).stdout.strip()


CLAIMS_TAG = "claims_hash"


def fix_claims(experiment: str, claims_hash: str) -> None:
    """Write down the digest of a study's claims, once, before its first chain runs."""
    number = experiment_id(experiment)
    if CLAIMS_TAG not in client().get_experiment(number).tags:
        client().set_experiment_tag(number, CLAIMS_TAG, claims_hash)


def fixed_claims(experiment: str) -> str:
    """The digest of the claims that was written down first; empty where none was."""
    known = client().get_experiment_by_name(experiment)
    return known.tags.get(CLAIMS_TAG, "") if known else ""


def keep_hypothesis(run_id: str, content: Mapping[str, Any]) -> None:
    """Write what a chain is to put to the test among its artifacts, before its first stage runs."""
    client().log_dict(run_id, dict(content), "hypothesis.json")
