"""Files of healthy runs: what is written is read, and anything else is refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from collapse.errors import BadParameter
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
        (Setting(SETTING.batch, 1, SETTING.indicators), "seed"),
        (Setting(SETTING.batch, 0, ("entropy_nats",)), "indicators"),
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
        "format": "collapse early warning 1",
        "setting": {"batch": SETTING.batch, "seed": 0, "indicators": list(SETTING.indicators)},
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


def test_steps_in_common_and_holes() -> None:
    other = (Look(10, {"key_rank": 5.0}), Look(20, {"key_rank": 6.0}))
    assert common_steps([RUN, other]) == (10,)
    assert common_steps([]) == ()
    table = as_array([RUN, other], [10], SETTING.indicators)
    np.testing.assert_array_equal(table, [[[0.1 + 0.2, np.nan]], [[np.nan, 5.0]]])
