import numpy as np
import pytest
from scipy import stats

from analysis.early_warning.exceedance import chain_scores, seed_scores
from analysis.early_warning.threshold import (
    MOST_RATE,
    RATE,
    all_thresholds,
    allowed_alarms,
    lax_alarms,
    threshold_at,
    upper_bound,
)

STUDIES, NEW_SEEDS, GENERATIONS = 500, 1000, 6


def test_bound_is_that_of_clopper_and_pearson() -> None:
    for alarms, n in ((0, 12), (1, 12), (2, 24), (7, 30)):
        exact = stats.binomtest(alarms, n, alternative="less").proportion_ci(0.95, "exact")
        assert upper_bound(alarms, n) == pytest.approx(exact.high)
    assert upper_bound(3, 3) == 1.0


@pytest.mark.parametrize(
    ("n", "allowed", "is_sure"),
    # By hand: 1 - 0.05^(1/11) = 23.8 %, 1 - 0.05^(1/10) = 25.9 %.
    [(4, 0, False), (9, 0, False), (10, 1, False), (11, 0, True), (12, 0, True), (24, 2, True)],
)
def test_false_alarms_that_all_indicators_share(n: int, allowed: int, is_sure: bool) -> None:
    assert allowed_alarms(n) == allowed
    assert threshold_at(np.arange(n), allowed).is_sure == is_sure


def test_no_larger_number_of_false_alarms_would_do() -> None:
    for n in range(11, 60):
        m = allowed_alarms(n)
        assert m <= RATE * n
        assert upper_bound(m, n) <= MOST_RATE
        assert m + 1 > RATE * n or upper_bound(m + 1, n) > MOST_RATE


def test_threshold_leaves_just_the_allowed_seeds_above_it() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(20.0))
    scores = np.append(scores, np.nan)
    for allowed, threshold in enumerate(all_thresholds(scores)):
        assert threshold == threshold_at(scores, allowed)
        assert threshold.false_alarms == allowed == (scores > threshold.value).sum()
        assert threshold.n_seeds == 20
    assert [one.value for one in all_thresholds(scores)] == sorted(scores[:-1], reverse=True)


def test_ties_count_as_no_false_alarms_and_keep_the_bound() -> None:
    threshold = threshold_at([3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1], 1)
    assert (threshold.value, threshold.allowed, threshold.false_alarms) == (3, 1, 0)
    assert threshold.bound == upper_bound(1, 12)
    assert not threshold.leaves_all_allowed
    assert threshold_at([3, 2, 1, 0], 1).leaves_all_allowed


def test_within_the_others_mean_nothing_exceeds() -> None:
    threshold = threshold_at([-1.0, -2.0, -0.5, -3.0], 1)
    assert threshold.value == 0.0
    assert not threshold.leaves_all_allowed


def test_a_lax_threshold_is_the_strictest_that_is_surely_not_too_strict() -> None:
    for n in range(4, 50):
        m = lax_alarms(n)
        # P(p < RATE) of p ~ Beta(m + 1, n - m).
        assert stats.beta.cdf(RATE, m + 1, n - m) <= 0.05
        assert m == 0 or stats.beta.cdf(RATE, m, n - m + 1) > 0.05
        assert m >= allowed_alarms(n)


@pytest.mark.parametrize("walks", [False, True])
@pytest.mark.parametrize("n", [12, 24])
def test_true_rate_passes_the_printed_bound_in_one_study_of_twenty(n: int, walks: bool) -> None:
    """Leaving seeds out makes scores weakly dependent; both promises hold all the same."""
    rng = np.random.default_rng([n, walks])
    allowed, lax = allowed_alarms(n), lax_alarms(n)
    rates = {allowed: np.empty(STUDIES), lax: np.empty(STUDIES)}
    for study in range(STUDIES):
        healthy_SxG = _chains(rng, n, walks)
        scores_S = seed_scores(healthy_SxG[None])
        new = _scores_of_new_seeds(healthy_SxG, _chains(rng, NEW_SEEDS, walks))
        for m, rates_of_m in rates.items():
            rates_of_m[study] = (new > threshold_at(scores_S, m).value).mean()
    # 5 % of 500 studies is 25; the chance of more than 38 is 0.5 %.
    assert (rates[allowed] > upper_bound(allowed, n)).sum() <= 38
    assert (rates[lax] < RATE).sum() <= 38 + 0.01 * STUDIES  # rates of 1,000 seeds are not exact
    # Not for being far too careful: the mean of Beta(m + 1, n - m).
    assert rates[allowed].mean() == pytest.approx((allowed + 1) / (n + 1), rel=0.3)


def _chains(rng: np.random.Generator, seeds: int, walks: bool) -> np.ndarray:
    steps_SxG = rng.normal(size=(seeds, GENERATIONS))
    return np.cumsum(steps_SxG, axis=-1) if walks else steps_SxG


def _scores_of_new_seeds(healthy_SxG: np.ndarray, new_NxG: np.ndarray) -> np.ndarray:
    """Of seeds that no threshold was set on, judged by all that it was set on."""
    n = len(healthy_SxG)
    z_NxG = (new_NxG - healthy_SxG.mean(axis=0)) / (
        healthy_SxG.std(axis=0, ddof=1) * np.sqrt(1 + 1 / n)
    )
    return np.asarray(np.maximum(chain_scores(z_NxG), chain_scores(-z_NxG)))
