"""Patience with a store that does not answer: calls are made again, and none happens twice."""

import functools
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import mlflow

from collapse.errors import BadParameter, StoreError
from collapse.tracking.store import first_line, tracking_uri

PATIENCE_VARIABLE = "COLLAPSE_STORE_PATIENCE"
DEFAULT_PATIENCE_SECONDS = 600.0
_LONGEST_PAUSE_SECONDS = 3.0

Answer = TypeVar("Answer")

# MLflow hands a lost connection on as words: of its own, of requests, of a proxy, of a driver.
_SILENT = re.compile(
    r"failed with (timeout )?exception|error code (429|50[0234])|(429|50[0234]) (Client|Server) "
    r"Error|Connection ?(Error|aborted|refused|reset|broken)|timed out|IncompleteRead"
    r"|psycopg2?\.\w*\.?(OperationalError|InterfaceError)"
)
_CODES = {"TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}


def patience_seconds() -> float:
    """How long a store that does not answer is waited for: COLLAPSE_STORE_PATIENCE, or minutes.

    Raises:
        BadParameter: it is no number of seconds.
    """
    text = os.environ.get(PATIENCE_VARIABLE) or str(DEFAULT_PATIENCE_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise BadParameter(f"{PATIENCE_VARIABLE}={text!r} is no number of seconds, such as 600")
    return seconds


def is_silence(error: BaseException) -> bool:
    """Whether an error says that the store does not answer now, and not that it refused."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as Unconnected
    from requests.exceptions import RequestException, Timeout
    from sqlalchemy.exc import OperationalError

    if tracking_uri().startswith("sqlite:"):
        # A file answers at once, if only that it is full; but another process may be writing.
        return isinstance(error, MlflowException | OperationalError) and "is locked" in str(error)
    if isinstance(error, MlflowException):
        return error.error_code in _CODES or bool(_SILENT.search(str(error)))
    if isinstance(error, Unconnected | Timeout | OperationalError):
        return True
    return isinstance(error, RequestException) and bool(_SILENT.search(str(error)))


class _Memory:
    """What this process knows of its store: whether it has been given up."""

    given_up = False


def hurry() -> None:
    """Wait for no silent store any more, until it has answered: someone wants us to end."""
    _Memory.given_up = True


def patiently(
    call: Callable[[], Answer], landed: Callable[[], Answer | None] = lambda: None
) -> Answer:
    """Make a call to the store, again and again while it does not answer.

    Once the patience is over it is not spent again before the store has answered.

    Args:
        call: the call.
        landed: for a call that must not happen twice: what it made if its answer alone was lost.

    Raises:
        StoreError: the store has not answered for as long as the patience is.
    """
    try:
        answer = call()
    except Exception as error:
        if not is_silence(error):
            raise
        answer = _wait(call, landed, error)
    _Memory.given_up = False
    return answer


def _wait(
    call: Callable[[], Answer], landed: Callable[[], Answer | None], error: Exception
) -> Answer:
    seconds = patience_seconds()
    deadline = time.monotonic() + seconds
    reason = why(error)
    if not _Memory.given_up:
        print(
            f"the tracking store {tracking_uri()} does not answer ({reason}): "
            f"waiting for it, {seconds:g} s at most",
            file=sys.stderr,
            flush=True,
        )
    pause = 0.5
    while not _Memory.given_up and time.monotonic() < deadline:
        time.sleep(min(pause, max(deadline - time.monotonic(), 0)))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        try:
            made = landed()
            return call() if made is None else made
        except Exception as again:
            if not is_silence(again):
                raise
    _Memory.given_up = True
    raise StoreError(
        f"the tracking store {tracking_uri()} has not answered for {seconds:g} s ({reason}): what "
        "was made is kept here, and the same command goes on from it once the store answers"
    ) from error


def why(error: BaseException) -> str:
    """Why the store does not answer, in a few words."""
    known = _REASONS.search(str(error))
    reason = known.group() if known else first_line(error)
    return {"NewConnectionError": "nobody listens there"}.get(reason, reason)


_REASONS = re.compile(
    r"Connection (aborted|refused|reset|broken)|NewConnectionError|timed out|IncompleteRead"
    r"|is locked|(error code )?50[0234]"
)


class PatientClient:
    """MLflow's client, each of whose calls waits for a store that does not answer.

    What makes a new thing at each call is not for it: that goes through `patiently` with a look at
    what has landed.
    """

    def __getattr__(self, name: str) -> Any:
        if name in {"create_run", "create_model_version"}:
            raise AttributeError(f"{name} may happen twice: use patiently(..., landed=...)")

        @functools.wraps(getattr(mlflow.MlflowClient, name))
        def call(*args: Any, **options: Any) -> Any:
            return patiently(lambda: getattr(mlflow.MlflowClient(), name)(*args, **options))

        return call
