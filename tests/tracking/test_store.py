"""A store that cannot be one is refused at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from collapse.errors import StoreError
from collapse.tracking.store import connect
from tests.conftest import environment


@pytest.mark.parametrize("uri", ["nonsense", "htp://localhost:5000", "sqlite:///", "file:/tmp/x"])
def test_what_names_no_store_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError, match="names no store: give sqlite:///PATH"):
        connect()


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
    said = [one.communicate(timeout=180)[1] for one in openers]
    assert [one.returncode for one in openers] == [0, 0, 0], said
