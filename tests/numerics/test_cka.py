"""Debiased linear CKA: closed forms, dense implementations, and what the plain ratio gets wrong."""

import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.numerics.cka import linear_cka


def gaussian(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def value(*pair: np.ndarray) -> float:
    found = linear_cka(*pair)
    assert found is not None
    return found.value


def dense_hsic(one: np.ndarray, other: np.ndarray) -> float:
    """The sum over all quadruples of different samples that HSIC_1 is the mean of."""
    K, L = one @ one.T, other @ other.T
    n, total, count = len(K), 0.0, 0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += K[i, j] * (L[i, j] + L[q, r] - 2 * L[i, q])
                        count += 1
    return total / count


def dense_cka(one: np.ndarray, other: np.ndarray) -> float:
    """By Gram matrices with their diagonals and row means taken off (U-centred)."""
    grams = []
    for features in (one, other):
        gram, n = features @ features.T, len(features)
        np.fill_diagonal(gram, 0)
        rows = gram.sum(0) / (n - 2)
        gram = gram - rows[:, None] - rows[None, :] + gram.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(gram, 0)
        grams.append(gram)
    K, L = grams
    return float((K * L).sum() / np.sqrt((K * K).sum() * (L * L).sum()))


def biased_cka(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(0), other - other.mean(0)
    own = [np.linalg.norm(x.T @ x) for x in (one, other)]
    return float(np.linalg.norm(one.T @ other) ** 2 / (own[0] * own[1]))


def test_a_rotation_a_scale_and_a_shift_change_nothing() -> None:
    one = gaussian(60, 7) @ gaussian(7, 7, 1)
    rotation, _ = np.linalg.qr(gaussian(7, 7, 2))
    assert value(one, one @ rotation) == pytest.approx(1, abs=1e-12)
    other = one + gaussian(60, 7, 3)
    assert value(3 * one + 100, -0.1 * other @ rotation) == pytest.approx(value(one, other))
    assert value(other, one) == pytest.approx(value(one, other))


def test_it_is_the_mean_over_quadruples_of_different_samples() -> None:
    one = gaussian(7, 3)
    other = np.hstack([one[:, :1] ** 2, gaussian(7, 1, 1)])
    own = dense_hsic(one, one) * dense_hsic(other, other)
    assert value(one, other) == pytest.approx(dense_hsic(one, other) / np.sqrt(own))


@pytest.mark.parametrize("columns", [4, 50, 300])
def test_it_is_what_dense_gram_matrices_give(columns: int) -> None:
    one = gaussian(80, columns)
    other = one[:, :3] + gaussian(80, 3, 1)
    assert value(one, other) == pytest.approx(dense_cka(one, other), rel=1e-9)


def test_independent_features_are_about_0_where_the_plain_ratio_is_not() -> None:
    pairs = [(gaussian(64, 128, seed), gaussian(64, 128, 1000 + seed)) for seed in range(40)]
    found = np.array([value(*pair) for pair in pairs])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    assert found.min() < 0 < found.max()
    assert np.mean([biased_cka(*pair) for pair in pairs]) > 0.6


def test_it_does_not_depend_on_how_many_samples_there_are() -> None:
    """Two sets that share half of their variance: the mean is the same from 40 samples as 4,000."""

    def pair(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        shared, one, other = (gaussian(rows, 20, 3 * seed + k) for k in range(3))
        return shared + one, shared + other

    few = np.mean([value(*pair(40, seed)) for seed in range(200)])
    assert few == pytest.approx(value(*pair(4000, 999)), abs=0.02)
    # Cross-covariance I over covariances 2 I: |I|^2 / |2 I|^2.
    assert value(*pair(4000, 999)) == pytest.approx(0.25, abs=0.01)


def test_its_error_is_the_spread_over_fresh_batches() -> None:
    def batch(seed: int) -> tuple[np.ndarray, np.ndarray]:
        one = gaussian(160, 5, seed)
        return one, one + gaussian(160, 5, 10_000 + seed)

    found = [linear_cka(*batch(seed), part_rows=[20] * 8) for seed in range(150)]
    spread = np.std([one.value for one in found if one is not None])
    told = np.mean([one.standard_error for one in found if one is not None])
    assert told == pytest.approx(spread, rel=0.2)


def test_a_part_is_left_out_as_if_it_had_never_been_there() -> None:
    one, other = gaussian(30, 4), gaussian(30, 4) + gaussian(30, 4, 1)
    rows = [6, 14, 10]
    ends = np.cumsum(rows)
    without = [
        value(*(np.delete(x, range(end - n, end), 0) for x in (one, other)))
        for end, n in zip(ends, rows, strict=True)
    ]
    shares = np.array(rows) / 30
    centre = sum((1 - s) * w for s, w in zip(shares, without, strict=True)) / 2
    expected = np.sqrt(np.mean((1 - shares) / shares * (np.array(without) - centre) ** 2))
    found = linear_cka(one, other, part_rows=rows)
    assert found is not None
    assert found.standard_error == pytest.approx(expected)


def test_nothing_is_aligned_with_a_constant() -> None:
    assert linear_cka(np.ones((10, 3)), gaussian(10, 3)) is None
    assert linear_cka(gaussian(10, 3), gaussian(10, 2)) is not None


@pytest.mark.parametrize(
    ("one", "other", "rows", "says"),
    [
        (gaussian(3, 2), gaussian(3, 2), (), "at least 4"),
        (gaussian(9, 2), gaussian(8, 2), (), "equally many"),
        (gaussian(9, 2), gaussian(9, 2), (4, 4), "equally many"),
        (np.full((9, 2), np.nan), gaussian(9, 2), (), "finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(one, other, rows, says) -> None:
    with pytest.raises(BadParameter, match=says):
        linear_cka(one, other, part_rows=rows)
