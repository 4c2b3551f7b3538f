"""What tests of tracking share: both kinds of store, each made once, and empty experiments."""

import itertools
from pathlib import Path

import pytest

from collapse.tracking import store
from tests.conftest import empty_store

_numbers = itertools.count()


@pytest.fixture(scope="session")
def sqlite_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    path.write_bytes(empty_store())
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.slow)])
def store_uri(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A store that answers: a sqlite file, then the server on PostgreSQL."""
    monkeypatch.chdir(tmp_path)
    kind = request.param
    uri = request.getfixturevalue("sqlite_uri" if kind == "sqlite" else "server")
    uri = uri if kind == "sqlite" else uri.uri
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    store.connect()
    return uri


@pytest.fixture
def experiment(store_uri: str) -> str:
    """The name of an experiment that nothing is in."""
    return f"exp{next(_numbers)}"
