import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from analysis.inference.correlations import (
    links,
    repeated_measures_correlation,
    residuals,
    seed_orders,
)
from analysis.inference.links import link_table, links_table
from collapse.numerics.streams import numpy_stream
from tests.analysis.made_up_inference import LINKED, METRIC, UNLINKED, study

TREND = 3.0 * np.arange(5) * np.array([2.0, 1.0, 0.2])[:, None, None]


def smooth(drawn: np.random.Generator, seeds: int = 6, arms: int = 3) -> np.ndarray:
    """Residual trajectories, alike from generation to generation and among arms of a seed."""
    noise = drawn.normal(size=(arms, seeds, 5)) + drawn.normal(size=(1, seeds, 5))
    for g in range(1, 5):
        noise[..., g] = 0.7 * noise[..., g - 1] + 0.7 * noise[..., g]
    return noise


def test_repeated_measures_correlation_is_analysis_of_covariance() -> None:
    drawn = np.random.default_rng(0)
    x, levels = drawn.normal(size=(5, 4)), 10 * drawn.normal(size=(5, 1))
    y = 0.7 * x + levels + drawn.normal(size=(5, 4))
    y[2, 1] = np.nan
    chain = np.repeat(np.arange(5), 4)
    frame = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "c": chain}).dropna()
    foreign = smf.ols("y ~ C(c) + x", frame).fit()
    found = repeated_measures_correlation(x, y)
    assert found is not None
    assert found.df == foreign.df_resid == 19 - 5 - 1
    assert found.p == pytest.approx(foreign.pvalues["x"])
    # Bakdash and Marusich: r = sign(b) sqrt(F / (F + df)).
    f = float(foreign.tvalues["x"]) ** 2
    assert found.r == pytest.approx(np.sqrt(f / (f + found.df)))


def test_repeated_measures_correlation_at_its_ends() -> None:
    x = np.arange(8.0).reshape(2, 4)
    found = repeated_measures_correlation(x, 5 - 2 * x)
    assert found is not None
    assert found.r == pytest.approx(-1.0)
    assert found.p < 1e-6
    assert repeated_measures_correlation(x, np.ones((2, 4))) is None
    assert repeated_measures_correlation(x[:, :1], x[:, :1]) is None
    assert repeated_measures_correlation(x, np.full((2, 4), 0.1) * 3) is None


def test_a_shared_trend_passes_for_a_link_only_where_trends_count() -> None:
    """Two series with the same trend and independent noise: r near 1, and p uniform."""
    drawn, rng, p, naive = np.random.default_rng(1), numpy_stream(0, "t"), [], []
    for _ in range(300):
        x, y = (smooth(drawn) + TREND for _ in range(2))
        p.append(links(x[None], y[None], rng).p_MxK[0, 0])
        found = repeated_measures_correlation(x.reshape(-1, 5), y.reshape(-1, 5))
        assert found is not None
        naive.append(found.r)
    assert np.mean(naive) > 0.85
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert abs(np.mean(np.array(p) <= 0.05) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 300)


def test_a_planted_link_is_found_and_lies_in_its_interval() -> None:
    drawn, rng, found = np.random.default_rng(2), numpy_stream(0, "t"), 0
    for _ in range(40):
        x = smooth(drawn, 8)
        y = 0.9 * x + np.sqrt(1 - 0.81) * smooth(drawn, 8)
        result = links((x + TREND)[None], (y - TREND)[None], rng)
        found += bool(result.p_MxK[0, 0] <= 0.05)
    assert found >= 38


def test_intervals_cover() -> None:
    drawn, rng, covered = np.random.default_rng(3), numpy_stream(0, "t"), 0
    for _ in range(200):
        x = smooth(drawn)
        y = 0.6 * x + 0.8 * smooth(drawn)
        result = links(x[None], y[None], rng)
        covered += bool(result.lower_MxK[0, 0] <= 0.6 <= result.upper_MxK[0, 0])
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200) < covered / 200


def test_p_is_the_share_of_orders_by_enumeration() -> None:
    drawn = np.random.default_rng(4)
    x, y = drawn.normal(size=(2, 2, 4, 3))
    one, other = residuals(x), residuals(y)

    def r(order: tuple[int, ...]) -> float:
        return abs(float((one[:, list(order)] * other).sum()))

    orders = list(itertools.permutations(range(4)))
    expected = np.mean([r(order) >= r((0, 1, 2, 3)) - 1e-12 for order in orders])
    result = links(x[None], y[None], numpy_stream(0, "t"))
    assert (result.p_MxK[0, 0], result.rearrangements) == (pytest.approx(expected), 24)
    plain = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert result.r_MxK[0, 0] == pytest.approx(plain)


