"""Human beginnings, continued: how near the model's end comes to the human one."""

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from collapse.numerics.streams import numpy_stream, stream_seed
from collapse.parameters.doors import Quality
from collapse.probes.references import Overlap, score_continuations
from collapse.stages.generation import Ground
from collapse.stages.quality.measures import Measures
from collapse.stages.synthesis import complete

LEAST_TOKENS = 8
"""A human end that is shorter says too little to be compared with."""


@dataclass(frozen=True)
class Beginnings:
    """Beginnings of held-out documents and how they go on, as tokens."""

    prompts: list[list[int]]
    ends: list[list[int]]


def measure_continued(
    measures: Measures, parameters: Quality, ground: Ground, model: Any, folder: Path
) -> None:
    """BLEU and ROUGE-L against each text's own end, and of human ends against those of others.

    Args:
        measures: is added to.
        parameters: how many beginnings of how many tokens, and the decoding.
        ground: corpus and tokenizer.
        model: continues.
        folder: gets ``continuations.jsonl``.
    """
    longest = _longest(model, parameters)
    found = beginnings(ground, parameters.prompts, parameters.prompt_tokens, longest)
    if not found.prompts:
        measures.left_out["quality/bleu"] = (
            f"no held-out text has {LEAST_TOKENS} tokens after its first {parameters.prompt_tokens}"
        )
        return
    seed = stream_seed(parameters.seed, "continuations", parameters.generation)
    written = complete(
        model, found.prompts, longest, ground.tokenizer.eos_token_id, parameters, seed
    )
    ends, texts = ground.decode(found.ends), ground.decode(written)
    scores = score_continuations(
        texts, ends, numpy_stream(parameters.study_seed, "quality", "derangement")
    )
    _keep(measures, scores.model, "")
    if scores.human:
        _keep(measures, scores.human, "_human")
    with (folder / "continuations.jsonl").open("w", encoding="utf-8") as file:
        for prompt, own, human in zip(ground.decode(found.prompts), texts, ends, strict=True):
            row = {"prompt": prompt, "continuation": own, "human": human}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def beginnings(ground: Ground, count: int, prompt_tokens: int, longest: int) -> Beginnings:
    """The first documents of the split for prompts that are long enough, cut in two.

    Args:
        ground: corpus and tokenizer.
        count: beginnings, at most.
        prompt_tokens: of a beginning, its start token aside.
        longest: tokens of an end, at most.
    """
    prompts, ends = [], []
    documents = ground.sequences(ground.human.heldout("prompts"))
    cut = 1 + prompt_tokens
    long_enough = (ids for ids in documents if len(ids) - 1 - cut >= LEAST_TOKENS)
    for ids in islice(long_enough, count):
        prompts.append(ids[:cut])
        ends.append(ids[cut:-1][:longest])
    return Beginnings(prompts, ends)


def _longest(model: Any, parameters: Quality) -> int:
    """Tokens that an end may have: the model's context holds beginning and end."""
    context = getattr(model.config, "max_position_embeddings", None)
    room = context - 1 - parameters.prompt_tokens if context else parameters.max_new_tokens
    return max(min(parameters.max_new_tokens, room), 1)


def _keep(measures: Measures, overlap: Overlap, suffix: str) -> None:
    name = f"quality/bleu{suffix}"

    def corpus_bleu(chosen: np.ndarray) -> dict[str, float | None]:
        return {name: overlap.corpus_bleu(chosen)}

    measures.of_set(corpus_bleu, len(overlap.bleu_S))
    measures.mean(f"quality/rouge_l{suffix}", overlap.rouge_l_S)
