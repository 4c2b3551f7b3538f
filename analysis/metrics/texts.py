"""Metrics of what a model's text is like, any text, and of human text beside it."""

from typing import Any

from analysis.metrics.metric import SHARE, Metric

_OF_100: dict[str, Any] = {"unit": "of 100", "decimals": 1, "floor": 0.0, "ceiling": 100.0}


def _distinct(order: int) -> Metric:
    noun = "words" if order == 1 else f"{order}-word phrases"
    return Metric(
        f"quality/distinct_{order}",
        f"Share of distinct {noun}",
        floor=0.0,
        ceiling=1.0,
        reading="Lower is more repetitive.",
    )


def beside_human(name: str, label: str, reading: str, **more: Any) -> tuple[Metric, Metric]:
    """A metric, and the same of human text, which says what could be reached."""
    of_people = "The same of human text, to be read beside the model's."
    return (
        Metric(name, label, reading=reading, **more),
        Metric(f"{name}_human", f"{label}, by people", reading=of_people, **more),
    )


_WORDS: dict[str, Any] = {"unit": "words", "decimals": 1, "floor": 0.0}

TEXT_METRICS = (
    *(_distinct(order) for order in (1, 2, 3, 4)),
    Metric(
        "quality/vocabulary_diversity",
        "Vocabulary diversity",
        floor=0.0,
        reading="Different words over the square root of all words; lower is poorer.",
    ),
    Metric(
        "quality/self_bleu",
        "Self-BLEU",
        reading="Each text against all others; higher is more alike, and rises with their number.",
        **_OF_100,
    ),
    Metric(
        "quality/repetition_4gram",
        "Repeated 4-word phrases",
        "% of a text's",
        reading="Phrases that stood in the same text before; higher is more repetitive.",
        **SHARE,
    ),
    Metric(
        "quality/longest_run",
        "Longest run of one word",
        reading="How often a word stands in a row at most, mean over texts; 1 is no repetition.",
        **_WORDS,
    ),
    Metric("quality/words_per_text", "Length of a text", reading="Mean over texts.", **_WORDS),
    Metric("quality/words_per_text_sd", "Length of a text, spread over texts", **_WORDS),
    Metric("quality/words_per_text_q25", "Length of a text, lower quartile", **_WORDS),
    Metric("quality/words_per_text_median", "Length of a text, median", **_WORDS),
    Metric("quality/words_per_text_q75", "Length of a text, upper quartile", **_WORDS),
    *beside_human(
        "quality/bleu",
        "BLEU of a continuation",
        "Against the text's own end; a good end may share nothing with it, so see people's score.",
        **_OF_100,
    ),
    *beside_human(
        "quality/rouge_l",
        "ROUGE-L of a continuation",
        "Words in the order of the text's own end; see people's score beside it.",
        floor=0.0,
        ceiling=1.0,
    ),
    *beside_human(
        "quality/coherence",
        "Coherence of neighbouring sentences",
        "Mean cosine of their features by the judge; too high is repetition.",
        ceiling=1.0,
    ),
    *beside_human(
        "quality/coherence_shuffled",
        "Coherence of sentences of different texts",
        "What any two sentences share: the floor of coherence.",
        ceiling=1.0,
    ),
    *beside_human(
        "quality/coherence_excess",
        "Coherence beyond that of different texts",
        "0 where neighbours have no more in common than strangers.",
    ),
    *beside_human(
        "quality/mauve",
        "MAUVE",
        "1 where samples and human text are alike to the judge; lower is further apart.",
        floor=0.0,
        ceiling=1.0,
    ),
    *beside_human(
        "quality/copied_fraction",
        "Copied from the training text",
        "Half of a text in one piece, of 20 words or more; held-out human texts have some, too.",
        unit="% of texts",
        **SHARE,
    ),
    *beside_human(
        "quality/longest_copy_words",
        "Longest piece in the training text",
        "Words in a row, mean over texts.",
        **_WORDS,
    ),
)