def test_the_table_keeps_its_familywise_rate() -> None:
    drawn, rng, wrong, uncorrected = np.random.default_rng(5), numpy_stream(0, "t"), 0, 0
    for _ in range(200):
        x, y = (np.stack([smooth(drawn, 5) for _ in range(3)]) for _ in range(2))
        result = links(x, y, rng)
        wrong += bool((result.corrected_MxK <= 0.05).any())
        uncorrected += bool((result.p_MxK <= 0.05).any())
    assert wrong / 200 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
    assert uncorrected / 200 > 0.2


def test_only_seeds_with_the_same_arms_change_places() -> None:
    x = np.ones((1, 2, 5, 3))
    x[:, 1, 3:] = np.nan
    orders = seed_orders(x, x, numpy_stream(0, "t"))
    assert len(orders) == 6 * 2
    assert {tuple(row) for row in orders[:, :3]} == set(itertools.permutations(range(3)))
    assert {frozenset(row) for row in orders[:, 3:]} == {frozenset({3, 4})}
    many = seed_orders(np.ones((1, 1, 9, 2)), np.ones((1, 1, 9, 2)), numpy_stream(0, "t"))
    assert many.shape == (10_000, 9)
    assert (many[0] == np.arange(9)).all()
    assert (np.sort(many, axis=1) == np.arange(9)).all()


def test_missing_values_are_left_out_in_pairs() -> None:
    drawn = np.random.default_rng(6)
    x, y = drawn.normal(size=(2, 2, 5, 4))
    x[0, 2, 3], y[1, 4, 0] = np.nan, np.nan
    one, other = residuals(x), residuals(y)
    known = np.isfinite(one) & np.isfinite(other)
    expected = (one[known] * other[known]).sum() / np.sqrt(
        (one[known] ** 2).sum() * (other[known] ** 2).sum()
    )
    result = links(x[None], y[None], numpy_stream(0, "t"))
    assert result.r_MxK[0, 0] == pytest.approx(expected)
    # A value without a sibling says nothing of how chains differ.
    x[0, :4, 1] = np.nan
    assert np.isnan(residuals(x)[0, 4, 1])


def test_a_metric_without_spread_has_no_link_and_harms_no_other() -> None:
    drawn = np.random.default_rng(7)
    x, y = drawn.normal(size=(2, 1, 2, 5, 4))
    alone = links(x, y, numpy_stream(0, "t"))
    # Seeds are alike, but the mean of five thirds is not a third to the last bit.
    same = np.broadcast_to(np.array([0.1, 0.7, 1.1]) / 3, (1, 2, 5, 3)) + 0.1
    for flat in (np.ones_like(x), np.concatenate([same, same[..., :1]], axis=-1)):
        with_flat = links(np.concatenate([x, flat]), y, numpy_stream(0, "t"))
        assert np.isnan(with_flat.r_MxK[1, 0])
        assert np.isnan(with_flat.corrected_MxK[1, 0])
        assert with_flat.corrected_MxK[0, 0] == alone.corrected_MxK[0, 0]


def test_a_study_s_link_is_found_beyond_its_trends() -> None:
    record = study({"up": 2.0, "base": 0.0}, seeds=6)
    found = link_table(record, (LINKED, UNLINKED), (METRIC,))
    assert found is not None
    table = links_table(found).set_index("spectral")
    assert table.loc[LINKED, "r"] > 0.8
    assert table.loc[LINKED, "p_corrected"] < 0.05
    assert table.loc[LINKED, "r_changes"] > 0.8
    assert table.loc[UNLINKED, "p_corrected"] > 0.05
    # Opposite trends, and yet the link is positive.
    assert table.loc[LINKED, "r_repeated_measures"] < 0
    assert table.loc[UNLINKED, "p_repeated_measures"] < 0.05


def test_too_few_seeds_or_metrics_have_no_table() -> None:
    slopes = {"up": 0.5, "base": 0.0}
    assert link_table(study(slopes, seeds=3), (LINKED,), (METRIC,)) is None
    assert link_table(study(slopes), (), (METRIC,)) is None
    assert link_table(study(slopes, generations=1), (LINKED,), (METRIC,)) is None
