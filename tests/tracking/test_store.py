"""A store that cannot be one is refused at once."""

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import mlflow
import pytest

from collapse.errors import StoreError
from collapse.tracking.store import as_guest, connect
from tests.conftest import empty_store, environment, fill_tables


@pytest.mark.parametrize("uri", ["nonsense", "htp://localhost:5000", "sqlite:///", "file:/tmp/x"])
def test_what_names_no_store_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError, match="names no store: give sqlite:///PATH"):
        connect()


def test_a_guest_leaves_a_notebook_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    empty_store()
    monkeypatch.setattr("mlflow.store.db.utils._initialize_tables", fill_tables)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "GIT_PYTHON_REFRESH"):
        monkeypatch.delenv(name, raising=False)
    for uri in (None, f"sqlite:///{tmp_path}/own.db"):
        mlflow.set_tracking_uri(uri)
        logging.getLogger("mlflow").setLevel(logging.INFO)
        before = dict(os.environ), list(warnings.filters), mlflow.get_tracking_uri()
        with as_guest():
            connect()
            assert logging.getLogger("mlflow").level == logging.ERROR
            assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "0"
            assert mlflow.MlflowClient().search_experiments()
        assert (dict(os.environ), list(warnings.filters), mlflow.get_tracking_uri()) == before
        assert mlflow.is_tracking_uri_set() == (uri is not None)
        assert logging.getLogger("mlflow").level == logging.INFO
    assert (tmp_path / "mlflow.db").is_file()
    assert (tmp_path / "own.db").is_file()


@pytest.mark.slow
def test_three_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", "from collapse.tracking.store import connect; connect()"],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [one.communicate(timeout=900)[1] for one in openers]
    assert [one.returncode for one in openers] == [0, 0, 0], said
