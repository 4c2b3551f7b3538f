"""What samples are like by themselves, each and as a set."""

from collections.abc import Sequence
from dataclasses import asdict

from collapse.numerics.diversity import TextSet, lengths, words
from collapse.numerics.repetition import longest_run, repeated_ngram_shares
from collapse.stages.quality.measures import Measures


def measure_said(measures: Measures, samples: Sequence[str]) -> None:
    """Variety of the set, repetition within a text, lengths in words."""
    documents = [words(text) for text in samples]
    texts = TextSet.of(documents)
    measures.of_set(
        lambda chosen: {f"quality/{k}": v for k, v in asdict(texts.diversity(chosen)).items()},
        len(samples),
    )
    measures.mean("quality/repetition_4gram", repeated_ngram_shares(documents))
    measures.mean("quality/longest_run", [longest_run(tokens) for tokens in documents if tokens])
    measures.mean("quality/words_per_text", [len(tokens) for tokens in documents])
    if spread := lengths(documents):
        measures.add(
            {
                "quality/words_per_text_sd": spread.standard_deviation,
                "quality/words_per_text_q25": spread.lower_quartile,
                "quality/words_per_text_median": spread.median,
                "quality/words_per_text_q75": spread.upper_quartile,
            }
        )
