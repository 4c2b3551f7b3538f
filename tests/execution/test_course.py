"""How far a walk has come, in lines and on a bar: arithmetic on known costs, by a made-up clock."""

import re
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from collapse.execution import course as module
from collapse.execution.costs import Part
from collapse.execution.course import Course
from collapse.execution.progress import Told
from collapse.stages.plan import Step

COSTS = {"train": (Part("training", 100.0), Part("rest of train", 0.0, of_model=False))}


def step(name: str, *needs: str, stage: str = "train") -> Step:
    return Step(name, stage, None, (), None, needs)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Part, ...]]:
    """What parts a stage has, by its name."""
    known = dict(COSTS)
    monkeypatch.setattr(module, "parts_of", lambda step: known[step.stage])
    return known


@pytest.fixture
def start(clock: Clock, costs: dict[str, tuple[Part, ...]]) -> Callable[..., Course]:
    return lambda *steps, workers=1: Course("mine", steps, workers, clock)


def training(done: int, seconds: float, *, what: str = "training", total: int = 100) -> Told:
    return Told(what, total, 0.0, done, seconds, (0, 0.0), ended=done == total)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    return lambda: capsys.readouterr().err.splitlines()


def seconds_left(line: str) -> float:
    """The time left that a line names."""
    told = re.search(r"about ([\d:]+) left", line)
    assert told, line
    seconds = 0
    for part in told[1].split(":"):
        seconds = 60 * seconds + int(part)
    return float(seconds)


def walked(
    course: Course, clock: Clock, keys: list[str], *, pace: float, look: float = 1.0
) -> None:
    """Steps of 100 units, one after the other, a unit in so many seconds; looked at meanwhile."""
    for key in keys:
        course.begin(key)
        began = clock.now
        while clock.now - began < 100 * pace:
            clock.now += look
            course.tell(key, (training(int((clock.now - began) / pace), clock.now - began),))
            course.show()
        course.end(key, clock.now - began)
        course.show()


def test_a_line_a_minute_for_five_minutes_and_then_ever_more_rarely(
    start: Callable[..., Course], clock: Clock, lines: Callable[[], list[str]]
) -> None:
    course = start(*map(step, "abcdefghij"))
    walked(course, clock, list("abcdefghij"), pace=10.0)
    times = []
    for line in lines():
        minutes, seconds = re.search(r"after (?:(\d):)?(\d+:\d+)", line).groups()  # type: ignore[union-attr]
        m, s = seconds.split(":")
        times.append(3600 * int(minutes or 0) + 60 * int(m) + int(s))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] <= 15
    assert all(gap <= 61 for gap, at in zip(gaps, times[:-1], strict=True) if at < 300)
    assert gaps == sorted(gaps)
    assert gaps[-1] > 600
    assert len(times) < 30


def test_the_first_line_that_foretells_does_not_wait_for_its_turn(
    start: Callable[..., Course], clock: Clock, lines: Callable[[], list[str]]
) -> None:
    course = start(step("a"), step("b", "a"))
    clock.now += 10.0
    course.begin("a")
    course.show()
    clock.now += 14.0
    course.tell("a", (training(2, 4.0),))
    course.show()
    clock.now += 2.0
    course.tell("a", (training(3, 6.0),))
    course.show()
    first, second = lines()
    assert first == "mine: 0% after 00:10; train"
    assert second == "mine: 1% after 00:26, about 06:34 left; training, 3%"


def test_what_is_left_is_what_each_kind_takes_here(
    start: Callable[..., Course],
    clock: Clock,
    costs: dict[str, tuple[Part, ...]],
    lines: Callable[[], list[str]],
) -> None:
    """Half a training of cost 100 in 1,000 seconds: pace 20, until a look tells its own."""
    costs["look"] = (Part("spectrum", 10.0), Part("rest of look", 0.0, of_model=False))
    course = start(step("a"), step("b", "a", stage="look"), step("c", "b", stage="look"))
    course.begin("a")
    clock.now += 1000.0
    course.tell("a", (training(50, 1000.0),))
    course.show()
    clock.now += 1000.0
    course.tell("a", (training(100, 2000.0),))
    course.end("a", 2000.0)
    course.begin("b")
    clock.now += 500.0
    course.tell("b", (training(50, 500.0, what="spectrum of a model"),))
    course.show()
    first, second = map(seconds_left, lines())
    assert first == pytest.approx(50 * 20 + 20 * 20, abs=1)
    assert second == pytest.approx(5 * 100 + 10 * 100, rel=0.01)


