from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse.numerics.diversity import (
    distinct_n,
    repeated_ngram_share,
    vocabulary_diversity,
    words,
)


def test_by_hand() -> None:
    documents = [words("The cat sat. The cat ran.")]
    assert documents[0] == ["the", "cat", "sat", ".", "the", "cat", "ran", "."]
    assert distinct_n(documents, 1) == 5 / 8
    assert distinct_n(documents, 2) == 6 / 7
    assert vocabulary_diversity(documents) == 5 / 8**0.5
    assert repeated_ngram_share([["a", "b", "a", "b", "a"]], 2) == pytest.approx(0.5)


def test_nothing_is_not_zero() -> None:
    assert distinct_n([["a"]], 2) is None
    assert distinct_n([], 1) is None
    assert vocabulary_diversity([[]]) is None
    assert repeated_ngram_share([["a"]], 4) is None


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=8), max_size=6), st.integers(1, 4))
def test_agrees_with_counting_slices(documents: list[list[str]], n: int) -> None:
    grams = Counter(tuple(d[i : i + n]) for d in documents for i in range(len(d) - n + 1))
    expected = len(grams) / grams.total() if grams else None
    assert distinct_n(documents, n) == expected
