"""What is said of a walk where nobody looks at a bar."""

import pytest

from collapse.execution import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_come_ever_more_rarely(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = progress.Course("mine: 4 steps", total=1000)
    for second in range(1, 1001):
        clock[0] = float(second)
        course.advance(1)
        course.show()
    course.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "mine: 4 steps: 3% after 00:30, about 16:10 left"
    assert [line.split()[5].rstrip(",") for line in lines[:4]] == [
        "00:30",
        "00:45",
        "01:08",
        "01:42",
    ]
    assert len(lines) == 9


def test_nothing_is_said_before_a_step_is_done(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = progress.Course("mine", total=10)
    clock[0] = 500.0
    course.show()
    assert capsys.readouterr().err == ""
    course.advance(5)
    course.show()
    assert capsys.readouterr().err == "mine: 50% after 08:20, about 08:20 left\n"


def test_what_was_found_done_tells_no_time(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = progress.Course("mine", total=1000)
    course.advance(500, found=True)
    clock[0] = 100.0
    course.advance(9)
    course.show()  # 9 of the 500 that are left: less than 2 % of them
    course.advance(41)
    clock[0] = 200.0
    course.show()
    assert capsys.readouterr().err.splitlines() == [
        "mine: 51% after 01:40",
        "mine: 55% after 03:20, about 30:00 left",
    ]


def test_a_bar_says_the_same(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    course = progress.Course("mine", total=1000)
    course.advance(500, found=True)
    course.advance(50)
    clock[0] = 200.0
    course.show()
    course.close()
    last = capsys.readouterr().err.split("\r")[-2]
    assert "55%" in last
    assert last.rstrip().endswith(", about 30:00 left]")


def test_a_walk_that_finds_all_done_ends_quietly(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    course = progress.Course("mine", total=10)
    course.advance(10, found=True)
    clock[0] = 100.0
    course.show()
    assert capsys.readouterr().err == "mine: 100% after 01:40\n"
