"""A generation writes the text that the next one reads (R1.3), and is diagnosed by it (R1.5)."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from collapse.errors import SilentModel
from collapse.language.sampling import sample
from collapse.language.tokenizer import encode_documents
from collapse.numerics.streams import stream_seed
from collapse.parameters.doors import Sampling
from collapse.stages.workspace import Advance, by_increments

LEAST_YIELD = 0.02
"""A round whose kept text is a smaller share of what was expected ends the chain."""


@dataclass(frozen=True)
class Synthesis:
    """Text drawn from a model until a token budget was full.

    Attributes:
        texts: kept samples, in the order in which they were drawn.
        token_ids: their canonical tokenisation.
        drawn: samples drawn.
        empty: samples without a character.
        dropped: samples shorter than the least length, the empty ones included.
        seconds: time taken.
    """

    texts: list[str]
    token_ids: list[list[int]]
    drawn: int
    empty: int
    dropped: int
    seconds: float

    def diagnosis(self) -> dict[str, Any]:
        """Lengths, repeats, empties and drops: whether this text is worth training on."""
        characters = np.array([len(text) for text in self.texts] or [0])
        tokens = np.array([len(ids) for ids in self.token_ids] or [0])
        return {
            "drawn": self.drawn,
            "kept": len(self.texts),
            "empty": self.empty,
            "dropped": self.dropped,
            "distinct": len(set(self.texts)),
            "repeats": len(self.texts) - len(set(self.texts)),
            "characters": _quartiles(characters),
            "tokens": _quartiles(tokens),
            "seconds": round(self.seconds, 3),
        }


def _quartiles(lengths: np.ndarray) -> dict[str, float]:
    names = ("min", "q25", "median", "q75", "max")
    quartiles = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1])
    return dict(zip(names, quartiles.tolist(), strict=True)) | {"mean": float(lengths.mean())}


def synthesise(
    model: Any,
    tokenizer: Any,
    *,
    token_budget: int,
    tokens_per_document: float,
    decoding: Sampling,
    seed: int,
    advance: Advance,
) -> Synthesis:
    """Draw texts from a model until they fill a token budget.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        token_budget: tokens wanted, each text's end token counted.
        tokens_per_document: expected length, to size the rounds.
        decoding: temperature, filters and length limits.
        seed: seed of this generation's sampling; every round has a stream of its own.
        advance: told the tokens won.

    Raises:
        SilentModel: a round won next to nothing.
    """
    started = time.perf_counter()
    texts: list[str] = []
    token_ids: list[list[int]] = []
    drawn = empty = won = 0
    while won < token_budget:
        # What is missing at the expected length, and a little over.
        count = int((token_budget - won) / tokens_per_document * 1.02) + 16
        new = draw(model, tokenizer, count, decoding, stream_seed(seed, "round", drawn))
        drawn += count
        empty += sum(not text for text in new)
        kept = [text for text in new if len(text) >= max(decoding.min_characters, 1)]
        ids = encode_documents(tokenizer, kept)
        gained = sum(len(document) + 1 for document in ids)
        if gained < LEAST_YIELD * count * tokens_per_document:
            raise SilentModel(
                f"the model writes next to nothing: {count} samples gave {gained} tokens in "
                f"texts of {decoding.min_characters} characters or more"
            )
        texts += kept
        token_ids += ids
        won += gained
        advance(gained)
    seconds = time.perf_counter() - started
    return Synthesis(texts, token_ids, drawn, empty, drawn - len(texts), seconds)


def draw(
    model: Any,
    tokenizer: Any,
    count: int,
    decoding: Sampling,
    seed: int,
    advance: Advance | None = None,
) -> list[str]:
    """Texts from the empty prompt, decoded as the parameters say."""
    return sample(
        model,
        tokenizer,
        [""] * count,
        max_new_tokens=decoding.max_new_tokens,
        temperature=decoding.temperature,
        top_k=decoding.top_k,
        top_p=decoding.top_p,
        seed=seed,
        batch_size=decoding.sampling_batch,
        progress=by_increments(advance) if advance else None,
    )
