"""What a stage's progress tells: how often, how much of it, and in what time."""

import pytest

from collapse.execution.progress import Reporter, Told


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heard() -> list[tuple[Told, ...]]:
    return []


@pytest.fixture
def report(clock: Clock, heard: list[tuple[Told, ...]]) -> Reporter:
    return Reporter(heard.append, clock)


def test_a_thousand_steps_a_second_are_told_twice_a_second(
    report: Reporter, clock: Clock, heard: list[tuple[Told, ...]]
) -> None:
    with report("training", 5000) as advance:
        for _ in range(5000):
            clock.now += 0.001
            advance(1)
    # How it begins, the first step, every half second, and how it ends.
    assert 10 <= len(heard) <= 13
    shares = [parts[-1].share for parts in heard]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_seconds_are_those_of_the_part(
    report: Reporter, clock: Clock, heard: list[tuple[Told, ...]]
) -> None:
    clock.now += 7.0
    with report("sampling", 100) as advance:
        clock.now += 2.0
        advance(1)
        clock.now += 6.0
        advance(3)
        assert heard[-1][0].timed == (0.04, 8.0)
    with report("training", 10):
        clock.now += 5.0
    first, second = heard[-1]
    assert (first.what, first.began, first.timed) == ("sampling", 7.0, (1.0, 8.0))
    assert (second.what, second.began, second.timed) == ("training", 15.0, (1.0, 5.0))


def test_what_an_earlier_call_did_is_not_timed(
    report: Reporter, clock: Clock, heard: list[tuple[Told, ...]]
) -> None:
    """A training that goes on at step 500 of 1,000 is half done, and tells nothing of its pace."""
    with report("training", 1000) as advance:
        clock.now += 2.0
        advance(501)
        assert (heard[-1][0].share, heard[-1][0].timed[0]) == (0.501, 0.0)
        for _ in range(100):
            clock.now += 2.0
            advance(1)
        assert heard[-1][0].timed == pytest.approx((0.1, 200.0))


def test_a_part_that_is_told_of_once_is_timed_as_a_whole(
    report: Reporter, clock: Clock, heard: list[tuple[Told, ...]]
) -> None:
    with report("sampling", 100) as advance:
        clock.now += 3.0
        advance(100)
    assert heard[-1][0].timed == (1.0, 3.0)


@pytest.mark.parametrize(("total", "done"), [(10, 12), (10, -3), (0, 5), (0, 0)])
def test_no_share_is_below_none_or_above_all(
    report: Reporter, heard: list[tuple[Told, ...]], total: int, done: int
) -> None:
    with report("documents", total) as advance:
        advance(done)
        assert 0 <= heard[-1][0].share <= 1
    assert heard[-1][0].share == 1


def test_a_stage_that_fails_is_not_told_as_ended(
    report: Reporter, heard: list[tuple[Told, ...]]
) -> None:
    def fail() -> None:
        with report("training", 10) as advance:
            advance(1)
            raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"):
        fail()
    assert not heard[-1][0].ended
