import numpy as np
import pytest
from scipy import stats

from collapse.errors import BadParameter
from collapse.numerics.round_robin import RoundRobin, runs_needed
from collapse.numerics.streams import numpy_stream


def least_unbeaten(healthy_RxTxK: np.ndarray, run_TxK: np.ndarray, signs: list[int]) -> list[int]:
    """After each look, as a watch would go on."""
    robin = RoundRobin.of(healthy_RxTxK, signs)
    scores, found = np.full(len(healthy_RxTxK), -np.inf), []
    for look, values in enumerate(run_TxK):
        scores = np.maximum(scores, robin.deviations(look, values).max(axis=1))
        found.append(robin.unbeaten(scores))
    return found


def unruly_runs(generator: np.random.Generator, runs: int) -> np.ndarray:
    """Trend, memory, levels of their own, indicators that hang together: nothing exchangeable."""
    walks = generator.standard_t(3, size=(runs, 25, 1)).cumsum(axis=1)
    level = 4 * generator.exponential(size=(runs, 1, 1))
    noise = generator.normal(size=(runs, 25, 2))
    return level + np.linspace(9, 0, 25)[:, None] ** 2 + walks * [1.0, -2.0] + noise


def test_deviations_and_scores_by_hand() -> None:
    healthy = np.array([1.0, 3.0, 5.0, 7.0])[:, None, None]
    robin = RoundRobin.of(healthy, [1])
    # Without the first: mean 5, deviation 2.
    assert robin.scores_R[0] == pytest.approx(-2.0)
    assert robin.scores_R[3] == pytest.approx(2.0)
    np.testing.assert_allclose(robin.deviations(0, [9.0])[[0, 3], 0], [2.0, 3.0])
    whole = robin.deviations(slice(None), [[9.0]])
    np.testing.assert_allclose(whole[:, 0], robin.deviations(0, [9.0]))
    assert robin.unbeaten([2.0, 2.0, 2.0, 2.0]) == 1  # a draw beats nobody
    assert RoundRobin.of(healthy, [-1]).deviations(0, [9.0])[3, 0] == pytest.approx(-3.0)


def test_the_bound_is_that_of_the_tournament() -> None:
    robin = RoundRobin.of(numpy_stream(0, "bound").normal(size=(19, 3, 1)), [1])
    assert [robin.bound(m) for m in (0, 1, 19)] == pytest.approx([1 / 20, 3 / 20, 1])
    assert [runs_needed(alpha) for alpha in (0.05, 0.1, 0.5)] == [19, 9, 3]


@pytest.mark.parametrize(("runs", "unbeaten"), [(9, 0), (14, 1)])
@pytest.mark.slow
def test_healthy_runs_seldom_ever_alarm_whatever_they_do(runs: int, unbeaten: int) -> None:
    generator, trials = numpy_stream(1, "null", runs), 2000
    alarms = 0
    for _ in range(trials):
        made = unruly_runs(generator, runs + 1)
        alarms += least_unbeaten(made[:-1], made[-1], [1, -1])[-1] <= unbeaten
    bound = (2 * unbeaten + 1) / (runs + 1)
    assert alarms <= stats.binom.ppf(0.9999, trials, bound)
    # About (m + 1) / (R + 1) in truth: the bound is not idle.
    assert alarms >= stats.binom.ppf(0.0001, trials, 0.6 * (unbeaten + 1) / (runs + 1))


@pytest.mark.slow
def test_the_bound_is_over_the_draw_of_the_healthy_runs_too() -> None:
    """Of one set of 9 the chance is about Beta(1, 9): three sets in ten have more than 12.5 %."""
    generator, chances = numpy_stream(5, "one draw"), []
    for _ in range(300):
        robin = RoundRobin.of(generator.normal(size=(9, 6, 1)), [1])
        new = generator.normal(size=(200, 6, 1))
        scores = (robin.deviations(slice(None), run).max(axis=(1, 2)) for run in new)
        chances.append(np.mean([robin.unbeaten(one) == 0 for one in scores]))
    assert np.mean(chances) == pytest.approx(0.1, abs=0.02)
    assert np.mean(np.array(chances) > 0.125) == pytest.approx(0.875**9, abs=0.08)


def test_looks_that_are_left_out_never_add_an_alarm() -> None:
    generator = numpy_stream(2, "thinned")
    for _ in range(50):
        made = unruly_runs(generator, 7)
        thinned = np.where(generator.random(25)[:, None] < 0.5, np.nan, made[-1])
        whole = least_unbeaten(made[:-1], made[-1], [1, -1])
        fewer = least_unbeaten(made[:-1], thinned, [1, -1])
        assert (np.diff(whole) <= 0).all()
        assert all(few >= all_ for few, all_ in zip(fewer, whole, strict=True))


def test_a_run_that_leaves_the_healthy_ones_is_found_at_once() -> None:
    made = numpy_stream(3, "planted").normal(size=(20, 25, 2))
    made[-1, 15:, 1] -= 8.0
    found = least_unbeaten(made[:-1], made[-1], [1, -1])
    assert found[14] > 0
    assert found[15] == 0


def test_what_one_healthy_run_misses_does_not_count() -> None:
    made = numpy_stream(4, "missing").normal(size=(6, 4, 2))
    made[0, 2, 1] = np.nan
    robin = RoundRobin.of(made, [1, 1])
    assert np.isneginf(robin.deviations(2, [99.0, 99.0])[:, 1]).all()
    assert np.isfinite(robin.deviations(2, [99.0, 99.0])[:, 0]).all()
    assert np.isfinite(robin.scores_R).all()


def test_healthy_runs_that_agree_at_a_look_do_not_make_a_hairs_breadth_large() -> None:
    healthy = np.tile([0.0, 2.0, 4.0], (5, 1))[:, :, None] + np.arange(5.0)[:, None, None]
    healthy[:, 1] = 2.0
    robin = RoundRobin.of(healthy, [1])
    # Without the last: deviations of 1.29, 0 and 1.29, so 0.86 at the middle look.
    assert robin.deviations(1, [2.1])[4, 0] == pytest.approx(0.1 / (2 / 3 * (5 / 3) ** 0.5))


def test_equal_healthy_runs_alarm_at_a_difference_only() -> None:
    robin = RoundRobin.of(np.ones((5, 2, 1)), [1])
    assert robin.unbeaten(robin.deviations(0, [1.0]).max(axis=1)) == 5
    assert robin.unbeaten(robin.deviations(0, [1.1]).max(axis=1)) == 0


def test_too_little_is_refused() -> None:
    with pytest.raises(BadParameter, match="2 healthy runs"):
        RoundRobin.of(np.ones((2, 2, 1)), [1])
    with pytest.raises(BadParameter, match="no look in common"):
        RoundRobin.of(np.full((4, 2, 1), np.nan), [1])
