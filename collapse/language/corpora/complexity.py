"""Simple and complex text: a score of how hard a text is to read, and a corpus cut at its median.

The score needs no word list from outside. It is the mean of three z-scores over the corpus: letters
a word, words a sentence (as a logarithm, since sentence lengths are skewed), and the share of words
that are not among the corpus's own commonest ones. The first two are the terms of the classical
readability formulas (Flesch 1948; Kincaid and others 1975), the third that of Dale and Chall (1948)
with a list taken from the corpus.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median, pstdev
from typing import ClassVar, Literal, Protocol

from collapse.errors import BadCorpus

COMMON_WORDS = 1000
"""Size of the list of the corpus's own commonest words."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?:\s|$)|\n\s*\n")


class _Finite(Protocol):
    """What is needed of the corpus that is cut in two."""

    @property
    def fingerprint(self) -> str: ...

    def documents(self, limit: int | None = None) -> Iterator[str]: ...


@dataclass(frozen=True)
class HalfCorpus:
    """The simple or the complex half of a finite corpus, cut at the median of its scores.

    Attributes:
        name: as the user wrote it, such as ``simple:stories.jsonl``.
        whole: the corpus that is cut.
        half: ``simple`` (below the median) or ``complex`` (the others).
    """

    name: str
    whole: _Finite
    half: Literal["simple", "complex"]
    is_generative: ClassVar[bool] = False

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the half's name and the whole's fingerprint."""
        return hashlib.sha256(f"{self.half}\x1f{self.whole.fingerprint}".encode()).hexdigest()

    def documents(self, limit: int | None = None) -> Iterator[str]:
        """Yield the half's documents among the first ``limit`` of the whole; held in memory.

        Raises:
            BadCorpus: no two documents differ in their score, so that there is nothing to cut.
        """
        texts = list(dict.fromkeys(self.whole.documents(limit)))
        scores = complexity_scores(texts)
        if len(set(scores)) < 2:
            raise BadCorpus(f"corpus {self.name!r}: its {len(texts)} documents do not differ")
        middle = median(scores)
        for text, score in zip(texts, scores, strict=True):
            if (score < middle) == (self.half == "simple"):
                yield text


def complexity_scores(texts: Sequence[str]) -> list[float]:
    """How complex each text is among these texts; mean 0, higher is more complex.

    Args:
        texts: N texts. One without words counts as the simplest.

    Returns:
        N scores: the mean of three z-scores, as described in this module's first lines.
    """
    words = [_WORD.findall(text.lower()) for text in texts]
    common = _commonest(words)
    features = [
        (
            sum(map(len, found)) / max(len(found), 1),
            math.log1p(len(found) / _count_sentences(text)),
            sum(word not in common for word in found) / max(len(found), 1),
        )
        for text, found in zip(texts, words, strict=True)
    ]
    columns = [_z_scores(column) for column in zip(*features, strict=True)]
    return [fmean(row) for row in zip(*columns, strict=True)]


def _commonest(words: Iterable[list[str]]) -> frozenset[str]:
    counts = Counter(word for found in words for word in found)
    # Ties are broken by the word, so that the order of the texts does not matter.
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return frozenset(ranked[:COMMON_WORDS])


def _count_sentences(text: str) -> int:
    sentences = _SENTENCE_END.split(text)
    return max(sum(bool(_WORD.search(sentence)) for sentence in sentences), 1)


def _z_scores(values: Sequence[float]) -> list[float]:
    mean, spread = fmean(values), pstdev(values)
    return [(value - mean) / spread if spread else 0.0 for value in values]
