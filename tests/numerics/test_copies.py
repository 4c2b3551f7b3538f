import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collapse.errors import BadParameter
from collapse.numerics.copies import find_copies
from collapse.numerics.diversity import words
from collapse.numerics.streams import numpy_stream

TEXTS = st.lists(st.lists(st.sampled_from("ab"), max_size=14).map("".join), max_size=5)


def longest_by_force(sample, training):
    """Tokens of the longest slice of a sample that stands in one of the documents."""
    return max(
        (
            end - begin
            for document in training
            for begin in range(len(sample))
            for end in range(begin + 1, len(sample) + 1)
            if sample[begin:end] in document
        ),
        default=0,
    )


@given(TEXTS, TEXTS, st.integers(1, 20))
@example(["abababab"], ["ababababab"], 2)  # pieces of a document that only overlap hold it
@example(["aaab"], ["aaa", "aab"], 100)  # no n-gram may go on from one document to the next
@example(["ba", "ab"], ["abba"], 100)
def test_as_by_brute_force(samples: list[str], training: list[str], part_tokens: int) -> None:
    copies = find_copies(samples, training, part_tokens=part_tokens)
    expected = [longest_by_force(sample, training) for sample in samples]
    assert copies.longest_S.tolist() == expected
    assert copies.tokens_S.tolist() == [len(sample) for sample in samples]


@given(st.data())
def test_planted_pieces_of_any_length_are_found(data: st.DataObject) -> None:
    # Every training token occurs once, so that nothing is shared but what is planted.
    training = [list(range(1000 * d, 1000 * d + 150)) for d in range(3)]
    samples, expected = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        document = data.draw(st.sampled_from(training))
        begin = data.draw(st.integers(0, 149))
        piece = document[begin : begin + data.draw(st.integers(1, 150))]
        own = [f"own {i}" for i in range(data.draw(st.integers(0, 70)))]
        samples.append([*own, *piece, *own])
        expected.append(len(piece))
    assert find_copies(samples, iter(training), part_tokens=100).longest_S.tolist() == expected


def test_agrees_with_brute_force_on_many_words_in_many_parts() -> None:
    draw = numpy_stream(0, "copies")
    vocabulary = 40
    training = [draw.integers(vocabulary, size=length).tolist() for length in [60] * 20 + [400]]
    samples = [draw.integers(vocabulary, size=50).tolist() for _ in range(12)]
    for sample, document, length in zip(samples, training, range(5, 40, 3), strict=False):
        sample[5 : 5 + length] = document[3 : 3 + length]
    as_text = [",".join(["", *map(str, document), ""]) for document in training]
    expected = [
        max(
            end - begin
            for begin in range(50)
            for end in range(begin + 1, 51)
            if any(",".join(["", *map(str, sample[begin:end]), ""]) in text for text in as_text)
        )
        for sample in samples
    ]
    for part_tokens in (64, 300, 1 << 18):
        found = find_copies(samples, training, part_tokens=part_tokens).longest_S
        assert found.tolist() == expected
    assert max(expected) >= 38


@pytest.mark.parametrize(
    ("own", "copied", "is_copied", "is_whole"),
    [
        (0, 60, True, True),
        (30, 30, True, False),
        (31, 29, False, False),  # less than half of it
        (10, 20, True, False),
        (5, 19, False, False),  # most of it, but under 20 words
        (0, 7, True, True),  # a short sample must be copied whole
        (1, 7, False, False),
        (1, 19, False, False),
    ],
)
def test_what_counts_as_copied(own: int, copied: int, is_copied: bool, is_whole: bool) -> None:
    training = [[f"human {i}" for i in range(100)]]
    sample = [f"own {i}" for i in range(own)] + training[0][40 : 40 + copied]
    copies = find_copies([sample], training)
    assert copies.copied_S.tolist() == [is_copied]
    assert copies.whole_S.tolist() == [is_whole]


def test_samples_without_words_are_no_originals() -> None:
    training = [words("Mia had a red kite. The kite flew away.")]
    copies = find_copies([words(t) for t in ("", "the KITE flew away", "a blue kite")], training)
    assert copies.longest_S.tolist() == [0, 4, 1]
    assert copies.copied_S.tolist() == copies.whole_S.tolist() == [False, True, False]
    assert find_copies([], training).longest_S.tolist() == []


def test_without_training_text_nothing_is_copied() -> None:
    for training in ([], [[]]):
        copies = find_copies([["a", "b"]], training)
        assert copies.longest_S.tolist() == [0]
        assert copies.copied_S.tolist() == [False]


def test_n_grams_that_only_look_alike_are_told_apart() -> None:
    # So many pairs that a quarter of all others fall into a slot that is taken. Even and odd tokens
    # alternate in the sample and only even ones are in the document: they share no pair.
    draw = numpy_stream(0, "alike")
    even, odd = 2 * draw.permutation(10_000), 2 * draw.permutation(10_000) + 1
    sample = np.stack([even, odd], axis=1).ravel().tolist()
    document = draw.permutation(even).tolist()
    assert find_copies([sample], [document]).longest_S.tolist() == [1]
    assert find_copies([sample], [document, sample[50:351]]).longest_S.tolist() == [301]


def test_tokens_may_be_anything_that_can_be_counted() -> None:
    copies = find_copies([[None, (1, 2), "x"]], [[(1, 2), "x", None], np.arange(3).tolist()])
    assert copies.longest_S.tolist() == [2]


def test_parts_must_have_room() -> None:
    with pytest.raises(BadParameter, match="part_tokens is 0"):
        find_copies([["a"]], [["a"]], part_tokens=0)
