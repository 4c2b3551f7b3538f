"""How much of the samples stands in the text that the generation was trained on."""

from collections.abc import Iterable, Sequence
from itertools import chain, islice

import numpy as np

from collapse.numerics.copies import find_copies
from collapse.numerics.diversity import words
from collapse.stages.quality.measures import Measures


def measure_copied(
    measures: Measures, samples: Sequence[str], human: Sequence[str], offered: Iterable[str]
) -> None:
    """Shares of copied samples, beside the same of held-out human texts.

    Args:
        measures: is added to.
        samples: of the generation.
        human: held-out texts; as many of them as there are samples are looked at.
        offered: the documents that the generation was offered for its training.
    """
    beside = list(islice(human, len(samples)))
    documents = [words(text) for text in chain(samples, beside)]
    found = find_copies(documents, map(words, offered))
    of_samples = np.arange(len(documents)) < len(samples)
    measured = found.tokens_S > 0
    measures.share("quality/copied_fraction", found.copied_S[of_samples & measured])
    measures.share("quality/copied_fraction_human", found.copied_S[~of_samples & measured])
    measures.mean("quality/longest_copy_words", found.longest_S[of_samples & measured])
    measures.mean("quality/longest_copy_words_human", found.longest_S[~of_samples & measured])
