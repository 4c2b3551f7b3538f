import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.families import family_p, holm, least_family_p, max_t_p, step_down_p
from analysis.statistics import least_sign_flip_p, sign_flip_p
from collapse.errors import BadParameter


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


def test_step_down_by_hand() -> None:
    # Four rearrangements, the first one observed. The largest, 3, is reached by one maximum of
    # four; the second, 2, by two maxima of the other two columns; the last, 0.5, by three.
    null = np.array([[2.0, 3.0, 0.5], [1.0, 0.0, 2.5], [0.1, 0.2, 0.3], [0.4, 2.9, 1.0]])
    assert step_down_p(null[0], null) == pytest.approx([2 / 4, 1 / 4, 3 / 4])
