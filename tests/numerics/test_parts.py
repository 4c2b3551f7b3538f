"""Errors over parts of a batch."""

import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.numerics.parts import OverParts, jackknife_error, over_parts


def mean_without(values: np.ndarray, shares: np.ndarray):
    def mean(part: int | None) -> float:
        kept = np.arange(len(values)) != (-1 if part is None else part)
        return float(np.average(values[kept], weights=shares[kept]))

    return mean


def test_of_a_mean_of_equal_parts_it_is_the_standard_error() -> None:
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0])
    found = over_parts(mean_without(values, np.full(5, 0.2)), [0.2] * 5)
    assert found is not None
    assert found.value == pytest.approx(4.0)
    assert found.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(5))


def test_a_part_twice_as_large_counts_as_one_that_is_known_better() -> None:
    """Means of 10 or 20 draws, weighted so: the error is that of a mean of 60 draws."""
    sizes = np.array([10, 20, 10, 20])
    drawn = np.random.default_rng(0).normal(size=(3000, 4)) / np.sqrt(sizes)
    shares = sizes / 60
    errors = [over_parts(mean_without(row, shares), shares.tolist()) for row in drawn]
    squares = [one.standard_error**2 for one in errors if one and one.standard_error is not None]
    assert np.mean(squares) == pytest.approx(1 / 60, rel=0.05)


def test_no_error_without_parts_or_without_a_value() -> None:
    assert over_parts(lambda _: 3.0, [1.0]) == OverParts(3.0, None)
    assert over_parts(lambda part: None if part == 1 else 3.0, [0.5, 0.5]) == OverParts(3.0, None)
    assert over_parts(lambda _: None, [0.5, 0.5]) is None


def test_names() -> None:
    assert OverParts(2.0, 0.5).named("a/b") == {"a/b": 2.0, "a/b_se": 0.5}
    assert OverParts(2.0, None).named("a/b") == {"a/b": 2.0}


@pytest.mark.parametrize(
    ("values", "shares"), [([1.0], [1.0]), ([1.0, 2.0], [0.5, 0.6]), ([1.0, 2.0], [1.0, 0.0])]
)
def test_wrong_parts_are_refused(values, shares) -> None:
    with pytest.raises(BadParameter):
        jackknife_error(values, shares)
