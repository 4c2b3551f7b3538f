"""How varied a set of texts is, by counts of n-grams.

Shapes: N texts of a set; P pairs of an n-gram and a text that has it.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collapse.errors import BadParameter

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

LONGEST = 4
"""BLEU and distinct-n look at n-grams of one to four tokens."""

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """Lower-cased words and punctuation marks of a text."""
    return _WORD.findall(text.lower())


def distinct_n(documents: Sequence[Sequence[str]], n: int) -> float | None:
    """Distinct n-grams over all n-grams of a set of tokenised texts (Li et al., 2016).

    It falls with the size of the set, so only sets of equal size may be compared.

    Args:
        documents: one list of tokens a text.
        n: length of the n-grams.

    Returns:
        A share in (0, 1], or None where no text has n tokens.
    """
    counts = _ngrams(documents, n)
    total = counts.total()
    return len(counts) / total if total else None


def vocabulary_diversity(documents: Sequence[Sequence[str]]) -> float | None:
    """Distinct tokens over the square root of all tokens (Guiraud's index), None without any.

    It depends less on the amount of text than the ratio of types to tokens does.
    """
    total = sum(len(tokens) for tokens in documents)
    distinct = len({token for tokens in documents for token in tokens})
    return distinct / total**0.5 if total else None


@dataclass(frozen=True)
class Diversity:
    """The statistics of a set of texts; they depend on its size, so compare sets of equal size.

    Attributes:
        distinct_1: distinct tokens over tokens, see :func:`distinct_n`; None without any.
        distinct_2: the same for pairs of tokens.
        distinct_3: for three.
        distinct_4: for four.
        vocabulary_diversity: see :func:`vocabulary_diversity`.
        self_bleu: 0 to 100, the mean of :meth:`TextSet.self_bleus`; None for fewer than two texts
            with tokens.
    """

    distinct_1: float | None
    distinct_2: float | None
    distinct_3: float | None
    distinct_4: float | None
    vocabulary_diversity: float | None
    self_bleu: float | None


@dataclass(frozen=True, eq=False)
class _Counts:
    """How often each n-gram of one length stands in each text.

    Attributes:
        gram_P: the n-gram, numbered from 0, ascending.
        text_P: the text.
        count_P: how often, ascending for each n-gram.
    """

    gram_P: Integers
    text_P: Integers
    count_P: Integers

    def of_texts(self, chosen_N: NDArray[np.bool_]) -> "_Counts":
        kept_P = chosen_N[self.text_P]
        return _Counts(self.gram_P[kept_P], self.text_P[kept_P], self.count_P[kept_P])

    def group_sizes(self) -> Integers:
        """In how many texts each n-gram stands, in order of the n-grams."""
        begins = np.flatnonzero(np.diff(self.gram_P, prepend=-1))
        return np.diff(begins, append=len(self.gram_P))

    def matches(self, texts: int) -> Floats:
        """How many of each text's n-grams BLEU finds in the others, clipped.

        A text's count of an n-gram is clipped to the largest count in another text. Whoever holds
        the largest count meets the second largest; everybody else has no more than the second
        largest anyway: so all are clipped to the second largest, and one pass serves all texts.
        """
        sizes = self.group_sizes()
        lasts = np.cumsum(sizes) - 1
        second = np.where(sizes > 1, self.count_P[lasts - 1], 0)
        clipped_P = np.minimum(self.count_P, np.repeat(second, sizes))
        return np.asarray(np.bincount(self.text_P, clipped_P, minlength=texts), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class TextSet:
    """N tokenised texts, counted once, so that many parts of the set can be measured quickly.

    Attributes:
        lengths_N: tokens of each text.
    """

    lengths_N: Integers
    _orders: tuple[_Counts, ...]

    @classmethod
    def of(cls, documents: Sequence[Sequence[str]]) -> "TextSet":
        """Count the n-grams of these lists of tokens, one a text."""
        lengths_N = np.array([len(tokens) for tokens in documents], dtype=np.int64)
        numbers: dict[str, int] = {}
        tokens_T = np.array(
            [numbers.setdefault(token, len(numbers)) for tokens in documents for token in tokens],
            dtype=np.int64,
        )
        return cls(lengths_N, _count(tokens_T, lengths_N))

    def diversity(self, chosen: Integers | None = None) -> Diversity:
        """The statistics of the whole set, or of the part with these indices.

        Raises:
            BadParameter: an index is chosen twice, which no part of a set can do.
        """
        chosen_N = self._mask(chosen)
        orders = [counts.of_texts(chosen_N) for counts in self._orders]
        tokens = int(self.lengths_N[chosen_N].sum())
        vocabulary = len(orders[0].group_sizes()) / tokens**0.5 if tokens else None
        bleu_N = self._bleu(orders, chosen_N)
        known = bleu_N[np.isfinite(bleu_N)]
        one, two, three, four = map(_distinct_share, orders)
        bleu = float(known.mean()) if len(known) else None
        return Diversity(one, two, three, four, vocabulary, bleu)

    def self_bleus(self) -> Floats:
        """BLEU-4 of each text against all others as its references (Zhu et al., 2018).

        High where texts resemble each other. Like distinct-n it depends on the size of the set: it
        rises, as with every text there is more to resemble. It is that of
        ``sacrebleu.sentence_bleu``: exponential smoothing of orders without a match, orders that
        the text is too short for left out, and the brevity penalty by the reference of the closest
        length, the shorter of two. The tokens are the caller's: sacrebleu gives the same numbers
        with ``tokenize="none"`` on tokens joined by blanks.

        Returns:
            (N,), 0 to 100. Texts without a token are no references and have no score: nan, as is
            all where fewer than two texts have tokens.
        """
        return self._bleu(self._orders, self._mask(None))

    def _mask(self, chosen: Integers | None) -> NDArray[np.bool_]:
        if chosen is None:
            return np.ones(len(self.lengths_N), dtype=np.bool_)
        chosen_N = np.zeros(len(self.lengths_N), dtype=np.bool_)
        chosen_N[chosen] = True
        if chosen_N.sum() != len(chosen):
            raise BadParameter("a text is chosen twice: choose texts of a set without replacement")
        return chosen_N

    def _bleu(self, orders: Sequence[_Counts], chosen_N: NDArray[np.bool_]) -> Floats:
        """BLEU of each chosen text against the other chosen ones; nan for all the rest."""
        scored = np.flatnonzero(chosen_N & (self.lengths_N > 0))
        bleu_N = np.full(len(self.lengths_N), np.nan)
        if len(scored) < 2:
            return bleu_N
        lengths_S = self.lengths_N[scored]
        matches_NxO = [counts.matches(len(self.lengths_N)) for counts in orders]
        matches_SxO = np.stack([matches_N[scored] for matches_N in matches_NxO], axis=1)
        penalty_S = np.minimum(1 - _closest_other(lengths_S) / lengths_S, 0)
        bleu_N[scored] = 100 * np.exp(penalty_S + _log_precision(matches_SxO, lengths_S))
        return bleu_N


def _count(tokens_T: Integers, lengths_N: Integers) -> tuple[_Counts, ...]:
    """Counts of the n-grams of 1 to LONGEST tokens, none of which leaves its text."""
    text_T = np.repeat(np.arange(len(lengths_N)), lengths_N)
    starts, gram = np.arange(len(tokens_T)), tokens_T
    orders = []
    for n in range(1, LONGEST + 1):
        if n > 1:
            # A longer n-gram is a shorter one and the token after it.
            inside = starts + n - 1 < len(tokens_T)
            inside[inside] = text_T[starts[inside] + n - 1] == text_T[starts[inside]]
            starts, gram = starts[inside], gram[inside]
            longer = gram * (tokens_T.max(initial=0) + 1) + tokens_T[starts + n - 1]
            gram = np.unique(longer, return_inverse=True)[1]
        pairs, count_P = np.unique(gram * len(lengths_N) + text_T[starts], return_counts=True)
        gram_P, text_P = np.divmod(pairs, max(len(lengths_N), 1))
        order = np.lexsort((count_P, gram_P))
        orders.append(_Counts(gram_P[order], text_P[order], count_P[order]))
    return tuple(orders)


def _distinct_share(counts: _Counts) -> float | None:
    total = int(counts.count_P.sum())
    return len(counts.group_sizes()) / total if total else None


def _closest_other(lengths_S: Integers) -> Integers:
    """For each of at least two texts the length of the other text closest in length.

    Of two equally close ones the shorter.
    """
    order = np.argsort(lengths_S)
    ascending = lengths_S[order]
    far = np.iinfo(np.int64).max
    below = np.diff(ascending, prepend=ascending[0])
    above = np.diff(ascending, append=ascending[-1])
    below[0], above[-1] = far, far
    closest_S = np.empty_like(lengths_S)
    closest_S[order] = np.where(below <= above, ascending - below, ascending + above)
    return closest_S


def _log_precision(matches_SxO: Floats, lengths_S: Integers) -> Floats:
    """Mean log of the smoothed n-gram precisions over the orders that a text is long enough for.

    The k-th order without a match counts as 1 / 2^k matches (Chen and Cherry, 2014, method 3, as
    NIST's script has it); a text without any match has a precision of zero.
    """
    totals_SxO = lengths_S[:, None] - np.arange(LONGEST)
    there = totals_SxO > 0
    missed = there & (matches_SxO == 0)
    smoothed = np.where(missed, 0.5 ** np.cumsum(missed, axis=1), matches_SxO)
    logs = np.log(np.divide(smoothed, totals_SxO, out=np.ones_like(smoothed), where=there))
    return np.where(matches_SxO.any(axis=1), logs.sum(axis=1) / there.sum(axis=1), -np.inf)


@dataclass(frozen=True)
class Lengths:
    """Tokens a text.

    Attributes:
        mean: over the texts.
        standard_deviation: of the sample; None for one text.
        lower_quartile: by linear interpolation, as the two below.
        median: half of the texts are shorter.
        upper_quartile: a quarter of the texts is longer.
    """

    mean: float
    standard_deviation: float | None
    lower_quartile: float
    median: float
    upper_quartile: float


def lengths(documents: Sequence[Sequence[str]]) -> Lengths | None:
    """How long tokenised texts are, empty ones included; None where there is no text."""
    if len(documents) == 0:
        return None
    tokens_N = np.array([len(tokens) for tokens in documents], dtype=np.float64)
    lower, median, upper = np.percentile(tokens_N, [25, 50, 75]).tolist()
    spread = float(tokens_N.std(ddof=1)) if len(tokens_N) > 1 else None
    return Lengths(float(tokens_N.mean()), spread, lower, median, upper)


def _ngrams(documents: Sequence[Sequence[str]], n: int) -> Counter[tuple[str, ...]]:
    counts: Counter[tuple[str, ...]] = Counter()
    for tokens in documents:
        counts.update(zip(*(tokens[start:] for start in range(n)), strict=False))
    return counts
