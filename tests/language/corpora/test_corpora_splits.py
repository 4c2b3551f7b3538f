import hashlib
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from collapse.language.corpora.splits import (
    HELDOUT_SHARE,
    HELDOUT_SPLITS,
    SPLITS,
    split_of,
    text_hash,
)


def test_shares_are_76_percent_and_4_percent_each() -> None:
    texts = 25_000
    counts = Counter(split_of(f"document {number}") for number in range(texts))
    assert set(counts) == set(SPLITS)
    assert len(HELDOUT_SPLITS) == 6
    # Binomial standard deviations: 68 and 31 texts; four of them are allowed.
    assert abs(counts["train"] - 0.76 * texts) < 4 * 68
    for split in HELDOUT_SPLITS:
        assert abs(counts[split] - HELDOUT_SHARE * texts) < 4 * 31


def test_splits_are_frozen() -> None:
    """A changed assignment would let training text of old studies into new test sets.

    (Bucket 19 was training text until there was a judge, who is no test set.)
    """
    digest = hashlib.sha256(b"Once upon a time").digest()
    assert text_hash("Once upon a time") == int.from_bytes(digest[:8], "big")
    bucket = int.from_bytes(digest[8:16], "big") % 25
    expected = "train" if bucket < 19 else HELDOUT_SPLITS[bucket - 19]
    assert split_of("Once upon a time") == expected
    assert {text: split_of(text) for text in "abei"} == {
        "a": "train",
        "b": "probe",
        "e": "validation",
        "i": "validation",
    }


@settings(deadline=None)
@given(st.text(st.characters()))
def test_any_text_has_one_split_and_a_64_bit_hash(text: str) -> None:
    assert split_of(text) == split_of("".join(list(text)))
    assert split_of(text) in SPLITS
    assert 0 <= text_hash(text) < 2**64


def test_half_a_surrogate_pair_can_be_hashed() -> None:
    assert split_of("\ud800") in SPLITS


def test_hash_says_nothing_about_split() -> None:
    """Among texts whose hash is small, splits have the same shares as among all."""
    small = [text for text in map(str, range(40_000)) if text_hash(text) < 2**61]
    share = sum(split_of(text) == "train" for text in small) / len(small)
    assert abs(share - 0.76) < 4 * (0.1824 / len(small)) ** 0.5
