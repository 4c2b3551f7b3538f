"""A generation writes the text that the next one reads (R1.3), and is diagnosed by it (R1.5)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

import numpy as np

from collapse.errors import SilentModel
from collapse.language.sampling import sample_tokens
from collapse.numerics.streams import stream_seed
from collapse.parameters.groups import Sampling
from collapse.stages.arms import Encode
from collapse.stages.workspace import Advance, by_increments
from collapse.stages.writing import Sieve

LEAST_YIELD = 0.02
"""A round whose kept text is a smaller share of what was expected ends the chain."""
DRAWN_OVER_MISSING = 1.02
"""A round draws what is missing and a little over, so that a second one is seldom needed."""


@dataclass(frozen=True)
class Synthesis:
    """Text drawn from a model until a token budget was full.

    Attributes:
        texts: kept samples, in the order in which they were drawn.
        token_ids: their canonical tokenisation.
        drawn: samples drawn.
        empty: samples without a character.
        dropped: samples shorter than the least length, the empty ones included.
        sifted: samples that were long enough and not kept, as the arm asks.
        cut: samples that reached the greatest length before they ended, of all that were drawn;
            those that are kept are trained on as if they ended there.
        seconds: time taken.
    """

    texts: list[str]
    token_ids: list[list[int]]
    drawn: int
    empty: int
    dropped: int
    sifted: int
    cut: int
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
            "sifted": self.sifted,
            "cut": self.cut,
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
    decodings: Sequence[Sampling],
    seed: int,
    encode: Encode,
    advance: Advance,
    sieve: Sieve | None = None,
) -> Synthesis:
    """Draw texts from a model until they fill a token budget.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        token_budget: tokens wanted, each text's end token counted.
        tokens_per_document: expected length, to size the rounds.
        decodings: temperature, filters and length limits; several write equal parts, by turns.
        seed: seed of this generation's sampling; every round has a stream of its own.
        encode: token ids of texts.
        advance: told the tokens won, first as they are expected, then as they are.
        sieve: which of the texts are kept; None for all.

    Raises:
        SilentModel: a round won next to nothing.
    """
    started = time.perf_counter()
    texts: list[str] = []
    token_ids: list[list[int]] = []
    drawn = empty = cut = won = sifted = 0
    least = max(decodings[0].min_characters, 1)
    expected = min(tokens_per_document, float(decodings[0].max_new_tokens))
    while won < token_budget:
        # At the length seen so far.
        length = won / drawn if won else expected
        count = int((token_budget - won) / length * DRAWN_OVER_MISSING) + 16
        new = _round(
            model,
            tokenizer,
            count,
            decodings,
            stream_seed(seed, "round", drawn),
            # Until the texts are counted each sample stands for as many as were expected of it.
            partial(_win, advance, length),
        )
        drawn += count
        empty += sum(not text for text in new.texts)
        cut += new.cut
        long = [text for text in new.texts if len(text) >= least]
        kept = [long[place] for place in sieve(long)] if sieve else long
        sifted += len(long) - len(kept)
        ids = encode(kept)
        gained = sum(len(document) + 1 for document in ids)
        if gained < LEAST_YIELD * count * expected:
            raise SilentModel(
                f"the model writes next to nothing: {count} samples gave {gained} tokens in "
                f"texts of {least} characters or more that were kept"
            )
        texts += kept
        token_ids += ids
        won += gained
        advance(gained - round(count * length))
    seconds = time.perf_counter() - started
    dropped = drawn - len(texts) - sifted
    return Synthesis(texts, token_ids, drawn, empty, dropped, sifted, cut, seconds)


def _win(advance: Advance, length: float, samples: int) -> None:
    """Tell of samples, each of an expected length."""
    advance(round(samples * length))


@dataclass(frozen=True)
class Draw:
    """Samples from the empty prompt, and how many of them did not end by themselves."""

    texts: list[str]
    cut: int


def _round(
    model: Any,
    tokenizer: Any,
    count: int,
    decodings: Sequence[Sampling],
    seed: int,
    advance: Advance,
) -> Draw:
    """One round of all decodings, their texts by turns, so that a cut at the end falls on all."""
    if len(decodings) == 1:
        return draw(model, tokenizer, count, decodings[0], seed, advance)
    drawn = [
        draw(
            model,
            tokenizer,
            len(range(k, count, len(decodings))),
            one,
            stream_seed(seed, "way", k),
            advance,
        )
        for k, one in enumerate(decodings)
    ]
    by_turns = [text for turn in zip_longest(*(one.texts for one in drawn)) for text in turn]
    return Draw([text for text in by_turns if text is not None], sum(one.cut for one in drawn))


def draw(
    model: Any,
    tokenizer: Any,
    count: int,
    decoding: Sampling,
    seed: int,
    advance: Advance | None = None,
) -> Draw:
    """Texts from the empty prompt, decoded as the parameters say."""
    context = getattr(model.config, "max_position_embeddings", None) or decoding.max_new_tokens + 1
    longest = min(decoding.max_new_tokens, context - 1)
    prompts = [[tokenizer.bos_token_id]] * count
    samples = complete(model, prompts, longest, tokenizer.eos_token_id, decoding, seed, advance)
    texts = tokenizer.batch_decode(
        samples, skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return Draw(list(texts), sum(len(ids) >= longest for ids in samples))


def complete(
    model: Any,
    prompts: Sequence[Sequence[int]],
    longest: int,
    eos_token_id: int,
    decoding: Sampling,
    seed: int,
    advance: Advance | None = None,
) -> list[list[int]]:
    """Completions of prompts, of so many tokens at most, decoded as the parameters say."""
    return sample_tokens(
        model,
        prompts,
        max_new_tokens=longest,
        temperature=decoding.temperature,
        top_k=decoding.top_k,
        top_p=decoding.top_p,
        beams=decoding.beams,
        eos_token_id=eos_token_id,
        seed=seed,
        batch_size=decoding.sampling_batch,
        progress=by_increments(advance) if advance else None,
    )
