"""Probes that ask for more text than there will be: better known before hours than after."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from collapse.stages.plan import Step

ASKED = {
    "hessian": "probe_tokens",
    "mechanism": "probe_tokens",
    "svd_probe": "rank_tokens",
    "surgery": "rank_tokens",
}
"""Stages that look at one batch of a text, and the parameter that says how long it is."""


def shortfalls(
    steps: Sequence[Step], tokens_per_document: Callable[[Step], float]
) -> tuple[str, ...]:
    """A line for every stage that will fail for want of text.

    Args:
        steps: those that are to be run.
        tokens_per_document: of the human text that a step reads, as measured; a generation's own
            text is taken to be as long.
    """
    found: dict[tuple[str, str], str] = {}
    for step in steps:
        if step.stage not in ASKED:
            continue
        name = ASKED[step.stage]
        asked = getattr(step.parameters, name)
        for documents in _documents_looked_at(step):
            count = getattr(step.parameters, documents)
            tokens = count * tokens_per_document(step)
            if tokens < asked:
                found[step.stage, documents] = (
                    f"{step.stage} asks for {name}={asked}, and {documents}={count} hold about "
                    f"{tokens:,.0f} tokens: ask for fewer, or for more documents"
                )
    return tuple(found.values())


def _documents_looked_at(step: Step) -> Iterator[str]:
    """The parameters that say how many documents the batches are taken from."""
    p: Any = step.parameters
    texts = getattr(p, "probe_texts", "human").split(",")
    if "human" in texts:
        yield "heldout_documents"
    if "own" in texts:
        yield "documents" if step.generation else "baseline_documents"
