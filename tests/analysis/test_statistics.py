import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import (
    equivalence_p,
    family_p,
    hedges_g,
    holm,
    least_family_p,
    least_pairs,
    least_sign_flip_p,
    max_t_p,
    one_sided_sign_flip_p,
    sign_flip_p,
    step_down_p,
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


def max_t_by_enumeration(columns: list[list[float]]) -> list[float]:
    """Westfall and Young's step-down, in plain loops, with Student's t."""
    n = len(columns[0])

    def t(values: list[float]) -> float:
        return abs(float(stats.ttest_1samp(values, 0.0).statistic))

    observed = [t(column) for column in columns]
    order = sorted(range(len(columns)), key=lambda m: -observed[m])
    found, least = [0.0] * len(columns), 0.0
    for step, m in enumerate(order):
        as_large = 0
        for signs in itertools.product((1, -1), repeat=n):
            flipped = [
                t([s * d for s, d in zip(signs, columns[one], strict=True)]) for one in order[step:]
            ]
            as_large += max(flipped) >= observed[m] - 1e-9
        least = max(least, as_large / 2**n)
        found[m] = least
    return found


def test_max_t_is_the_step_down_of_westfall_and_young() -> None:
    drawn = np.random.default_rng(5).normal([2.5, 0.3, 0.0, 0.7], 1.0, size=(6, 4))
    expected = max_t_by_enumeration(drawn.T.tolist())
    assert max_t_p(drawn) == pytest.approx(expected)
    assert len(set(expected)) > 2


def test_max_t_of_one_comparison_is_the_sign_flip_test() -> None:
    values = np.random.default_rng(6).normal(0.5, 1.0, size=7)
    assert max_t_p(values[:, None])[0] == pytest.approx(sign_flip_p(values))
    # Copies of one comparison cost nothing.
    assert max_t_p(np.tile(values[:, None], 5)) == pytest.approx(sign_flip_p(values))


def test_max_t_with_missing_pairs() -> None:
    values = np.random.default_rng(7).normal(0.5, 1.0, size=(6, 3))
    values[:3, 1] = np.nan
    values[:, 2] = np.nan
    found = max_t_p(values)
    assert np.isnan(found[2])
    assert found[:2] == pytest.approx(max_t_p(values[:, :2]))
    assert max_t_p(values[:, 1:2])[0] == pytest.approx(sign_flip_p(values[3:, 1]))
    assert max_t_p(np.zeros((6, 1)))[0] == 1.0


@pytest.mark.parametrize("shape", [(0, 2), (17, 2), (4,)])
def test_max_t_refuses_what_it_cannot_count(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadParameter, match="1 to 16 pairs"):
        max_t_p(np.ones(shape))


def test_max_t_keeps_its_familywise_rate_where_nothing_is_there() -> None:
    """Correlated and uncorrelated comparisons of six pairs, heavy tails."""
    drawn = np.random.default_rng(8)
    least = []
    for _ in range(2000):
        shared = drawn.standard_t(3, size=(6, 1))
        least.append(max_t_p(drawn.standard_t(3, size=(6, 5)) + shared).min())
    for alpha in (2 / 64, 4 / 64, 8 / 64, 16 / 64, 32 / 64):
        # Three standard errors; the test is exact, so that it is not far below, either.
        room = 3 * np.sqrt(alpha * (1 - alpha) / 2000)
        assert abs(np.mean(np.array(least) <= alpha) - alpha) < room


def test_max_t_keeps_its_familywise_rate_beside_a_true_effect() -> None:
    drawn = np.random.default_rng(9)
    wrong = 0
    for _ in range(1000):
        values = drawn.normal(0.0, 1.0, size=(6, 4))
        values[:, 0] += 5.0
        wrong += bool((max_t_p(values)[1:] <= 0.05).any())
    assert wrong / 1000 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)


def test_a_family_of_more_pairs_than_can_be_counted_is_corrected_by_holm() -> None:
    drawn = np.random.default_rng(10).normal(0.5, 1.0, size=(17, 3))
    assert family_p(drawn[:16]) == pytest.approx(max_t_p(drawn[:16]))
    drawn[6:, 1] = np.nan
    own = [sign_flip_p(drawn[:, 0]), sign_flip_p(drawn[:6, 1]), sign_flip_p(drawn[:, 2])]
    assert family_p(drawn) == pytest.approx(holm(own))
    drawn[:, 1] = np.nan
    assert np.isnan(family_p(drawn)[1])
    assert np.isnan(least_family_p(drawn)[1])


@pytest.mark.parametrize("n", [8, 17])
def test_the_least_p_of_a_family_is_that_of_differences_all_alike(n: int) -> None:
    """Each in turn replaced by the strongest that so many pairs can show, the others as they are.

    One is strong and one is of like size with mixed signs, so that even its equals meet it.
    """
    drawn = np.random.default_rng(11).normal(size=(n, 7))
    drawn[:, 0] += 3.0
    drawn[4:, 3:] = np.nan
    drawn[:4, 6] = (1, -1, 1, 1)
    expected = []
    for place in range(7):
        trial = drawn.copy()
        trial[np.isfinite(trial[:, place]), place] = 0.1
        expected.append(family_p(trial)[place])
    assert least_family_p(drawn) == pytest.approx(expected)
    assert min(expected) >= least_sign_flip_p(n)


def test_few_pairs_beside_many_cannot_reach_a_small_p() -> None:
    drawn = np.random.default_rng(12).normal(size=(12, 40))
    drawn[6:, 20:] = np.nan
    drawn[:6, 20] = 1.0
    least = least_family_p(drawn)
    # By themselves six pairs reach 2 / 64; twenty comparisons of twelve go as far by chance.
    assert least[20] == max_t_p(drawn)[20] > 0.05
    assert least[:20] == pytest.approx(least_sign_flip_p(12))
    assert least_family_p(drawn[:6, 20:]) == pytest.approx(2 / 64)


def test_holm_by_hand() -> None:
    # Holm's procedure on a textbook's four p values: 4 x 0.005, 3 x 0.011, 2 x 0.02, 1 x 0.04.
    assert holm([0.02, 0.005, 0.04, 0.011]) == pytest.approx([0.04, 0.02, 0.04, 0.033])
    assert holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])
    found = holm([0.01, np.nan])
    assert found[0] == 0.01
    assert np.isnan(found[1])
    assert holm([]).size == 0


def test_t_p_is_scipys_and_none_without_spread() -> None:
    values = np.random.default_rng(2).normal(0.5, 1.0, size=7)
    assert t_p(values) == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue)
    assert t_p([1.0]) is None
    # Equal but for rounding: 0.3 - 0.1 is not 0.2 in binary.
    assert t_p([0.3 - 0.1, 0.2, 0.5 - 0.3]) is None
    assert t_p([0.0, 0.0]) is None


def test_step_down_by_hand() -> None:
    # Four rearrangements, the first one observed. The largest, 3, is reached by one maximum of
    # four; the second, 2, by two maxima of the other two columns; the last, 0.5, by three.
    null = np.array([[2.0, 3.0, 0.5], [1.0, 0.0, 2.5], [0.1, 0.2, 0.3], [0.4, 2.9, 1.0]])
    assert step_down_p(null[0], null) == pytest.approx([2 / 4, 1 / 4, 3 / 4])
