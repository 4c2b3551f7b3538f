"""How a generation writes for the next one, where it is not simply sampled: R2.9's variety."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from collapse.parameters.doors import RecurseStep
from collapse.parameters.fields import ways_of_decoding
from collapse.parameters.groups import Sampling
from collapse.stages.generation import Ground
from collapse.stages.likelihood import text_likelihood

Sieve = Callable[[Sequence[str]], list[int]]
"""Which of some newly drawn texts are kept, by their places, rising."""


def decodings_of(parameters: RecurseStep) -> list[Sampling]:
    """The ways in which a generation writes; each writes an equal part."""
    ways = ways_of_decoding(parameters.decodings)
    return [replace(parameters, temperature=t, top_k=k, top_p=p) for t, k, p in ways] or [
        parameters
    ]


def sieve_of(keep: str, model: Any, ground: Ground) -> Sieve:
    """What of the drawn texts is kept: all, distinct ones, the likely or the unlikely half.

    Likely is what the writer itself finds so, by its mean loss a token, end token counted: the sum
    would keep short texts.
    """
    if keep == "distinct":
        return _Distinct()
    if keep == "all":
        return lambda texts: list(range(len(texts)))

    def half(texts: Sequence[str]) -> list[int]:
        found = text_likelihood(model, ground, texts)
        mean_nll_S = found.sequence_nll_nats / found.sequence_tokens
        order = np.argsort(mean_nll_S if keep == "likely" else -mean_nll_S, kind="stable")
        return sorted(int(place) for place in order[: -(-len(texts) // 2)])

    return lambda texts: half(texts) if texts else []


class _Distinct:
    """Keeps a text the first time that it comes, in whatever round that is."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def __call__(self, texts: Sequence[str]) -> list[int]:
        kept = []
        for place, text in enumerate(texts):
            if text not in self.seen:
                self.seen.add(text)
                kept.append(place)
        return kept
