"""A shared tracking server: MLflow before a PostgreSQL of its own (`make server`)."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collapse.errors import BadParameter, CollapseError, StoreError
from collapse.tracking.postgres import running_postgres

FOLDER = ".collapse/server"
LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
PORT = 5000
WORKERS = 2
_STARTING_SECONDS = 180


@contextmanager
def running_server(
    folder: Path, *, host: str = LOOPBACK, port: int = PORT, workers: int = WORKERS
) -> Iterator[str]:
    """An MLflow server on a PostgreSQL store, artifacts through it, while the context is open.

    Args:
        folder: holds the database, the artifacts and both logs; what is there is gone on with.
        host: address to listen on.
        port: port to listen on.
        workers: processes that answer.

    Yields:
        The tracking URI.

    Raises:
        BadParameter: the port is taken, or the address is not ours.
        StoreError: one of the two does not start.
    """
    folder = folder.absolute()
    require_free(host, port)
    folder.mkdir(parents=True, exist_ok=True)
    with running_postgres(folder) as database:
        server = start_mlflow(database, folder, host=host, port=port, workers=workers)
        try:
            yield uri_of(host, port)
        finally:
            end_group(server)


def start_mlflow(
    database: str, folder: Path, *, host: str = LOOPBACK, port: int = PORT, workers: int = WORKERS
) -> "subprocess.Popen[bytes]":
    """Start MLflow's server before a database, its artifacts in a folder, and wait till it answers.

    Raises:
        StoreError: it does not start.
    """
    log = folder / "mlflow.log"
    # What a client is told by is not for the server. Nothing of ours is a job of the server's, and
    # its runners would be more processes.
    client_only = ("MLFLOW_TRACKING", "MLFLOW_REGISTRY", "MLFLOW_RUN", "MLFLOW_EXPERIMENT")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(client_only)}
    variables["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    with log.open("a") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port)]
            + ["--backend-store-uri", database, "--serve-artifacts"]
            + ["--artifacts-destination", str(folder / "artifacts"), "--workers", str(workers)],
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _await_health(server, uri_of(host, port), log)
    except BaseException:
        end_group(server)
        raise
    return server


def uri_of(host: str, port: int) -> str:
    """Where a server is reached from this machine."""
    return f"http://{LOOPBACK if host == EVERYWHERE else host}:{port}"


def require_free(host: str, port: int) -> None:
    """See that a port can be listened on.

    Raises:
        BadParameter: it cannot.
    """
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadParameter(
            f"port {port} of {host} cannot be listened on ({reason}): give another, as in "
            "`make server PORT=5001`"
        ) from error


def end_group(server: "subprocess.Popen[bytes]") -> None:
    """End a process and its workers, by force where they do not end in half a minute."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            break


def _await_health(server: "subprocess.Popen[bytes]", uri: str, log: Path) -> None:
    deadline = time.monotonic() + _STARTING_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    lines = log.read_text().strip().splitlines() or ["it said nothing"]
    raise StoreError(f"the MLflow server did not start, see {log}: {lines[-1][:300]}")


def main() -> int:
    """Start both, say how to point a study at them, and stop both on Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(FOLDER), help="data (%(default)s)")
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="port (%(default)s)")
    parser.add_argument("--workers", type=int, default=WORKERS, help="processes (%(default)s)")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_server(
            chosen.folder, host=chosen.host, port=chosen.port, workers=chosen.workers
        ) as uri:
            print(f"point a study at it: export MLFLOW_TRACKING_URI={uri}", flush=True)
            if chosen.host not in {LOOPBACK, "localhost"}:
                print("anyone who reaches it may read and write it: see docs/server.md", flush=True)
            while True:
                time.sleep(3600)
    except CollapseError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
