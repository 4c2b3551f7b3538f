"""Files of healthy runs: what is written is read, and anything else is refused in one line."""

import json
import threading
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from collapse.errors import BadParameter
from collapse.watch import looks
from collapse.watch.looks import Look, Setting, add_run, as_array, common_steps, read_runs

SETTING = Setting.of(torch.arange(6).reshape(2, 3), 0, ["entropy_nats", "key_rank"])
RUN = (
    Look(0, {"entropy_nats": 1.25, "key_rank": 3.0}),
    Look(10, {"entropy_nats": 0.1 + 0.2}),
)


def test_runs_gather_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "healthy.json"
    add_run(path, SETTING, RUN)
    add_run(path, SETTING, RUN[:1])
    assert read_runs(path, SETTING) == (RUN, RUN[:1])
    assert [one.name for one in path.parent.iterdir()] == ["healthy.json"]


def test_shape_of_the_batch_counts() -> None:
    flat = Setting.of(torch.arange(6).reshape(1, 6), 0, SETTING.indicators)
    assert flat.batch != SETTING.batch


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (Setting.of(torch.arange(6).reshape(3, 2), 0, SETTING.indicators), "batch"),
        (replace(SETTING, seed=1), "seed"),
        (replace(SETTING, indicators=("entropy_nats",)), "indicators"),
        (replace(SETTING, sizes=SETTING.sizes | {"new_tokens": 3}), "sizes"),
    ],
)
def test_another_setting_is_refused(tmp_path: Path, other: Setting, word: str) -> None:
    path = tmp_path / "healthy.json"
    add_run(path, SETTING, RUN)
    for attempt in (lambda: read_runs(path, other), lambda: add_run(path, other, RUN)):
        with pytest.raises(BadParameter, match=f"another {word}"):
            attempt()
    assert read_runs(path, SETTING) == (RUN,)


def malformed() -> dict[str, str]:
    good = {
        "format": "collapse early warning 2",
        "setting": asdict(SETTING),
        "runs": [[{"step": 0, "entropy_nats": 1.0}]],
    }
    return {
        "no JSON": "healthy",
        "a list": "[]",
        "no setting": json.dumps({**good, "setting": {}}),
        "another format": json.dumps({**good, "format": "2"}),
        "no run": json.dumps({**good, "runs": []}),
        "a run without looks": json.dumps({**good, "runs": [[]]}),
        "no step": json.dumps({**good, "runs": [[{"entropy_nats": 1.0}]]}),
        "nan": json.dumps({**good, "runs": [[{"step": 0, "entropy_nats": float("nan")}]]}),
        "a word": json.dumps({**good, "runs": [[{"step": 0, "entropy_nats": "low"}]]}),
    }


@pytest.mark.parametrize("kind", malformed())
def test_malformed_files_are_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "healthy.json"
    path.write_text(malformed()[kind])
    with pytest.raises(BadParameter, match=r"^calibration [^\n]*healthy.json: [^\n]*$"):
        read_runs(path, SETTING)


def test_a_sick_or_empty_run_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "healthy.json"
    with pytest.raises(BadParameter, match="no look"):
        add_run(path, SETTING, ())
    with pytest.raises(BadParameter, match="not finite"):
        add_run(path, SETTING, (Look(0, {"entropy_nats": np.inf}),))
    assert not path.exists()


@pytest.mark.parametrize("again", [RUN, RUN[1:], (*RUN, Look(20, {"key_rank": 2.0}))])
def test_a_run_counts_once(tmp_path: Path, again: looks.Run) -> None:
    path = tmp_path / "healthy.json"
    add_run(path, SETTING, RUN)
    with pytest.raises(BadParameter, match=r"number 2 is number 1 again[^\n]*$"):
        add_run(path, SETTING, again)
    assert read_runs(path, SETTING) == (RUN,)


def test_two_that_save_at_once_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one begins to save while the first has read the file and not yet written it."""
    path, other = tmp_path / "healthy.json", (Look(10, {"entropy_nats": 9.0}),)
    add_run(path, SETTING, (Look(10, {"entropy_nats": 5.0}),))
    second = threading.Thread(target=add_run, args=(path, SETTING, other))
    read = looks.read_runs

    def read_slowly(*arguments: object) -> object:
        found = read(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(looks, "read_runs", read)
        second.start()
        second.join(0.3)
        return found

    monkeypatch.setattr(looks, "read_runs", read_slowly)
    add_run(path, SETTING, RUN)
    second.join()
    assert len(read_runs(path, SETTING)) == 3
    assert [one.name for one in tmp_path.iterdir()] == ["healthy.json"]


def test_steps_in_common_and_holes() -> None:
    other = (Look(10, {"key_rank": 5.0}), Look(20, {"key_rank": 6.0}))
    assert common_steps([RUN, other]) == (10,)
    assert common_steps([]) == ()
    table = as_array([RUN, other], [10], SETTING.indicators)
    np.testing.assert_array_equal(table, [[[0.1 + 0.2, np.nan]], [[np.nan, 5.0]]])
