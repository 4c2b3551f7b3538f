"""What is said of a walk where nobody looks at a bar."""

import pytest

from collapse.execution import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def walk(steps: int, *, kind: str = "train", workers: int = 1) -> progress.Course:
    return progress.Course("mine", [(kind, 1)] * steps, workers)


def test_lines_come_ever_more_rarely(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = walk(1000)
    for second in range(1, 1001):
        clock[0] = float(second)
        course.advance("train", 1, 1.0)
        course.show()
    course.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "mine: 3% after 00:30, about 16:10 left"
    assert [line.split()[3].rstrip(",") for line in lines[:4]] == [
        "00:30",
        "00:45",
        "01:08",
        "01:42",
    ]
    assert len(lines) == 9


def test_nothing_is_said_before_a_step_is_done(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = walk(10)
    clock[0] = 500.0
    course.show()
    assert capsys.readouterr().err == ""
    course.advance("train", 5, 500.0)
    course.show()
    assert capsys.readouterr().err == "mine: 50% after 08:20, about 08:20 left\n"


def test_what_was_found_done_tells_no_time(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = walk(1000)
    course.advance("train", 500, None)
    clock[0] = 100.0
    course.advance("train", 9, 36.0)
    course.show()  # 9 of the 500 that are left: less than 2 % of them
    course.advance("train", 41, 164.0)
    clock[0] = 200.0
    course.show()
    assert capsys.readouterr().err.splitlines() == [
        "mine: 51% after 01:40",
        "mine: 55% after 03:20, about 30:00 left",
    ]


def test_each_kind_of_step_is_foretold_by_its_own_and_workers_share(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = progress.Course("mine", [("train", 10)] * 4 + [("look", 10)] * 4, workers=2)
    clock[0] = 100.0
    course.advance("train", 10, 60.0)
    course.show()  # of looks nothing is known: they weigh what a training does
    course.advance("look", 10, 300.0)
    clock[0] = 200.0
    course.show()
    assert capsys.readouterr().err.splitlines() == [
        "mine: 12% after 01:40, about 03:30 left",
        "mine: 25% after 03:20, about 09:00 left",
    ]


def test_a_bar_says_the_same(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    course = walk(1000)
    course.advance("train", 500, None)
    course.advance("train", 50, 200.0)
    clock[0] = 200.0
    course.show()
    course.close()
    last = capsys.readouterr().err.split("\r")[-2]
    assert "55%" in last
    assert last.rstrip().endswith(", about 30:00 left]")


def test_a_walk_that_finds_all_done_ends_quietly(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = walk(10)
    course.advance("train", 10, None)
    clock[0] = 100.0
    course.show()
    assert capsys.readouterr().err == "mine: 100% after 01:40\n"
