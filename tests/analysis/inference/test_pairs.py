import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from analysis.inference.pairs import equivalence_t_p, size_between_arms, size_in_differences
from analysis.statistics import bias_correction, hedges_g

VALUES = np.array([1.2, 0.3, 2.2, 0.9, 1.7, -0.2])


def test_size_in_differences_is_d_and_g_by_hand() -> None:
    size = size_in_differences([1.0, 3.0, 2.0, 5.0, 4.0])
    assert size is not None
    assert size.d == pytest.approx(3.0 / np.sqrt(2.5))
    assert size.g == pytest.approx(hedges_g([1.0, 3.0, 2.0, 5.0, 4.0]))


def test_interval_ends_are_where_scipys_noncentral_t_has_the_tails() -> None:
    size = size_in_differences(VALUES)
    assert size is not None
    t, n = float(stats.ttest_1samp(VALUES, 0.0).statistic), VALUES.size
    low, high = (stats.nct.cdf(t, n - 1, end * np.sqrt(n)) for end in size.interval)
    assert (low, high) == (pytest.approx(0.975, abs=1e-5), pytest.approx(0.025, abs=1e-5))
    mirrored = size_in_differences(-VALUES)
    assert mirrored is not None
    assert mirrored.interval == pytest.approx((-size.interval[1], -size.interval[0]))


def test_interval_excludes_zero_just_where_the_t_test_does() -> None:
    drawn = np.random.default_rng(1)
    for mean in (0.0, 0.5, 1.0, 1.5):
        values = drawn.normal(mean, 1.0, 7)
        size = size_in_differences(values)
        assert size is not None
        apart = size.interval[0] > 0 or size.interval[1] < 0
        assert apart == (stats.ttest_1samp(values, 0.0).pvalue < 0.05)


def test_a_huge_effect_has_a_finite_interval() -> None:
    size = size_in_differences([1.0, 1.0001, 0.9999, 1.0002])
    assert size is not None
    assert 1_000 < size.interval[0] < size.d < size.interval[1] < 1e5


def test_sizes_without_spread_or_seeds_are_none() -> None:
    # 0.3 - 0.1 and 0.2 - 0.0 are equal but for rounding.
    assert size_in_differences([0.3 - 0.1, 0.2, 0.5 - 0.3]) is None
    assert size_in_differences([1.0, 2.0]) is None
    assert size_between_arms([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]) is None
    assert equivalence_t_p([0.1], 1.0) is None


def test_size_between_arms_is_in_sd_of_the_arms() -> None:
    first, second = np.array([5.0, 7.0, 9.0, 8.0]), np.array([4.0, 4.5, 7.5, 7.0])
    size, own = size_between_arms(first, second), size_in_differences(first - second)
    assert size is not None
    assert own is not None
    scale = np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    assert size.d == pytest.approx((first - second).mean() / scale)
    assert size.g == pytest.approx(bias_correction(3) * size.d)
    ratio = (first - second).std(ddof=1) / scale
    assert size.interval == pytest.approx((own.interval[0] * ratio, own.interval[1] * ratio))


@pytest.mark.parametrize("n", [6, 12])
def test_intervals_of_sizes_cover(n: int) -> None:
    drawn, covered, covered_arms = np.random.default_rng(n), 0, 0
    for _ in range(500):
        shared, own = drawn.normal(size=n), drawn.normal(size=(2, n))
        first, second = shared + own[0] + 1.5, shared + own[1]
        size, between = size_in_differences(first - second), size_between_arms(first, second)
        assert size is not None
        assert between is not None
        covered += size.interval[0] <= 1.5 / np.sqrt(2) <= size.interval[1]
        covered_arms += between.interval[0] <= 1.5 / np.sqrt(2) <= between.interval[1]
    room = 3 * np.sqrt(0.95 * 0.05 / 500)
    assert abs(covered / 500 - 0.95) < room
    assert 0.95 - room < covered_arms / 500 < 0.985 + room


@pytest.mark.parametrize("margin", [0.5, 1.5, 3.0])
def test_equivalence_by_t_is_statsmodels(margin: float) -> None:
    foreign = ttost_paired(VALUES, np.zeros(6), -margin, margin)[0]
    assert equivalence_t_p(VALUES, margin) == pytest.approx(foreign)
    assert equivalence_t_p(-VALUES, margin) == pytest.approx(foreign)


def test_equivalence_by_t_keeps_its_rate_at_the_margin() -> None:
    values = np.random.default_rng(4).normal(1.0, 0.2, size=(2000, 6))
    wrong = np.mean([float(equivalence_t_p(row, 1.0) or 1) <= 0.05 for row in values])
    assert abs(wrong - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 2000)
