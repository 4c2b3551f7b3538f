import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse.numerics.diversity import words
from collapse.numerics.repetition import longest_run, repeated_ngram_shares


def test_repeated_ngrams_by_hand() -> None:
    documents = [["a", "b", "a", "b", "a"], ["a", "b", "c"], ["a"]]
    np.testing.assert_array_equal(repeated_ngram_shares(documents, 2), [0.5, 0.0, math.nan])
    # Across texts nothing repeats: that is what distinct-n measures.
    assert repeated_ngram_shares([["a", "b", "c", "d"]] * 2).tolist() == [0.0, 0.0]
    assert repeated_ngram_shares([["a"] * 13])[0] == pytest.approx(0.9)


def test_no_texts_have_no_shares() -> None:
    assert repeated_ngram_shares([]).shape == (0,)


@pytest.mark.parametrize(
    ("text", "of_characters", "of_words"),
    [("", 0, 0), ("No no NO! Said Ann.", 2, 3), ("):):)::::", 4, 4), ("all", 2, 1)],
)
def test_runs_by_hand(text: str, of_characters: int, of_words: int) -> None:
    assert longest_run(text) == of_characters
    assert longest_run(words(text)) == of_words


@given(st.text("ab", max_size=12))
def test_a_run_is_the_longest_power_that_stands_in_the_text(text: str) -> None:
    powers = [size for size in range(1, 13) for one in "ab" if one * size in text]
    assert longest_run(text) == max(powers, default=0)


@given(st.lists(st.sampled_from("abc"), max_size=10), st.integers(1, 4))
def test_a_share_counts_the_grams_that_stood_before(tokens: list[str], n: int) -> None:
    grams = [tokens[i : i + n] for i in range(len(tokens) - n + 1)]
    repeated = [gram in grams[:i] for i, gram in enumerate(grams)]
    (share,) = repeated_ngram_shares([tokens], n)
    if repeated:
        assert share == pytest.approx(sum(repeated) / len(repeated))
    else:
        assert math.isnan(share)
