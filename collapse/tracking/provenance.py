"""Where a run comes from: the process that holds it, and the commit of this source tree."""

import functools
import os
import socket
import subprocess
from pathlib import Path

import psutil
from mlflow.entities import Run

PROCESS_TAG = "process"


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
