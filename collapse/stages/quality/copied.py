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
    newest = lineage[-1]
    for source in json.loads((newest / "ledger.json").read_text())["sources"]:
        match source:
            case "human_fresh":
                folder = newest / "human_text"
            case "human_static":
                folder = lineage[0] / "human_text"
            case "teacher":
                folder = newest / "teacher_text"
            case _:
                generation = int(source.removeprefix("synthetic_gen"))
                folder = lineage[generation] / "synthetic_text"
        yield from read_texts(folder)
