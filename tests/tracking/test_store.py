"""A store that cannot be one is refused at once."""

import pytest

from collapse.errors import StoreError
from collapse.tracking.store import connect


@pytest.mark.parametrize("uri", ["nonsense", "htp://localhost:5000", "sqlite:///", "file:/tmp/x"])
def test_what_names_no_store_is_refused(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError, match="names no store: give sqlite:///PATH"):
        connect()
