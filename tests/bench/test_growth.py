"""Where a study's time went, from a made-up timetable."""

import pandas as pd
import pytest

from bench.growth import Done, all_at_work_until, shares


@pytest.fixture
def stages() -> pd.DataFrame:
    """Two workers for 100 s: three steps a second apart, a tail of 20 s, a report of 10 s."""
    rows = [
        ("baseline", 10.0, 40.0, 29.0),
        ("baseline", 10.0, 50.0, 38.0),
        ("hessian", 41.0, 70.0, 28.0),
        ("quality", 51.0, 90.0, 38.0),
        ("report", 99.9, 100.0, float("nan")),
    ]
    return pd.DataFrame(rows, columns=["stage", "start", "end", "computing"])


def test_all_workers_are_at_work_until_one_has_nothing_left(stages: pd.DataFrame) -> None:
    assert all_at_work_until(stages[stages["stage"] != "report"], workers=2) == 70.0


def test_shares_add_up_to_the_whole(stages: pd.DataFrame) -> None:
    told = shares(Done(100.0, stages), workers=2)
    assert "100 s on 2 workers, 4 runs" in told[0]
    found = [float(line.rstrip("%").split()[-1]) for line in told[1:]]
    # Of 200 s: 133 computing, 20 report, 20 idle at the end, 5 tracking, 22 before and between.
    assert found == [66.5, 10.0, 10.0, 2.5, 11.0]
    assert sum(found) == pytest.approx(100.0)
