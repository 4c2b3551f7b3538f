from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import sentence_bleu

from collapse.errors import BadParameter
from collapse.numerics.diversity import (
    Diversity,
    TextSet,
    distinct_n,
    lengths,
    vocabulary_diversity,
    words,
)
from collapse.numerics.streams import numpy_stream

DOCUMENTS = st.lists(st.lists(st.sampled_from("abc"), max_size=8), max_size=6)


def self_bleu(documents):
    return TextSet.of(documents).diversity().self_bleu


def bleu_by_sacrebleu(documents):
    """BLEU of each text against all the others, one by one; nan for texts without tokens."""
    texts = [" ".join(tokens) for tokens in documents]
    scores = []
    for index, text in enumerate(texts):
        others = [other for other in texts[:index] + texts[index + 1 :] if other]
        known = text and others
        score = sentence_bleu(text, others, tokenize="none").score if known else np.nan
        scores.append(score)
    return scores


def test_by_hand() -> None:
    documents = [words("The cat sat. The cat ran.")]
    assert documents[0] == ["the", "cat", "sat", ".", "the", "cat", "ran", "."]
    assert distinct_n(documents, 1) == 5 / 8
    assert distinct_n(documents, 2) == 6 / 7
    assert vocabulary_diversity(documents) == 5 / 8**0.5


def test_nothing_is_not_zero() -> None:
    assert distinct_n([["a"]], 2) is None
    assert distinct_n([], 1) is None
    assert vocabulary_diversity([[]]) is None
    assert lengths([]) is None
    for documents in ([], [[]], [[], []]):
        assert TextSet.of(documents).diversity() == Diversity(None, None, None, None, None, None)
    # One text with tokens has nothing to resemble.
    assert self_bleu([["a", "b"], []]) is None
    assert TextSet.of([["a", "b"]]).diversity().distinct_2 == 1.0


@given(DOCUMENTS, st.integers(1, 4))
def test_agrees_with_counting_slices(documents: list[list[str]], n: int) -> None:
    grams = Counter(tuple(d[i : i + n]) for d in documents for i in range(len(d) - n + 1))
    expected = len(grams) / grams.total() if grams else None
    assert distinct_n(documents, n) == expected


@given(DOCUMENTS)
def test_self_bleu_is_sacrebleus(documents: list[list[str]]) -> None:
    expected = bleu_by_sacrebleu(documents)
    bleu_N = TextSet.of(documents).self_bleus()
    np.testing.assert_allclose(bleu_N, expected, rtol=0, atol=1e-9)
    known = [score for score in expected if np.isfinite(score)]
    assert self_bleu(documents) == (pytest.approx(np.mean(known), abs=1e-9) if known else None)


def test_self_bleu_is_sacrebleus_on_longer_text() -> None:
    draw = numpy_stream(0, "diversity")
    # Words of Zipf-like frequency in texts of unlike lengths: clipped counts, smoothed orders,
    # brevity penalties and ties of length all occur.
    documents = [
        [f"w{min(int(word), 60)}" for word in draw.zipf(1.5, draw.integers(1, 40))]
        for _ in range(60)
    ]
    expected = bleu_by_sacrebleu(documents)
    np.testing.assert_allclose(TextSet.of(documents).self_bleus(), expected, rtol=0, atol=1e-9)
    assert 5 < np.mean(expected) < 95


def test_self_bleu_at_its_ends() -> None:
    assert self_bleu([["a", "b", "c", "d"]] * 3) == pytest.approx(100)
    assert self_bleu([["a", "b"], ["c", "d"]]) == 0.0


@given(DOCUMENTS, st.data())
def test_a_part_is_measured_as_if_it_stood_alone(
    documents: list[list[str]], data: st.DataObject
) -> None:
    chosen = [index for index in range(len(documents)) if data.draw(st.booleans())]
    part = TextSet.of(documents).diversity(np.array(chosen, dtype=np.int64))
    alone = [documents[index] for index in chosen]
    expected = [*(distinct_n(alone, n) for n in (1, 2, 3, 4)), vocabulary_diversity(alone)]
    assert part == Diversity(*expected, TextSet.of(alone).diversity().self_bleu)


def test_no_text_is_twice_in_a_part() -> None:
    with pytest.raises(BadParameter, match="chosen twice"):
        TextSet.of([["a"], ["b"]]).diversity(np.array([0, 0]))


def test_lengths_by_hand() -> None:
    measured = lengths([["a"] * count for count in (4, 0, 2, 3, 6)])
    assert measured is not None
    assert (measured.mean, measured.median) == (3.0, 3.0)
    assert (measured.lower_quartile, measured.upper_quartile) == (2.0, 4.0)
    assert measured.standard_deviation == pytest.approx(5**0.5)
    single = lengths([["a"]])
    assert single is not None
    assert (single.mean, single.standard_deviation) == (1.0, None)
