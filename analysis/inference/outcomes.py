"""Which metrics are compared: preset, so that a family of tests does not grow with the results."""

from analysis.study import StudyRecord, metric_values

# Each line is one quantity under the names it may have; the first one measured stands for it.
_TRADITIONAL = (
    ("truth/kl_nats_per_token", "truth/kl_nats_per_story"),
    ("truth/valid_fraction", "quality/parse_rate"),
    ("truth/tail_coverage",),
    ("human/nll_nats", "human/bits_per_byte"),
    ("human/entropy_nats",),
    ("quality/distinct_2",),
    ("quality/vocabulary_diversity",),
    ("quality/self_bleu",),
    ("quality/repetition_4gram",),
    ("quality/bleu",),
    ("quality/rouge_l",),
    ("quality/coherence",),
    ("quality/mauve",),
)
_OF_SPECTRUM = (
    *("spectral_ratio", "range", "variance", "bulk_center", "outlier_separation"),
    *("lambda_max", "lambda_min", "negative_share"),
)
_SPECTRAL = (
    *((f"hessian/human/{name}", f"hessian/own/{name}") for name in _OF_SPECTRUM),
    ("svd/K/participation_ratio",),
    ("svd/Q/participation_ratio",),
)
_LEADING = (
    *("truth/kl_nats_per_token", "truth/kl_nats_per_story", "truth/valid_fraction"),
    *("human/nll_nats", "quality/distinct_2", "quality/mauve"),
    *("hessian/human/spectral_ratio", "hessian/own/spectral_ratio"),
    *("hessian/human/lambda_max", "hessian/own/lambda_max", "svd/K/participation_ratio"),
)


def traditional_metrics(record: StudyRecord) -> tuple[str, ...]:
    """The measured metrics of what a model says (R2.3)."""
    return _measured(record, _TRADITIONAL)


def spectral_metrics(record: StudyRecord) -> tuple[str, ...]:
    """The measured metrics of what a model is like inside (R2.4, and ranks)."""
    return _measured(record, _SPECTRAL)


def leading_metrics(record: StudyRecord) -> tuple[str, ...]:
    """A few of both: those that are drawn, and whose slopes are fitted."""
    every = (*traditional_metrics(record), *spectral_metrics(record))
    return tuple(metric for metric in every if metric in _LEADING)


def _measured(record: StudyRecord, quantities: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    found = []
    for names in quantities:
        found += [metric for metric in names if len(metric_values(record, metric))][:1]
    return tuple(found)
