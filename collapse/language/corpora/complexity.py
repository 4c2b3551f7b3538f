"""Simple and complex text: a scale of how hard a text is to read, fitted to a corpus.

The score needs no word list from outside. It is the mean of three z-scores: letters a word, words a
sentence (as a logarithm, since sentence lengths are skewed), and the share of words that are not
among the corpus's own commonest ones. The first two are the terms of the classical readability
formulas (Flesch 1948; Kincaid and others 1975), the third that of Dale and Chall (1948) with a list
taken from the corpus.
"""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import ClassVar, Literal, Protocol

from collapse.errors import BadCorpus

BY_SCORE = ("simple", "complex")
"""The halves of a corpus: what scores below its median, and the others."""

COMMON_WORDS = 1000
"""Size of the list of the corpus's own commonest words."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?:\s|$)|\n\s*\n")

_Features = tuple[float, ...]
"""Letters a word, log(1 + words a sentence), share of words that are not common."""


@dataclass(frozen=True)
class ComplexityScale:
    """How complex a text is, measured against the texts that the scale was fitted to.

    Attributes:
        common_words: the commonest words of those texts, in order of the alphabet.
        means: of the three features over those texts.
        spreads: their population standard deviations.
        median: of the scores of those texts.
        simple_share: share of those texts that score below the median.
    """

    common_words: tuple[str, ...]
    means: _Features
    spreads: _Features
    median: float
    simple_share: float

    @classmethod
    def fit(cls, texts: Sequence[str]) -> "ComplexityScale":
        """The scale of some texts, at least one; their order does not matter.

        Over the texts themselves the scores have the mean 0.
        """
        common = _commonest(texts)
        known = frozenset(common)
        features = [_features(text, known) for text in texts]
        columns = list(zip(*features, strict=True))
        means, spreads = tuple(map(fmean, columns)), tuple(map(pstdev, columns))
        unplaced = cls(common, means, spreads, median=0.0, simple_share=0.0)
        scores = [unplaced._score(row) for row in features]
        middle = median(scores)
        below = sum(score < middle for score in scores) / len(scores)
        return replace(unplaced, median=middle, simple_share=below)

    @classmethod
    def read(cls, path: Path) -> "ComplexityScale":
        """The scale that `write` left.

        Raises:
            BadCorpus: the file is missing or damaged.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                common_words=tuple(content["common_words"]),
                means=tuple(content["means"]),
                spreads=tuple(content["spreads"]),
                median=content["median"],
                simple_share=content["simple_share"],
            )
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BadCorpus(f"{path} cannot be read ({error}); prepare it again") from None

    def write(self, path: Path) -> None:
        """Write the scale as JSON, from which it comes back to the bit."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def score(self, text: str) -> float:
        """How complex a text is: the mean of its three z-scores, higher is more complex.

        A text without words counts as the simplest in every feature.
        """
        return self._score(_features(text, self._known))

    def is_simple(self, text: str) -> bool:
        """Whether a text scores below the median."""
        return self.score(text) < self.median

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.common_words)

    def _score(self, features: _Features) -> float:
        rows = zip(features, self.means, self.spreads, strict=True)
        return fmean((value - mean) / spread if spread else 0.0 for value, mean, spread in rows)


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
        scale = ComplexityScale.fit(texts) if texts else None
        if scale is None or not scale.simple_share:
            raise BadCorpus(
                f"corpus {self.name!r}: its {len(texts)} documents do not differ enough to be cut "
                "at their median"
            )
        for text in texts:
            if scale.is_simple(text) == (self.half == "simple"):
                yield text


def _features(text: str, common: frozenset[str]) -> _Features:
    words = _WORD.findall(text.lower())
    count = max(len(words), 1)
    return (
        sum(map(len, words)) / count,
        math.log1p(len(words) / _count_sentences(text)),
        sum(word not in common for word in words) / count,
    )


def _commonest(texts: Iterable[str]) -> tuple[str, ...]:
    counts = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    # Ties are broken by the word, so that the order of the texts does not matter.
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return tuple(sorted(ranked[:COMMON_WORDS]))


def _count_sentences(text: str) -> int:
    sentences = _SENTENCE_END.split(text)
    return max(sum(bool(_WORD.search(sentence)) for sentence in sentences), 1)
