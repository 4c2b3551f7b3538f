"""A tracking server of the tests' own: PostgreSQL and MLflow, which can be killed and come back."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from collapse.tracking.postgres import running_postgres
from collapse.tracking.server import end_group, start_mlflow


@dataclass
class Server:
    """A running server; `kill` and `start` are an outage."""

    folder: Path
    database: str
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = start_mlflow(self.database, self.folder, port=self.port, workers=1)

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def artifact(self, artifact_uri: str, name: str) -> Path:
        """Where the server keeps a file."""
        return self.folder / "artifacts" / artifact_uri.removeprefix("mlflow-artifacts:/") / name


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving() -> Iterator[Server]:
    """A server in a folder of its own, which the user that PostgreSQL runs as may enter."""
    folder = Path(tempfile.mkdtemp(prefix="collapse-server-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        with running_postgres(folder) as database:
            server = Server(folder, database, free_port())
            server.start()
            try:
                yield server
            finally:
                if server.process and server.process.poll() is None:
                    end_group(server.process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