def test_workers_share_but_a_chain_waits_for_itself(
    start: Callable[..., Course], clock: Clock, lines: Callable[[], list[str]]
) -> None:
    chain = [step("a"), step("b", "a"), step("c", "b"), step("d", "c")]
    others = [step(name) for name in "efghijkl"]
    for steps, left in ((chain + others, 1200 / 2), (chain, 400.0)):
        course = start(*steps, workers=2)
        course.begin("a")
        clock.now += 10.0
        course.tell("a", (training(10, 10.0),))
        course.show()
        assert seconds_left(lines()[-1]) == pytest.approx(left - 10, abs=8)


@pytest.mark.parametrize("off", [0.05, 0.5, 2.0, 20.0])
def test_costs_that_are_off_are_put_right_within_a_minute(
    start: Callable[..., Course],
    clock: Clock,
    costs: dict[str, tuple[Part, ...]],
    lines: Callable[[], list[str]],
    off: float,
) -> None:
    """However fast the machine is beside the one on which costs were measured."""
    costs["train"] = (
        Part("training", 100.0 * off),
        Part("rest of train", 0.0, of_model=False),
    )
    course = start(*map(step, "abcd"))
    walked(course, clock, list("abcd"), pace=1.0)
    first = next(line for line in lines() if "left" in line)
    passed = 400 - seconds_left(first)
    assert passed == pytest.approx(5, abs=2)


def test_no_line_goes_back_or_above_all_whatever_is_told(
    start: Callable[..., Course],
    clock: Clock,
    costs: dict[str, tuple[Part, ...]],
    lines: Callable[[], list[str]],
) -> None:
    """A task that begins anew elsewhere, a part that does more than it said, paces that change."""
    costs["look"] = (Part("spectrum", 1.0, 2), Part("rest of look", 5.0, of_model=False))
    course = start(step("a"), step("b", stage="look"), step("c"))
    tellings: list[tuple[str, tuple[Told, ...]]] = [
        ("a", (training(60, 60.0),)),
        ("a", (training(5, 5.0),)),
        ("a", (training(150, 300.0),)),
        ("b", tuple(training(100, 400.0, what="spectrum") for _ in range(5))),
        ("c", (training(90, 900.0),)),
        ("c", (training(1, 9.0),)),
    ]
    shares = []
    for key, told in tellings:
        course.begin(key)
        clock.now += 500.0
        course.tell(key, told)
        course.show()
    for key in "abc":
        course.end(key, 10.0)
        clock.now += 5000.0
        course.show()
    shares = [int(re.search(r"(\d+)%", line)[1]) for line in lines()]  # type: ignore[index]
    assert len(shares) == len(tellings) + 3
    assert shares == sorted(shares)
    assert shares[-1] == 100
    assert shares[0] > 0


def test_what_a_stage_tells_nothing_of_goes_on_by_time(
    start: Callable[..., Course],
    clock: Clock,
    costs: dict[str, tuple[Part, ...]],
    lines: Callable[[], list[str]],
) -> None:
    costs["look"] = (Part("rest of look", 100.0, of_model=False),)
    course = start(step("a", stage="look"))
    course.begin("a")
    clock.now += 40.0
    course.show()
    clock.now += 400.0
    course.show()
    assert lines() == [
        "mine: 40% after 00:40, about 01:00 left; look",
        "mine: 90% after 07:20, about 00:10 left; look",
    ]


def test_a_walk_that_finds_all_done_says_nothing(
    start: Callable[..., Course], clock: Clock, lines: Callable[[], list[str]]
) -> None:
    course = start()
    course.begin("a")
    course.end("a", 0.1)
    clock.now += 500.0
    course.show()
    assert lines() == []


def test_many_at_work_are_told_by_two(
    start: Callable[..., Course], clock: Clock, lines: Callable[[], list[str]]
) -> None:
    course = start(*map(step, "abcd"), workers=4)
    for key in "abcd":
        course.begin(key)
    course.tell("a", (training(40, 1.0),))
    clock.now += 20.0
    course.show()
    assert lines() == ["mine: 10% after 00:20; training, 40%; train; 2 more"]


def test_a_bar_shows_the_same_where_somebody_looks(
    start: Callable[..., Course],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True, raising=False)
    course = start(step("a"), step("b", "a"))
    course.begin("a")
    clock.now += 40.0
    course.tell("a", (training(40, 40.0),))
    course.show()
    shown = capsys.readouterr().err.split("\r")[-1]
    assert "mine |" in shown
    assert " 20% [" in shown
    assert "about 02:40 left; training, 40%" in shown


def test_it_is_shown_without_being_asked(
    start: Callable[..., Course], clock: Clock, lines: Callable[[], list[str]]
) -> None:
    """Where one process walks alone nobody can ask while a stage computes."""
    said: list[str] = []
    with start(step("a")) as course:
        course.begin("a")
        clock.now += 20.0
        for _ in range(600):
            said += lines()
            if said:
                break
            time.sleep(0.1)
    assert said == ["mine: 0% after 00:20; train"]
