import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import (
    equivalence_p,
    hedges_g,
    least_pairs,
    least_sign_flip_p,
    one_sided_sign_flip_p,
    sign_flip_p,
    t_interval,
    t_p,
)
from collapse.errors import BadParameter


def p_by_enumeration(differences: list[int]) -> float:
    """Whole numbers, so that equal sums are exactly equal."""
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return sum(total >= abs(sum(differences)) for total in sums) / len(sums)


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=9))
@settings(max_examples=200, deadline=None)
def test_sign_flip_counts_every_pattern(differences: list[int]) -> None:
    assert sign_flip_p(differences) == p_by_enumeration(differences)
    # Tenths are not exact in binary; ties must still be ties.
    assert sign_flip_p([d / 10 for d in differences]) == p_by_enumeration(differences)


def test_sign_flip_agrees_with_scipy() -> None:
    differences = np.random.default_rng(3).normal(0.4, 1.0, size=9)
    found = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(differences) == pytest.approx(found.pvalue)


def test_sign_flip_of_like_signs_is_the_least_there_is() -> None:
    for n in (1, 2, 3, 5, 6, 21, 40):
        assert sign_flip_p(np.linspace(1, 2, n)) == least_sign_flip_p(n)
    assert least_sign_flip_p(6) == 2 / 64
    assert least_sign_flip_p(0) == 1.0
    assert (least_pairs(0.05), least_pairs(0.01)) == (6, 8)


@pytest.mark.parametrize("n", [0, 41])
def test_sign_flip_refuses_what_it_cannot_count(n: int) -> None:
    with pytest.raises(BadParameter, match=f"{n} differences"):
        sign_flip_p(np.ones(n))


def test_t_interval_is_scipys() -> None:
    values = np.random.default_rng(1).normal(2.0, 3.0, size=7)
    foreign = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert t_interval(values) == pytest.approx((foreign.low, foreign.high))
    # By hand: mean 2, standard error 1, t of 0.975 with 1 degree of freedom.
    assert t_interval([1.0, 3.0]) == pytest.approx((2 - 12.7062047, 2 + 12.7062047))
    assert t_interval([1.0]) is None


def test_one_sided_sign_flip_counts_every_pattern() -> None:
    differences = [3, -1, 2, 2, -5, 7]
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=6)
    ]
    expected = sum(total >= sum(differences) for total in sums) / 64
    assert one_sided_sign_flip_p(differences) == expected
    assert one_sided_sign_flip_p(np.ones(6)) == 1 / 64
    assert one_sided_sign_flip_p(-np.ones(6)) == 1.0
    with pytest.raises(BadParameter, match="0 differences"):
        one_sided_sign_flip_p([])


def test_equivalence_is_the_worse_of_two_one_sided_tests() -> None:
    differences = np.array([0.2, -0.1, 0.3, 0.1, 0.0, 0.25])
    assert equivalence_p(differences, 0.5) == 1 / 64
    assert equivalence_p(differences - 0.6, 0.5) == one_sided_sign_flip_p(differences - 0.1)
    assert equivalence_p(differences + 0.6, 0.5) == equivalence_p(-differences - 0.6, 0.5) > 0.5


def test_hedges_g_is_d_times_the_exact_correction() -> None:
    differences = np.array([1.0, 3.0, 2.0, 5.0, 4.0])
    # m = 4: Gamma(2) / (sqrt(2) Gamma(1.5)) = 1 / (sqrt(2) sqrt(pi) / 2).
    by_hand = 3.0 / np.sqrt(2.5) * 2 / np.sqrt(2 * np.pi)
    assert hedges_g(differences) == pytest.approx(by_hand)
    # Hedges' (1981) table 1: 0.9228 at 10 degrees of freedom, 0.9619 at 20.
    for df, tabled in ((10, 0.9228), (20, 0.9619)):
        values = np.random.default_rng(df).normal(1, 1, df + 1)
        found = hedges_g(values)
        assert found is not None
        assert found * values.std(ddof=1) / values.mean() == pytest.approx(tabled, abs=2e-4)
    assert hedges_g([1.0, 2.0]) is None
    assert hedges_g([2.0, 2.0, 2.0]) is None


def test_t_p_is_scipys_and_none_without_spread() -> None:
    values = np.random.default_rng(2).normal(0.5, 1.0, size=7)
    assert t_p(values) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
    assert t_p([1.0]) is None
    # Equal but for rounding: 0.3 - 0.1 is not 0.2 in binary.
    assert t_p([0.3 - 0.1, 0.2, 0.5 - 0.3]) is None
    assert t_p([0.0, 0.0]) is None
