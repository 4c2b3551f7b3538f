"""Reading comprehension, scored as SQuAD v1.1 does (Rajpurkar and others, 2016).

An answer and its references are compared without case, punctuation, articles and white space; the
best of several references counts.
"""

import string
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_ARTICLES = frozenset({"a", "an", "the"})
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def answer_words(text: str) -> list[str]:
    """The words of an answer that count: lower case, no ASCII punctuation, no articles."""
    bare = text.lower().translate(_WITHOUT_PUNCTUATION)
    return [word for word in bare.split() if word not in _ARTICLES]


def answer_scores(answer: str, references: Sequence[str]) -> dict[str, float]:
    """Exact match, F1 and partial match of an answer, the best over the references.

    Args:
        answer: what a model wrote; one without a word is wrong by every measure.
        references: right answers, at least one.

    Returns:
        ``em`` 1 where the words are those of a reference in order; ``f1`` of the words as a bag;
        ``pm`` 1 where at least one word is shared with a reference (the seed's "some word
        overlap").
    """
    words = answer_words(answer)
    if not words:
        return {"em": 0.0, "f1": 0.0, "pm": 0.0}
    right = [answer_words(reference) for reference in references]
    f1 = max(_f1(words, reference) for reference in right)
    return {"em": float(words in right), "f1": f1, "pm": float(f1 > 0)}


def _f1(words: Sequence[str], reference: Sequence[str]) -> float:
    shared = sum((Counter(words) & Counter(reference)).values())
    return 2 * shared / (len(words) + len(reference))


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """What lm-eval asks for: the scores of a model's answer to an item."""
    return answer_scores(results[0], doc["answers"]["text"])
