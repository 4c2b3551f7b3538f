"""Where PostgreSQL's programs are looked for, and who may run them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from collapse.errors import StoreError
from collapse.tracking import postgres


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without PostgreSQL."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "SYSTEM_BINARIES", str(tmp_path / "system"))
    monkeypatch.setattr(postgres.importlib.util, "find_spec", lambda _: None)
    return tmp_path


def programs(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).write_text("")
        (folder / name).chmod(0o755)
    return folder


def test_no_postgres_is_said_with_the_way_to_one(nothing_here: Path) -> None:
    with pytest.raises(StoreError, match="apt-get install postgresql") as it:
        postgres.find_binaries()
    assert len(str(it.value).splitlines()) == 1


def test_no_driver_is_said_with_the_way_to_one(nothing_here: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"pip install -e '\.\[server\]'"),
        postgres.running_postgres(nothing_here / "server"),
    ):
        pass
    assert not (nothing_here / "server").exists()


def test_the_newest_of_the_system_goes_before_a_wheel(nothing_here: Path, monkeypatch) -> None:
    wheel = programs(nothing_here / "pgserver" / "pginstall" / "bin")
    spec = SimpleNamespace(origin=str(nothing_here / "pgserver" / "__init__.py"))
    monkeypatch.setattr(postgres.importlib.util, "find_spec", lambda _: spec)
    assert postgres.find_binaries() == wheel
    for version in ("9.6", "15", "8"):
        programs(nothing_here / "system" / version / "bin")
    assert postgres.find_binaries().parent.name == "15"


def test_a_folder_that_its_user_may_not_enter_is_named(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "server").mkdir(parents=True)
    closed.chmod(0o700)
    other = postgres.Account("somebody", 12345, 12345)
    with pytest.raises(StoreError, match="the user somebody may not enter"):
        postgres.require_reachable(other, closed / "server" / "postgres")
    postgres.require_reachable(other, Path("/usr/bin/env"))


def test_a_folder_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="85 characters at most"),
        postgres.running_postgres(tmp_path / ("x" * 90)),
    ):
        pass
