"""Bounds by simulation, p-values by hand and by scipy, and an independent reckoning of wealth."""

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from collapse.errors import BadParameter
from collapse.numerics.martingale import (
    EXPONENTS,
    Wealth,
    combined,
    evidence_path,
    p_value,
    tie_breaks,
)
from collapse.numerics.streams import numpy_stream

STREAMS, LENGTH, BURN_IN = 2000, 150, 20


def p_values(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    breaks = tie_breaks(generator, values.shape)
    columns = [
        p_value(values[..., :t], values[..., t], breaks[..., t]) for t in range(values.shape[-1])
    ]
    return np.stack(columns, axis=-1)


def test_p_value_by_hand() -> None:
    past = [3.0, 1.0, 2.0, 2.0]
    # One above 2, two equal ones and itself.
    assert p_value(past, 2.0, 1.0) == pytest.approx(4 / 5)
    assert p_value(past, 2.0, 0.5) == pytest.approx(2.5 / 5)
    assert p_value(past, 9.0, 0.5) == pytest.approx(0.1)
    assert p_value([], 7.0, 0.3) == pytest.approx(0.3)


@pytest.mark.parametrize("kind", ["normal", "coin", "a bag without replacement"])
def test_p_values_of_exchangeable_streams_are_uniform_and_independent(kind: str) -> None:
    generator = numpy_stream(0, "p values", kind)
    draws = generator.normal(size=(4000, 12))
    if kind == "coin":
        draws = (draws > 0.5).astype(float)
    if kind == "a bag without replacement":
        draws = generator.permuted(np.tile(np.arange(12) // 3, (4000, 1)), axis=1)
    found = p_values(draws, generator)
    assert stats.kstest(found[:, -1], "uniform").pvalue > 1e-3
    assert stats.kstest(found.ravel(), "uniform").pvalue > 1e-3
    together = np.corrcoef(found, rowvar=False) - np.eye(12)
    assert np.abs(together).max() < 4.5 / 4000**0.5


def test_wealth_is_that_of_its_mixture_written_out() -> None:
    """The sum over all beginnings s, each with its prior, of all bets' products from s on."""
    p = tie_breaks(numpy_stream(1, "wealth"), 7)
    wealth = Wealth.begin()
    for t in range(1, len(p) + 1):
        wealth = wealth.bet(p[t - 1])
        expected = 1 / (t + 1)
        for begin in range(1, t + 1):
            won = [np.prod([e * p[i] ** (e - 1) for i in range(begin - 1, t)]) for e in EXPONENTS]
            expected += np.mean(won) / (begin * (begin + 1))
        assert wealth.evidence == pytest.approx(expected, rel=1e-12)
    assert wealth.sleeping == pytest.approx(1 / (len(p) + 1))


def test_a_bet_has_a_mean_of_one() -> None:
    wealth = Wealth.begin().bet(0.2).bet(0.01)
    # By a substitution that takes the pole at 0 away: p = q^12.
    q, weights = np.polynomial.legendre.leggauss(200)
    q, weights = (q + 1) / 2, weights / 2
    after = np.array([wealth.bet(one**12).evidence for one in q])
    assert weights @ (after * 12 * q**11) == pytest.approx(float(wealth.evidence), rel=1e-6)


NULLS = {
    "normal": lambda g: g.normal(size=(STREAMS, LENGTH)),
    "heavy tails": lambda g: g.standard_t(2, size=(STREAMS, LENGTH)),
    "ties": lambda g: g.poisson(1.0, size=(STREAMS, LENGTH)).astype(float),
    # Not independent: each stream has a level and a spread of its own.
    "own level": lambda g: (
        g.normal(size=(STREAMS, 1)) * 9 + g.exponential(size=(STREAMS, 1)) * NULLS["normal"](g)
    ),
    "constant": lambda g: np.ones((STREAMS, LENGTH)),
}


@pytest.mark.parametrize("kind", NULLS)
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_ever_alarming_on_exchangeable_streams_is_bounded(kind: str, alpha: float) -> None:
    generator = numpy_stream(2, kind)
    path = evidence_path(NULLS[kind](generator), BURN_IN, generator)
    alarms = int((path.max(axis=1) >= 1 / alpha).sum())
    # A true rate of alpha would give so few alarms, or fewer, with a chance of 99.99 %.
    assert alarms <= stats.binom.ppf(0.9999, STREAMS, alpha)
    # And it is a test, not a constant: some null streams do reach the threshold.
    assert alarms >= STREAMS * alpha / 8


def test_streams_that_remember_have_no_promise() -> None:
    """The assumption matters: on random walks the evidence passes the bound's threshold often."""
    generator = numpy_stream(3, "walks")
    walks = generator.normal(size=(400, LENGTH)).cumsum(axis=1)
    assert (evidence_path(walks, BURN_IN, generator).max(axis=1) >= 20).mean() > 0.3


@pytest.mark.parametrize("fall", ["steps", "by what came before", "learning curve"])
def test_what_falls_away_from_the_alarm_keeps_the_bound(fall: str) -> None:
    """At the same tie-breaks no p-value is smaller and no evidence larger than without it."""
    generator = numpy_stream(7, fall)
    level = generator.poisson(2.0, size=(500, LENGTH)).astype(float)  # with ties
    down = {
        "steps": generator.poisson(0.1, size=level.shape).cumsum(axis=1),
        "by what came before": np.maximum.accumulate(level, axis=1),
        "learning curve": np.broadcast_to(4 * np.log1p(np.arange(LENGTH)), level.shape),
    }[fall]
    breaks = tie_breaks(generator, level.shape)
    for t in range(1, LENGTH):
        ends = level[:, :t], (level - down)[:, :t]
        still, falling = (
            p_value(past, new, breaks[:, t])
            for past, new in zip(ends, (level[:, t], (level - down)[:, t]), strict=True)
        )
        assert (falling >= still - 1e-12).all()
    paths = [evidence_path(one, BURN_IN, numpy_stream(8, fall)) for one in (level, level - down)]
    assert (paths[1] <= paths[0] * (1 + 1e-9)).all()
    assert (paths[1] < paths[0]).any()
    # What rises has no such promise.
    assert (evidence_path(level + down, BURN_IN, generator).max(axis=1) >= 20).mean() > 0.05


def test_a_change_is_seen_soon_and_in_the_alarming_direction_only() -> None:
    generator = numpy_stream(4, "shift")
    draws = generator.normal(size=(300, LENGTH))
    draws[:, 60:] += 3.0
    path = evidence_path(draws, BURN_IN, generator)
    assert ((path[:, 60:72] >= 20).any(axis=1)).mean() > 0.95
    draws[:, 60:] -= 6.0
    assert (evidence_path(draws, BURN_IN, generator).max(axis=1) >= 20).mean() < 0.1


def test_burn_in_bets_nothing() -> None:
    path = evidence_path(np.arange(30.0), 10, numpy_stream(5, "burn in"))
    assert (path[:10] == 1).all()
    assert path[10] > 1.2


def test_evidence_never_overflows() -> None:
    wealth = Wealth.begin()
    for _ in range(60):
        wealth = wealth.bet(1e-12)
    assert 1e299 < wealth.evidence < np.inf


def test_one_streams_ranks_depend_on_anothers_past() -> None:
    """Why evidence is not averaged: the counterexample of the docstring."""
    third = []
    for order in permutations([(1, 2), (2, 1), (3, 3)]):
        first, second, last = np.array(order, dtype=float)
        if (second > first).all():
            third.append(float(p_value([first[0], second[0]], last[0], 1.0)))
    # Were it uniform, it would be 1/3, 2/3 or 1 alike; it never is 1/3.
    assert sorted(third) == pytest.approx([2 / 3, 1])


def test_combined_evidence_is_bounded_for_streams_that_hang_together() -> None:
    generator = numpy_stream(6, "combined")
    shared = generator.normal(size=(STREAMS, LENGTH))
    streams = [shared, -shared, shared + generator.normal(size=shared.shape)]
    paths = np.stack([evidence_path(one, BURN_IN, generator) for one in streams], axis=-1)
    together = combined(paths)
    assert (together <= paths.mean(axis=-1)).all()
    alarms = int((together.max(axis=1) >= 20).sum())
    assert 0 < alarms <= stats.binom.ppf(0.9999, STREAMS, 0.05)


def test_bad_streams_are_refused() -> None:
    with pytest.raises(BadParameter, match="burn_in=-1"):
        evidence_path([1.0], -1, numpy_stream(0, "x"))
    with pytest.raises(BadParameter, match="not finite"):
        evidence_path([1.0, np.nan], 1, numpy_stream(0, "x"))
