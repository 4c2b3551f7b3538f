from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.inference.mixed import MixedFit, fit_mixed, slope_contrast
from analysis.statistics import t_interval
from tests.analysis.made_up_inference import METRIC, study


def frame_of(values_2xSxG: np.ndarray) -> pd.DataFrame:
    side, seed, generation = (axis.ravel() for axis in np.indices(values_2xSxG.shape))
    return pd.DataFrame(
        {
            "side": 0.5 - side,
            "seed": seed,
            "generation": generation + 1,
            "value": values_2xSxG.ravel(),
        }
    )


def slopes_of(values: np.ndarray) -> np.ndarray:
    centred = np.arange(values.shape[-1]) - (values.shape[-1] - 1) / 2
    return values @ centred / (centred @ centred)


def walking(drawn: np.random.Generator, seeds: int, generations: int) -> np.ndarray:
    """Two arms that are alike: chains that walk at random from where their seed puts them."""
    shape = (2, seeds, generations)
    levels = 2 * drawn.normal(size=(1, seeds, 1))
    return levels + np.cumsum(0.7 * drawn.normal(size=shape), axis=2) + drawn.normal(size=shape) / 2


def test_complete_chains_give_the_paired_t_test_of_their_slopes() -> None:
    drawn, checked = np.random.default_rng(0), 0
    for _ in range(12):
        values = walking(drawn, 6, 5)
        fit = fit_mixed(frame_of(values), 5)
        differences = slopes_of(values[0]) - slopes_of(values[1])
        if fit.status == "converged":
            assert fit.slope is not None
            checked += 1
            assert fit.slope.value == pytest.approx(differences.mean(), abs=1e-6)
            assert fit.slope.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)
            assert fit.slope.interval == pytest.approx(t_interval(differences), abs=0.01)
    assert checked >= 4


def test_planted_slope_and_last_difference_are_found() -> None:
    drawn = np.random.default_rng(1)
    values = walking(drawn, 10, 6)
    values[0] += 1.5 * np.arange(1, 7) + 2.0
    fit = fit_mixed(frame_of(values), 6)
    assert fit.slope is not None
    assert fit.last is not None
    assert fit.slope.interval[0] < 1.5 < fit.slope.interval[1]
    assert fit.last.interval[0] < 11.0 < fit.last.interval[1]
    assert fit.slope.p < 1e-4
    # In complete chains the lines' ends are those of least squares.
    ends = values.mean(axis=2) + slopes_of(values) * 2.5
    assert fit.last.value == pytest.approx((ends[0] - ends[1]).mean(), abs=1e-5)


def test_shifting_and_stretching_the_values_changes_no_p() -> None:
    values = walking(np.random.default_rng(5), 6, 5)
    one, other = (fit_mixed(frame_of(v), 5) for v in (values, 1e-4 * values + 7.0))
    assert one.slope is not None
    assert other.slope is not None
    assert other.slope.value == pytest.approx(1e-4 * one.slope.value)
    assert other.slope.p == pytest.approx(one.slope.p, abs=1e-3)


@pytest.mark.slow
def test_null_rate_of_t_is_kept_and_that_of_walds_test_is_not() -> None:
    drawn, p, reported = np.random.default_rng(2), [], []
    for _ in range(50):
        fit = fit_mixed(frame_of(walking(drawn, 6, 4)), 4)
        reported.append(fit.status)
        if fit.slope is not None and fit.last is not None:
            p.append((fit.slope.p, fit.last.p))
    rates = (np.array(p) <= 0.05).mean(axis=0)
    assert (rates < 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(p))).all()
    assert len(p) > 40
    # What is not a good fit says so.
    assert {"converged", "singular"} <= set(reported)
    # Wald's test with levels only, in its closed form for complete chains.
    wrong = [abs(levels_only_z(walking(drawn, 6, 5))) > 1.96 for _ in range(2000)]
    assert np.mean(wrong) > 0.13


def levels_only_z(values_2xSxG: np.ndarray) -> float:
    """The slopes' difference over its error, where all chains of an arm share one slope."""
    _, seeds, generations = values_2xSxG.shape
    x = np.arange(generations) - (generations - 1) / 2
    arm_slopes = slopes_of(values_2xSxG).mean(axis=1)
    rest = values_2xSxG - values_2xSxG.mean(axis=2, keepdims=True) - arm_slopes[:, None, None] * x
    variance = (rest**2).sum() / (2 * seeds * (generations - 1) - 2)
    return float((arm_slopes[0] - arm_slopes[1]) / np.sqrt(2 * variance / (x @ x) / seeds))


def test_slopes_of_chains_are_uniform_under_the_null() -> None:
    drawn = np.random.default_rng(3)
    p = []
    for _ in range(1000):
        slopes = slopes_of(walking(drawn, 6, 5))
        p.append(stats.ttest_1samp(slopes[0] - slopes[1], 0).pvalue)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_what_cannot_be_fitted_has_a_reason_and_no_number() -> None:
    values = walking(np.random.default_rng(4), 6, 5)
    few = fit_mixed(frame_of(values[:, :2]), 5)
    assert few == MixedFit("not fitted", "2 of at least 3 seeds")
    short = fit_mixed(frame_of(values[:, :, :2]), 2)
    assert short == MixedFit("not fitted", "fewer than 3 generations after 0")
    assert fit_mixed(frame_of(np.ones((2, 6, 4))), 4).why == "all values are equal"
    # No noise at all leaves the likelihood without a maximum, or singular: never "converged".
    exact = np.ones((2, 6, 4)) * np.arange(4.0)
    assert fit_mixed(frame_of(exact), 4).status != "converged"


def test_a_study_s_slopes_leave_out_generation_0_and_short_chains() -> None:
    record = study({"up": 0.5, "base": 0.0}, seeds=6)
    rows = record.measurements
    other_start = rows["value"].where(rows["generation"] > 0, rows["value"] + 100)
    one, other = (
        slope_contrast(replace(record, measurements=m), METRIC, "up", "base")
        for m in (rows, rows.assign(value=other_start))
    )
    assert one.mean == other.mean
    assert one.interval is not None
    assert one.interval[0] < 0.5 < one.interval[1]
    assert one.p_flip == 2 / 64
    short = rows[~((rows["arm"] == "up") & (rows["seed"] == 4) & (rows["generation"] > 1))]
    left = slope_contrast(replace(record, measurements=short), METRIC, "up", "base")
    assert left.pairs.left_out == (4,)
    fewer = study({"up": 0.5, "base": 0.0}, seeds=6, arm_seeds={"up": 3})
    assert slope_contrast(fewer, METRIC, "up", "base").pairs.seeds == (0, 1, 2)
    assert slope_contrast(fewer, METRIC, "up", "base").pairs.left_out == ()


def test_chains_that_miss_a_generation_are_fitted() -> None:
    values = walking(np.random.default_rng(6), 8, 5)
    values[0] += np.arange(1, 6)
    frame = frame_of(values).drop([3, 17, 44])
    fit = fit_mixed(frame, 5)
    assert fit.slope is not None
    assert fit.slope.interval[0] < 1.0 < fit.slope.interval[1]
