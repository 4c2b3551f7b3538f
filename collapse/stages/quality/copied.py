"""How much of the samples stands in the text that the generation was trained on."""

import json
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

import numpy as np

from collapse.numerics.copies import find_copies
from collapse.numerics.diversity import words
from collapse.stages.quality.measures import Measures
from collapse.stages.texts import read_texts


def measure_copied(
    measures: Measures, samples: Sequence[str], human: Sequence[str], lineage: Sequence[Path]
) -> None:
    """Shares of copied samples, beside the same of held-out human texts.

    Args:
        measures: is added to.
        samples: of the generation.
        human: held-out texts; as many of them as there are samples are looked at.
        lineage: artifacts of the generations up to this one.
    """
    beside = list(islice(human, len(samples)))
    documents = [words(text) for text in chain(samples, beside)]
    found = find_copies(documents, map(words, training_texts(lineage)))
    of_samples = np.arange(len(documents)) < len(samples)
    measured = found.tokens_S > 0
    measures.share("quality/copied_fraction", found.copied_S[of_samples & measured])
    measures.share("quality/copied_fraction_human", found.copied_S[~of_samples & measured])
    measures.mean("quality/longest_copy_words", found.longest_S[of_samples & measured])
    measures.mean("quality/longest_copy_words_human", found.longest_S[~of_samples & measured])


def training_texts(lineage: Sequence[Path]) -> Iterator[str]:
    """The documents that the newest generation was offered, source by source.

    Of a random subsample of all text so far, everything it was drawn from.
    """
    for source in json.loads((lineage[-1] / "ledger.json").read_text())["sources"]:
        yield from read_texts(source_folder(source, lineage))


def source_folder(source: str, lineage: Sequence[Path]) -> Path:
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
