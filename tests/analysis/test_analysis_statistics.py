import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import least_pairs, least_sign_flip_p, sign_flip_p, t_interval
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
