import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy import stats

from analysis.early_warning.exceedance import (
    alarm_bounds,
    chain_scores,
    has_no_spread,
    other_seeds,
    outside_all,
    prediction_z,
    seed_scores,
)

NAN = np.nan


def healthy(seeds: int = 8, generations: int = 5, stream: int = 0) -> np.ndarray:
    return np.random.default_rng(stream).normal(size=(seeds, generations))


def test_mean_and_deviation_leave_the_own_seed_out() -> None:
    values_SxG = healthy()
    values_SxG[3, 2] = NAN
    mean, deviation, count = other_seeds(values_SxG)
    for seed in range(8):
        others = np.delete(values_SxG, seed, axis=0)
        np.testing.assert_allclose(mean[seed], np.nanmean(others, axis=0))
        np.testing.assert_allclose(deviation[seed], np.nanstd(others, axis=0, ddof=1))
        np.testing.assert_array_equal(count[seed], np.isfinite(others).sum(axis=0))


def test_z_at_students_quantile_is_the_edge_of_the_prediction_interval() -> None:
    # The interval for one more value: mean ± t(n - 1) sd sqrt(1 + 1/n) of the n others.
    values_SxG = healthy()
    others = np.delete(values_SxG[:, 0], 0)
    half = stats.t.ppf(0.975, 6) * others.std(ddof=1) * np.sqrt(1 + 1 / 7)
    judged = np.full_like(values_SxG, others.mean() + half)
    assert prediction_z(judged, values_SxG, 1)[0, 0] == pytest.approx(stats.t.ppf(0.975, 6))
    np.testing.assert_array_equal(
        prediction_z(judged, values_SxG, -1), -prediction_z(judged, values_SxG, 1)
    )


def test_normal_healthy_chains_exceed_as_often_as_students_t_says() -> None:
    z = prediction_z(*(np.random.default_rng(1).normal(size=(2, 4000, 8, 5))), 1)
    for p in (0.05, 0.5, 0.95):
        assert (z > stats.t.ppf(p, 6)).mean() == pytest.approx(1 - p, abs=0.01)


def test_fewer_than_three_other_seeds_judge_nobody() -> None:
    values_SxG = healthy(seeds=4)
    assert np.isfinite(prediction_z(values_SxG, values_SxG, 1)).all()
    values_SxG[0] = NAN
    # Seed 0 still has three others; the rest have two.
    z = prediction_z(np.zeros((4, 5)), values_SxG, 1)
    assert np.isfinite(z[0]).all()
    assert np.isnan(z[1:]).all()


def test_no_spread_is_found_even_where_rounding_leaves_some() -> None:
    assert not has_no_spread(healthy())
    equal = healthy()
    equal[:, 2] = 0.1 + 1e-16 * np.arange(8)
    assert has_no_spread(equal)
    one_apart = healthy()
    one_apart[:, 2] = 0.1
    one_apart[5, 2] = 7.0
    # Without seed 5 the others do not differ: it alone could not be judged.
    assert has_no_spread(one_apart)


def test_a_chain_has_to_be_outside_every_healthy_arm() -> None:
    near, far = healthy(stream=1), healthy(stream=2) + 50
    judged = np.full((8, 5), 50.0)
    both = outside_all(judged, np.array([near, far]), 1)
    np.testing.assert_array_equal(both, prediction_z(judged, far, 1))
    far[:, 3] = NAN
    both = outside_all(judged, np.array([near, far]), 1)
    np.testing.assert_array_equal(both[:, 3], prediction_z(judged, near, 1)[:, 3])


@pytest.mark.parametrize(
    ("z_G", "score"),
    [
        ([0, 3, 2, 5, 1], 2),
        ([9, 0, 9, 0, 9], 0),
        ([-3, -2, -1, -4, -4], -2),
        ([9, NAN, 9, 1, NAN], 1),
        ([9, NAN, 9, NAN, 9], NAN),
        ([4], NAN),
    ],
)
def test_score_is_what_two_generations_in_a_row_both_reach(z_G: ArrayLike, score: float) -> None:
    np.testing.assert_equal(chain_scores([z_G])[0], float(score))


def test_a_chain_alarms_exactly_where_its_score_is_above_the_threshold() -> None:
    z_SxG = np.random.default_rng(3).normal(size=(500, 6))
    for threshold in (-0.5, 0.3, 1.0):
        _, latest = alarm_bounds(z_SxG, threshold)
        np.testing.assert_array_equal(np.isfinite(latest), chain_scores(z_SxG) > threshold)
    # At the score itself it does not.
    assert np.isinf(alarm_bounds([[1.0, 2.0, 3.0]], 2.0)[1][0])


@pytest.mark.parametrize(
    ("z_G", "earliest", "latest"),
    [
        ([3, 3, 3, 3], 2, 2),
        ([0, 3, 3, 3], 3, 3),
        ([3, 0, 3, 0], 5, np.inf),
        ([0, 0, 0, 0], 5, np.inf),
        # What was not measured may have been an exceedance.
        ([3, NAN, 3, 3], 2, 4),
        ([0, NAN, 0, 3], 5, np.inf),
        ([0, 3, NAN, NAN], 3, np.inf),
        ([0, 0, NAN, NAN], 4, np.inf),
    ],
)
def test_alarms_are_seen_at_the_second_exceedance(
    z_G: ArrayLike, earliest: float, latest: float
) -> None:
    found = alarm_bounds([z_G], 2.0)
    assert (found[0][0], found[1][0]) == (earliest, latest)


def test_seed_scores_take_both_signs_of_all_healthy_arms() -> None:
    values_AxSxG = np.random.default_rng(4).normal(size=(2, 7, 5))
    every = []
    for healthy_SxG in values_AxSxG:
        z = prediction_z(healthy_SxG, healthy_SxG, 1)
        every += [chain_scores(z), chain_scores(-z)]
    np.testing.assert_allclose(seed_scores(values_AxSxG), np.max(every, axis=0))


def test_a_seed_with_fewer_looks_is_no_control_seed() -> None:
    values_AxSxG = np.random.default_rng(5).normal(size=(2, 7, 5))
    values_AxSxG[1, 2, 4] = NAN
    scores = seed_scores(values_AxSxG)
    assert np.isnan(scores[2])
    assert np.isfinite(np.delete(scores, 2)).all()
    # A generation at which nobody looked is missed by nobody.
    values_AxSxG[:, :, 4] = NAN
    assert np.isfinite(seed_scores(values_AxSxG)).all()
