"""Runs: found again by fingerprint, opened as children of their chain, mirrored on it, closed."""

import atexit
import functools
import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Param, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from collapse.errors import StoreError
from collapse.tracking.patience import PatientClient, patiently
from collapse.tracking.provenance import PROCESS_TAG, git_commit, is_alive, this_process
from collapse.tracking.store import ARTIFACTS, DEFAULT_URI, first_line, tracking_uri

OPENING_TAG = "opening"
"""On each run another value: a run that was made and whose answer was lost is known by it."""
MODEL_TAG = "model_uri"
STAGE_SECONDS = "stage_seconds"
"""What a stage took since it was last taken up, without what keeping its results took."""
RUNS_A_PAGE = 1000
"""A store hands out no more at once than it likes: the rest comes by pages."""


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


def client() -> PatientClient:
    """The MLflow client of this process, patient with a store that does not answer."""
    return PatientClient()


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
    try:
        return client().create_experiment(name, artifact_location=location, tags=tags)
    except MlflowException as error:
        # Another machine made it, or we did, and the answer was lost.
        known = client().get_experiment_by_name(name)
        if error.error_code != "RESOURCE_ALREADY_EXISTS" or known is None:
            raise
        return known.experiment_id


def find_runs(experiment: str, tags: Mapping[str, Any], *, status: str = "") -> list[Run]:
    """The runs of an experiment that bear these tags, and have this status, newest first."""
    asked = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    query = " and ".join([*asked, f"attributes.status = '{status}'"] if status else asked)
    known = client().get_experiment_by_name(experiment)
    if known is None:
        return []
    found: list[Run] = []
    page_token = None
    while True:
        page = client().search_runs(
            [known.experiment_id],
            query,
            max_results=RUNS_A_PAGE,
            order_by=["attributes.start_time DESC"],
            page_token=page_token,
        )
        found += page
        page_token = page.token
        if not page_token:
            return found


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
    run = _create_run(label)
    log_parameters(run.info.run_id, label.parameters)
    return client().get_run(run.info.run_id)


def _create_run(label: RunLabel) -> Run:
    """A new run, and one only: where its answer is lost it is found by a tag of its own."""
    number, opening = experiment_id(label.experiment), uuid.uuid4().hex
    tags = _tags(label) | {OPENING_TAG: opening}
    store = mlflow.MlflowClient()

    def landed() -> Run | None:
        found = store.search_runs([number], f"tags.{OPENING_TAG} = '{opening}'", max_results=1)
        return found[0] if found else None

    return patiently(lambda: store.create_run(number, tags=tags, run_name=label.name), landed)


def reopen(run_id: str) -> None:
    """Set a run that had ended RUNNING again, in this process's name."""
    client().set_tag(run_id, PROCESS_TAG, this_process())
    client().update_run(run_id, status="RUNNING")


def close_run(run_id: str, status: str, error: BaseException | None = None) -> None:
    """End a run as FINISHED, FAILED or KILLED, with what went wrong where something did."""
    if error is not None:
        client().set_tag(run_id, "error", first_line(error) or type(error).__name__)
    client().set_terminated(run_id, status)


def disown(experiment: str, fingerprint: str) -> None:
    """Mark a step's RUNNING runs as nobody's: the process that held them is known to be gone.

    The next process that opens a run of this fingerprint, on whatever machine, takes it up.
    """
    for run in find_runs(experiment, {"fingerprint": fingerprint, "run_kind": "stage"}):
        if run.info.status == "RUNNING":
            client().set_tag(run.info.run_id, PROCESS_TAG, "")


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
def active(run_id: str) -> Iterator[None]:
    """Make a run the active one of this process, without ending it.

    MLflow's own context ends a run as FINISHED however it leaves; the caller knows better.
    """
    patiently(lambda: mlflow.start_run(run_id=run_id, log_system_metrics=False))
    try:
        yield
    finally:
        # The run is RUNNING before and after: a store that does not hear it changes nothing.
        with suppress(MlflowException):
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
    return download(uri)


def download(uri: str) -> Path:
    """Files of an artifact's URI on local disk; what has to be copied goes when this process ends.

    Raises:
        StoreError: the store is silent for longer than the patience is.
    """
    place = _copies() / hashlib.sha256(uri.encode()).hexdigest()[:16]

    def fetch() -> Path:
        # What a lost connection left half done must not be taken for whole.
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(place)))

    if tracking_uri().startswith(("http://", "https://")):
        return patiently(fetch)
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))


@functools.cache
def _copies() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="collapse-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


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


def close_dead(experiment: str) -> list[str]:
    """Close as KILLED what dead processes left RUNNING, and return the ids."""
    dead = [
        run
        for run in find_runs(experiment, {}, status="RUNNING")
        if PROCESS_TAG in run.data.tags and not is_alive(run)
    ]
    for run in dead:
        close_run(run.info.run_id, "KILLED")
    return [run.info.run_id for run in dead]
