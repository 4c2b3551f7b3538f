"""How varied a set of texts is, by counts of n-grams."""

import re
from collections import Counter
from collections.abc import Sequence

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


def repeated_ngram_share(documents: Sequence[Sequence[str]], n: int = 4) -> float | None:
    """Mean over texts of the share of n-grams that stood in the same text before.

    Texts with fewer than n tokens are left out; None where that leaves none.
    """
    shares = [
        1 - len(counts) / counts.total() for tokens in documents if (counts := _ngrams([tokens], n))
    ]
    return sum(shares) / len(shares) if shares else None


def _ngrams(documents: Sequence[Sequence[str]], n: int) -> Counter[tuple[str, ...]]:
    counts: Counter[tuple[str, ...]] = Counter()
    for tokens in documents:
        counts.update(zip(*(tokens[start:] for start in range(n)), strict=False))
    return counts
