"""What end-to-end tests share: a store of their own, and doors opened in it."""

import functools
import io
import logging
import os
import re
import runpy
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.tracking_server import Server, serving

# One thread a process: two test processes on two cores, and the bits that stages are made with.
os.environ["OMP_NUM_THREADS"] = "1"
# No model is fetched and nothing is told to MLflow's makers; both read this when they are imported.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

# How long an example takes says something of the machine alone.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

# As small as a chain can be: it must run, not learn.
_MICRO = """
    --heldout_documents 8 --tokenizer_documents 300 --vocabulary_size 300
    --preset_overrides hidden_size=32,intermediate_size=64,num_hidden_layers=1
    --baseline_documents 60 --baseline_steps 4 --documents 12 --steps 3
    --tokens_per_step 256 --sequence_length 64 --evaluate_every 2 --checkpoint_every 1
    --warmup_steps 1 --max_new_tokens 40
"""
MICRO = _MICRO.split()


def last_wins(*words: str) -> list[str]:
    """Words of a command line in which an option that comes twice has its last value.

    The doors refuse an option that is given twice; a test says what differs from `MICRO`.
    """
    if len(words) % 2 or not all(word.startswith("--") for word in words[::2]):
        return list(words)
    options = dict(zip(words[::2], words[1::2], strict=True))
    return [word for pair in options.items() for word in pair]


def environment(**more: str) -> dict[str, str]:
    """The environment of a new process that finds the source tree and is not in its folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
    return kept | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"} | more


_OF_THE_MACHINE = re.compile(r"system/|.*(second|memory|_hour)")


def of_the_result(name: str) -> bool:
    """Whether a metric says what was found, not how fast or how loaded the machine was."""
    return not _OF_THE_MACHINE.match(name)


def open_door(
    folder: Path, name: str, *words: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """What `python -m entrypoints.NAME WORDS` does in a folder, in this process.

    A process of its own costs seconds of imports: `door_process` is for what needs one.
    """
    asked = [name, *last_wins(*words)]
    said, complained = io.StringIO(), io.StringIO()
    with as_a_new_process(folder, environment(**more)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", asked)
        with redirect_stdout(said), redirect_stderr(complained):
            try:
                runpy.run_module(f"entrypoints.{name}", run_name="__main__")
                code = 0
            except SystemExit as ended:
                code = int(ended.code or 0)
    return subprocess.CompletedProcess(asked, code, said.getvalue(), complained.getvalue())


def door_process(
    folder: Path, name: str, *words: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """`python -m entrypoints.NAME WORDS` in a folder, as a person would type it."""
    return subprocess.run(
        [sys.executable, "-m", f"entrypoints.{name}", *last_wins(*words)],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=900,
    )


@contextmanager
def as_a_new_process(folder: Path, variables: dict[str, str]) -> Iterator[None]:
    """Folder, environment and store as a new process finds them; then all as it was before."""
    import torch
    from mlflow.store.db import utils as tables

    from collapse.tracking.store import as_guest

    here, threads = Path.cwd(), torch.get_num_threads()
    handlers = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGPIPE)}
    empty_store()
    with as_guest(), pytest.MonkeyPatch.context() as patch:
        os.environ.clear()
        os.environ.update(variables)
        # Of a module that one door runs and another has imported.
        warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
        patch.setattr(tables, "_initialize_tables", fill_tables)
        # Without pytest's handlers what a logger says goes to stderr.
        patch.setattr(logging.getLogger(), "handlers", [])
        os.chdir(folder)
        forget_stores()
        try:
            yield
        finally:
            forget_stores()
            os.chdir(here)
            torch.set_num_threads(threads)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def forget_stores() -> None:
    """MLflow knows stores by their names, and `sqlite:///mlflow.db` is another in each folder."""
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking
    from mlflow.tracking._model_registry.registry import ModelRegistryStoreRegistry
    from mlflow.tracking._tracking_service.registry import TrackingStoreRegistry

    for known in (TrackingStoreRegistry, ModelRegistryStoreRegistry):
        known._get_store_with_resolved_uri.cache_clear()
    for kind in (Tracking, Registry):
        for name in [one for one in kind._engine_map if one.startswith("sqlite")]:
            kind._engine_map.pop(name).dispose()


@functools.cache
def empty_store() -> bytes:
    """A sqlite file with MLflow's tables, which take seconds to make: once in a process."""
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
        forget_stores()
        return path.read_bytes()


def fill_tables(engine: Any) -> None:
    """MLflow's tables in a new sqlite file, by copy."""
    engine.dispose()
    Path(engine.url.database).write_bytes(empty_store())


def relocate(folder: Path, before: Path) -> None:
    """Let a store that was copied name its own files, not those of the folder it was made in."""
    with sqlite3.connect(folder / "mlflow.db") as store:
        for table, column in (
            ("runs", "artifact_uri"),
            ("experiments", "artifact_location"),
            ("logged_models", "artifact_location"),
            ("model_versions", "storage_location"),
        ):
            store.execute(
                f"update {table} set {column} = replace({column}, ?, ?)", (str(before), str(folder))
            )


@pytest.fixture(scope="session")
def micro_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store in which generation 2 of one micro chain was asked for: to be read.

    One for all workers of a session; a test that writes takes a `micro_copy`.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "micro_chain"
    with (shared / "micro_chain.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not (folder / "stderr").exists():
            folder.mkdir()
            made = open_door(folder, "recurse_step", "--generation", "2", *MICRO)
            assert made.returncode == 0, made.stderr
            (folder / "stdout").write_text(made.stdout)
            (folder / "stderr").write_text(made.stderr)
    return folder


@pytest.fixture
def micro_copy(micro_chain: Path, tmp_path: Path) -> Path:
    """The micro chain in a store of its own, which a test may change."""
    folder = tmp_path / "copy"
    shutil.copytree(micro_chain, folder)
    relocate(folder, micro_chain)
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A tracking server for all tests of a worker that need one."""
    with serving() as one:
        yield one


# Tests that start studies take minutes: begun first, they do not end long after all others.
_LONGEST_FIRST = ("test_end_to_end", "tracking", "execution")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files go first."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    room = item.path.relative_to(ROOT / "tests").parts[0].removesuffix(".py")
    return _LONGEST_FIRST.index(room) if room in _LONGEST_FIRST else len(_LONGEST_FIRST)
