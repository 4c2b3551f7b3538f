"""How much a text repeats itself: n-grams that come again, runs of one symbol.

The share of the commonest character and the number of different ones are in
:func:`collapse.numerics.completion_classes.completion_traits`.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray


def repeated_ngram_shares(
    documents: Sequence[Sequence[Hashable]], n: int = 4
) -> NDArray[np.float64]:
    """Per text, the share of its n-grams that stood in the same text before.

    Args:
        documents: one sequence of tokens a text.
        n: length of the n-grams.

    Returns:
        One share in [0, 1) a text, nan for a text with fewer than n tokens.
    """
    return np.array([_repeated_share(tokens, n) for tokens in documents], dtype=np.float64)


def longest_run(symbols: Iterable[Hashable]) -> int:
    """How often one symbol stands in a row, at most; 0 where there is no symbol.

    Args:
        symbols: the characters of a text (the text itself), or its words.
    """
    return max((sum(1 for _ in run) for _, run in groupby(symbols)), default=0)


def _repeated_share(tokens: Sequence[Hashable], n: int) -> float:
    grams = list(zip(*(islice(tokens, start, None) for start in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else np.nan
