"""The parameters that make a step small enough to be rehearsed, in two sizes. Pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from collapse.execution.work import losses_after_pruning

SMALL, LARGE = "small", "large"
HELDOUT = {SMALL: 60, LARGE: 200}
"""Documents of each held-out split: with 200, looks at the validation text are as in the study."""
TOKENIZER = {SMALL: 1000, LARGE: 4000}
CORPUS = {SMALL: 5000, LARGE: 20_000}
QUALITY = {SMALL: 0.06, LARGE: 0.2}
PARTS = {SMALL: 4, LARGE: 2}
"""A spectrum is rehearsed on a quarter and on half of its batch's parts."""
LIMIT = {SMALL: 2, LARGE: 6}
PERCENTS = {SMALL: "50", LARGE: "30,60,90"}
LANDSCAPE = {SMALL: 3, LARGE: 5}
BASELINE_STEPS = {SMALL: 2, LARGE: 30}
BASELINE_DOCUMENTS = 1000
DOCUMENTS_AT_ONCE = 3
"""Documents that a parent writes, over those it writes at once: it has to be busy for a while."""


def has_more_held_out(p: Any) -> bool:
    """Whether there is more held-out text than even the large rehearsals have."""
    return bool(p.heldout_documents > HELDOUT[LARGE])


def _small_text(p: Any, size: str) -> dict[str, Any]:
    # A tokenizer of many entries needs text to be made from.
    few = max(TOKENIZER[size], p.vocabulary_size)
    return {
        "heldout_documents": min(p.heldout_documents, HELDOUT[size]),
        "tokenizer_documents": min(p.tokenizer_documents, few),
        "corpus_documents": min(p.corpus_documents, CORPUS[size]),
    }


def _small_judge(p: Any, size: str) -> dict[str, Any]:
    return {"heldout_documents": min(p.heldout_documents, HELDOUT[size])}


def _small_baseline(p: Any, size: str) -> dict[str, Any]:
    return _quiet_training() | {
        "baseline_steps": min(p.baseline_steps, BASELINE_STEPS[size]),
        "baseline_documents": min(p.baseline_documents, BASELINE_DOCUMENTS),
        "checkpoint_tokens": "",
    }


def _small_generation(p: Any, _size: str) -> dict[str, Any]:
    # No more than generation 0 has read: an arm may read that again.
    few = min(p.documents, DOCUMENTS_AT_ONCE * p.sampling_batch, 4 * BASELINE_DOCUMENTS // 5)
    return _quiet_training() | {"steps": min(p.steps, 2), "documents": few}


def _quiet_training() -> dict[str, Any]:
    """No look and no state on the way; no warmup, so that few steps teach how often texts end."""
    return {"evaluate_every": 0, "checkpoint_every": 0, "warmup_steps": 0}


def _small_quality(p: Any, size: str) -> dict[str, Any]:
    """A share of everything that is written and read, so that all of it shrinks alike."""
    share = HELDOUT[size] / p.heldout_documents if has_more_held_out(p) else QUALITY[size]
    return {
        "samples": max(1, round(share * p.samples)),
        "prompts": min(p.prompts, max(1, round(share * p.prompts))),
        "completions_per_prompt": 1,
    }


def _small_spectrum(p: Any, size: str) -> dict[str, Any]:
    """As few products as can be, on whole parts of the batch: a part costs what it costs there."""
    parts = max(1, p.probe_parts // PARTS[size])
    tokens = p.probe_tokens * parts // p.probe_parts
    if p.probe_parts == 1 or tokens < p.sequence_length:
        parts, tokens = p.probe_parts, p.probe_tokens
    return {
        "probe_parts": parts,
        "probe_tokens": tokens,
        "lanczos_steps": 30,
        "probe_vectors": 2,
        "density_steps": 1,
        "probe_texts": p.probe_texts.split(",")[0],
        "overlap": False,
    }


def _small_benchmark(p: Any, size: str) -> dict[str, Any]:
    return {"limit": min(p.limit or LIMIT[size], LIMIT[size]), "checkpoint_tokens": ""}


def _small_probe(_p: Any, _size: str) -> dict[str, Any]:
    return {"checkpoint_tokens": ""}


def _small_surgery(p: Any, size: str) -> dict[str, Any]:
    few = {"prune_percents": PERCENTS[LARGE], "random_draws": 2}
    if losses_after_pruning(p) <= losses_after_pruning(replace(p, **few)):
        return {}
    return few | {"prune_percents": PERCENTS[size]}


def _small_mechanism(p: Any, size: str) -> dict[str, Any]:
    return {"landscape_points": min(p.landscape_points, LANDSCAPE[size])}


CHANGES: dict[str, Callable[[Any, str], dict[str, Any]]] = {
    "prepare": _small_text,
    "judge": _small_judge,
    "baseline": _small_baseline,
    "recurse_step": _small_generation,
    "quality": _small_quality,
    "hessian": _small_spectrum,
    "svd_probe": _small_probe,
    "surgery": _small_surgery,
    "mechanism": _small_mechanism,
    "benchmark": _small_benchmark,
}
"""By stage, the parameters that make a step small, of its parameters and a size."""
