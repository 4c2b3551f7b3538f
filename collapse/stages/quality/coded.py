"""Python prompts, completed: classes of the completions, whether they parse, their names (R4.3)."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.language.code_prompts import CODE_PROMPTS
from collapse.numerics.completion_classes import (
    COMPLETION_CLASSES,
    FAILURES,
    CompletionTraits,
    completion_traits,
)
from collapse.numerics.streams import numpy_stream, stream_seed
from collapse.parameters.doors import Quality
from collapse.probes.code import CodeMeasures, human_openings, measure_code
from collapse.probes.likelihood import Likelihood, token_nll
from collapse.stages.generation import Ground
from collapse.stages.quality.measures import Measures
from collapse.stages.synthesis import complete

HUMAN_OPENINGS = 200
"""Openings by people whose own continuations are the ceiling of the measures."""


@dataclass(frozen=True)
class Completed:
    """Completions of the prompts, each prompt as often as it was asked."""

    prompts: list[str]
    prompt_ids: list[list[int]]
    completion_ids: list[list[int]]
    completions: list[str]


def is_asked_for(parameters: Quality, ground: Ground) -> bool:
    """Whether Python is to be completed: as the parameter says, or else where it was learnt."""
    if parameters.completions != "auto":
        return parameters.completions == "python"
    return ground.human.card.name.partition(":")[0] == "python"


def measure_coded(
    measures: Measures, parameters: Quality, ground: Ground, model: Any, folder: Path
) -> None:
    """Complete the 52 prompts, and measure the completions beside those of people.

    Args:
        measures: is added to.
        parameters: completions a prompt, their tokens, and the decoding.
        ground: corpus and tokenizer.
        model: completes.
        folder: gets ``completions.jsonl``.
    """
    done = _completed(parameters, ground, model)
    traits = [completion_traits(text) for text in done.completions]
    code = measure_code(done.prompts, done.completions)
    _keep_traits(measures, traits, parameters.completions_per_prompt)
    _keep_code(measures, code, "", parameters.completions_per_prompt)
    _keep_human(measures, parameters, ground)
    _keep_certainty(measures, model, done, parameters.completions_per_prompt)
    rows = zip(done.prompts, done.completions, traits, code.parsed, strict=True)
    with (folder / "completions.jsonl").open("w", encoding="utf-8") as file:
        for prompt, text, traits_1, parsed in rows:
            row = {
                "prompt": prompt,
                "completion": text,
                "class": traits_1.kind,
                "parses": parsed.parses_whole,
                "kept": parsed.kept,
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _completed(parameters: Quality, ground: Ground, model: Any) -> Completed:
    prompts = [one for one in CODE_PROMPTS for _ in range(parameters.completions_per_prompt)]
    prompt_ids = [ids[:-1] for ids in ground.sequences(prompts)]
    written = complete(
        model,
        prompt_ids,
        parameters.completion_tokens,
        ground.tokenizer.eos_token_id,
        parameters,
        stream_seed(parameters.seed, "completions", parameters.generation),
    )
    return Completed(prompts, prompt_ids, written, ground.decode(written))


def _keep_traits(measures: Measures, traits: Sequence[CompletionTraits], per_prompt: int) -> None:
    """The seed's own measures: classes and characters."""
    rates: dict[str, ArrayLike] = {
        "collapse_rate": [one.kind in FAILURES for one in traits],
        **{f"class_{kind}": [one.kind == kind for one in traits] for kind in COMPLETION_CLASSES},
        "keyword_rate": [one.has_keyword for one in traits],
        "operator_rate": [one.has_operator for one in traits],
        "parentheses_rate": [one.has_parentheses for one in traits],
    }
    found: dict[str, ArrayLike] = {
        # An empty completion has no commonest character.
        "commonest_character_share": [
            math.nan if one.commonest_share is None else one.commonest_share for one in traits
        ],
        "distinct_characters": [one.distinct_characters for one in traits],
    }
    for name, values_S in rates.items():
        measures.rate(f"quality/{name}", _by_prompt(values_S, per_prompt))
    for name, values_S in found.items():
        measures.mean(f"quality/{name}", _by_prompt(values_S, per_prompt))


def _keep_code(measures: Measures, code: CodeMeasures, suffix: str, per_prompt: int) -> None:
    to_a_line = [one.parses_to_a_line for one in code.parsed]
    whole = [one.parses_whole for one in code.parsed]
    kept = [one.kept_share for one in code.parsed]
    measures.rate(f"quality/parse_rate{suffix}", _by_prompt(to_a_line, per_prompt))
    measures.rate(f"quality/parse_rate_whole{suffix}", _by_prompt(whole, per_prompt))
    measures.mean(f"quality/parsed_share{suffix}", _by_prompt(kept, per_prompt))
    measures.add({f"quality/identifier_diversity{suffix}": code.names.guiraud})


def _by_prompt(values_S: ArrayLike, per_prompt: int) -> NDArray[np.float64]:
    """A mean a prompt: completions of one prompt resemble each other, and are no replicates."""
    values_PxK = np.asarray(values_S, dtype=float).reshape(-1, per_prompt)
    known = np.isfinite(values_PxK)
    sums_P = np.where(known, values_PxK, 0.0).sum(axis=1)
    counts_P = known.sum(axis=1)
    return np.divide(sums_P, counts_P, out=np.full(len(sums_P), np.nan), where=counts_P > 0)


def _keep_human(measures: Measures, parameters: Quality, ground: Ground) -> None:
    """The same of code by people, cut at as many tokens."""
    test = ground.human.heldout("test")
    rng = numpy_stream(parameters.study_seed, "quality", "openings")
    openings = human_openings(test, HUMAN_OPENINGS, rng)
    if not openings:
        measures.left_out["quality/parse_rate_human"] = "no held-out text is Python"
        return
    prompts, continuations = zip(*openings, strict=True)
    cut = [ids[: parameters.completion_tokens] for ids in ground.encode_plain(continuations)]
    _keep_code(measures, measure_code(prompts, ground.decode(cut)), "_human", 1)


def _keep_certainty(measures: Measures, model: Any, done: Completed, per_prompt: int) -> None:
    """How sure the model is along its own completions: those of the whole less those of prompts."""
    tokens_S = np.array([len(text) for text in done.completion_ids])
    if not tokens_S.any():
        measures.left_out["quality/completion_entropy_nats"] = "every completion is empty"
        return
    pairs = zip(done.prompt_ids, done.completion_ids, strict=True)
    written = [(prompt, text) for prompt, text in pairs if text]
    whole = token_nll(model, [prompt + text for prompt, text in written], batch_size=64)
    before = _of_prompts(model, [prompt for prompt, _ in written])
    sums = {
        "completion_entropy_nats": whole.sequence_entropy_nats - before[0],
        "completion_top1": whole.sequence_top1 - before[1],
    }
    for name, sums_S in sums.items():
        values_S = np.full(len(tokens_S), np.nan)  # an empty completion has none
        values_S[tokens_S > 0] = sums_S / tokens_S[tokens_S > 0]
        measures.mean(f"quality/{name}", _by_prompt(values_S, per_prompt))


def _of_prompts(model: Any, prompts: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Sums of entropy and of top-1 probability over each prompt; 0 for one of a single token."""
    longer = [index for index, prompt in enumerate(prompts) if len(prompt) > 1]
    sums = np.zeros((2, len(prompts)))
    if longer:
        found: Likelihood = token_nll(model, [prompts[index] for index in longer], batch_size=64)
        sums[0, longer] = found.sequence_entropy_nats
        sums[1, longer] = found.sequence_top1
    return sums[0], sums[1]
