"""The tracking store: where it is, and that it can be written."""

import fcntl
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse.errors import StoreError

DEFAULT_URI = "sqlite:///mlflow.db"
ARTIFACTS = "mlruns"
LEAST_FREE_BYTES = 200 * 2**20
"""A study writes some tens of megabytes; a disk fuller than this will not take one."""

_SCHEMES = ("sqlite:///", "postgresql", "mysql", "mssql", "http://", "https://", "databricks")
_NOISY = (
    "mlflow",
    "mlflow.system_metrics.system_metrics_monitor",
    "mlflow.tracking.fluent",
    "mlflow.transformers",
    "alembic",
    "sqlalchemy",
)
_TELLER = "mlflow.store.db.utils"
"""It tells with a traceback what it raises besides."""


def tracking_uri() -> str:
    """Where runs are kept: MLFLOW_TRACKING_URI, or a sqlite file in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def connect() -> None:
    """Open the store, making and migrating it where it is new; then child processes can use it.

    Several processes that open a new sqlite database at once would race for its tables: they take
    turns.

    Raises:
        StoreError: the store or the disk cannot be written, or does not answer.
    """
    uri = tracking_uri()
    _require_known(uri)
    _require_writable(uri)
    os.environ["MLFLOW_TRACKING_URI"] = uri
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # MLflow's own retries would make a run a second time where an answer was lost: `patience` looks
    # first. They take minutes, too, and say nothing.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    silence()
    import mlflow

    mlflow.set_tracking_uri(uri)
    try:
        with _in_turn(uri):
            mlflow.MlflowClient().search_experiments(max_results=1)
    except Exception as error:  # whatever a database driver or a server may raise
        raise StoreError(
            f"the tracking store {uri} does not answer: {first_line(error)}"
        ) from error


@contextmanager
def as_guest() -> Iterator[None]:
    """Put back what `connect` sets: warnings, loggers and variables are a notebook's own."""
    variables, levels = dict(os.environ), {n: logging.getLogger(n).level for n in _NOISY}
    levels[_TELLER] = logging.getLogger(_TELLER).level
    import mlflow

    uri = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        mlflow.set_tracking_uri(uri)  # type: ignore[arg-type]  # None: unset, as it was
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)


@contextmanager
def _in_turn(uri: str) -> Iterator[None]:
    """One process of this machine at a time, where the store is a sqlite file."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    # The lock of a folder leaves no file behind, and goes with the process that holds it.
    folder = os.open(Path(uri.removeprefix("sqlite:///")).absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def is_store_failure(error: BaseException) -> bool:
    """Whether an error is the store's or the disk's, whichever library raised it.

    A file that is not there, or is a folder, is neither's fault.
    """
    from mlflow.exceptions import MlflowException
    from safetensors import SafetensorError
    from sqlalchemy.exc import SQLAlchemyError

    # torch.save reports a disk that is full as a plain RuntimeError.
    on_save = isinstance(error, RuntimeError) and "PytorchStreamWriter" in str(error)
    kinds = (OSError, MlflowException, SafetensorError, SQLAlchemyError)
    mistakes = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
    return on_save or (isinstance(error, kinds) and not isinstance(error, mistakes))


def silence() -> None:
    """Keep MLflow's and its database's chatter out of the terminal; errors still show."""
    warnings.filterwarnings("ignore", module="mlflow")
    warnings.filterwarnings("ignore", category=UserWarning)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger(_TELLER).setLevel(logging.CRITICAL)


def first_line(error: BaseException) -> str:
    """An error as one line; of the database's, what it says and not during what."""
    lines = str(error).strip().splitlines()
    lines = [line for line in lines if not line.startswith("(raised as a result of")]
    return lines[0][:300] if lines else type(error).__name__


def _require_known(uri: str) -> None:
    """Raise StoreError where MLflow would keep runs in memory, or look for a store for minutes."""
    if uri == "sqlite:///" or not uri.startswith(_SCHEMES):
        raise StoreError(
            f"MLFLOW_TRACKING_URI={uri!r} names no store: give sqlite:///PATH, "
            "postgresql://HOST/NAME or http(s)://HOST:PORT"
        )


def _require_writable(uri: str) -> None:
    """Raise StoreError unless the folder of a sqlite store can be written and has room."""
    if not uri.startswith("sqlite:///"):
        return
    path = Path(uri.removeprefix("sqlite:///")).absolute()
    folder = path.parent
    if not folder.is_dir():
        raise StoreError(f"the tracking store {uri} lies in a folder that is not there: {folder}")
    if path.exists() and not os.access(path, os.W_OK):
        raise StoreError(f"the tracking store {path} cannot be written: check its permissions")
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"room?")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from error
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    if free < LEAST_FREE_BYTES:
        raise StoreError(
            f"the disk of {folder} is full: {free // 2**20} MiB are free, "
            f"{LEAST_FREE_BYTES // 2**20} MiB are needed"
        )
