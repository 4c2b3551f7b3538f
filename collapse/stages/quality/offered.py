"""The text that a generation was offered for its training, drawn again as its ledger counts it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from collapse.numerics.streams import numpy_stream
from collapse.parameters.doors import Quality
from collapse.stages.arms import subsample, take
from collapse.stages.generation import Ground
from collapse.stages.texts import read_texts


def offered_texts(
    parameters: Quality, ground: Ground, lineage: Sequence[Path]
) -> Iterator[tuple[str, list[str]]]:
    """Every source of the newest generation's training text, with the documents taken from it.

    Args:
        parameters: what a random subsample was drawn with.
        ground: corpus and tokenizer.
        lineage: artifacts of the generations up to this one.
    """
    sources = json.loads((lineage[-1] / "ledger.json").read_text())["sources"]
    if parameters.kind == "accumulate_subsample" and "human_static" in sources:
        yield from _subsampled(parameters, ground, lineage)
        return
    for source, account in sources.items():
        # A source is read from its start, up to its budget.
        yield source, read_texts(_source_folder(source, lineage))[: account["documents"]]


def _subsampled(
    parameters: Quality, ground: Ground, lineage: Sequence[Path]
) -> Iterator[tuple[str, list[str]]]:
    """The random subsample of all text so far, drawn again as it was drawn for the training."""
    budget = ground.budget(parameters.documents)
    generation = len(lineage) - 1
    pool = [
        take(source, read_texts(_source_folder(source, lineage)), budget, ground.encode)
        for source in ("human_static", *(f"synthetic_gen{g + 1}" for g in range(generation)))
    ]
    stream = numpy_stream(parameters.seed, "subsample", generation)
    for portion in subsample(pool, budget, stream):
        yield portion.source, portion.texts


def _source_folder(source: str, lineage: Sequence[Path]) -> Path:
    """Where a source of the newest generation's training text lies, in full."""
    match source:
        case "human_fresh":
            return lineage[-1] / "human_text"
        case "human_static":
            return lineage[0] / "human_text"
        case "teacher":
            return lineage[-1] / "teacher_text"
        case _:
            return lineage[int(source.removeprefix("synthetic_gen"))] / "synthetic_text"
