"""All metrics that have words of their own; any other goes by its name."""

from analysis.metrics.code import CODE_METRICS
from analysis.metrics.mechanism import MECHANISM_METRICS, layer_metric
from analysis.metrics.metric import Metric
from analysis.metrics.models import MODEL_METRICS
from analysis.metrics.origins import ORIGIN_METRICS
from analysis.metrics.spectral import TEXTS, spectral_metrics
from analysis.metrics.tasks import TASK_METRICS
from analysis.metrics.texts import TEXT_METRICS

ERROR_SUFFIXES = ("_data_se", "_se", "_stderr", "_bound")
"""What a metric's name ends in that says how well another one is known."""

_CATALOGUE = {
    metric.name: metric
    for metrics in (
        MODEL_METRICS,
        ORIGIN_METRICS,
        TEXT_METRICS,
        CODE_METRICS,
        MECHANISM_METRICS,
        TASK_METRICS,
        *(spectral_metrics(text) for text in TEXTS),
    )
    for metric in metrics
}


def is_error(name: str) -> bool:
    """Whether a metric says how well another one is known, and nothing by itself."""
    return name.endswith(ERROR_SUFFIXES)


def metric_info(name: str) -> Metric:
    """How to speak of the metric; one that is not in the catalogue goes by its own name."""
    known = _CATALOGUE.get(name) or layer_metric(name)
    return known or Metric(name, name, _unit_in_name(name), decimals=None)


def _unit_in_name(name: str) -> str:
    """The unit that the last part of a metric's name gives away."""
    if name.endswith(("_nats", "_nats_se")):
        return "nats"
    return "seconds" if name.endswith("_seconds") else ""
