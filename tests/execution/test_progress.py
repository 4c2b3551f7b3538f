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
