"""Which split a text belongs to, decided by the text alone."""

import hashlib

JUDGE = "judge"
HELDOUT_SPLITS = (JUDGE, "validation", "prompts", "probe", "calibration", "test")
"""Splits that no chain trains on: what the judge of the corpus is trained on; watched during
training, prompts to continue, batches for probes, texts for setting thresholds, and texts for the
numbers that are reported."""

SPLITS = ("train", *HELDOUT_SPLITS)

_BUCKETS = 25
_TRAIN_BUCKETS = _BUCKETS - len(HELDOUT_SPLITS)

HELDOUT_SHARE = 1 / _BUCKETS
"""Expected share of distinct texts in each held-out split; training has the other 76 %."""


def text_digest(text: str) -> bytes:
    """The SHA-256 of a text's UTF-8 bytes."""
    # A lone surrogate has no UTF-8 form, but a model's output may hold one and must still hash.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def text_hash(text: str) -> int:
    """An unsigned 64-bit integer that names a text; equal texts have equal hashes."""
    return int.from_bytes(text_digest(text)[:8], "big")


def split_of(text: str) -> str:
    """The split of a text: 76 % ``train`` and 4 % each of ``HELDOUT_SPLITS``.

    The split follows from the text's SHA-256 and nothing else, so that it depends neither on the
    corpus nor on the order of reading, and copies of one text never lie on both sides of a split.
    """
    # Other bytes of the digest than text_hash's, so that a hash says nothing about the split.
    bucket = int.from_bytes(text_digest(text)[8:16], "big") % _BUCKETS
    return "train" if bucket < _TRAIN_BUCKETS else HELDOUT_SPLITS[bucket - _TRAIN_BUCKETS]
