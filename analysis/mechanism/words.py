"""What a study says of its mechanism, in sentences made from its numbers, and what it does not."""

from collections.abc import Callable

import pandas as pd

from analysis.mechanism.findings import LANDSCAPE, WHOLE, MechanismFindings
from analysis.metrics import metric_info
from analysis.study import metric_values
from collapse.figures.mechanism import layer_in_words
from collapse.figures.view import percent, written

_SIGNAL = "gradient/signal_share"
_LITTLE_SIGNAL = 0.1


def drift_title(found: MechanismFindings) -> str:
    """How far the weights moved, without a full stop."""
    return f"{_by(found)} weights move {_told(found, WHOLE, percent)} from generation 0"


def similarity_title(found: MechanismFindings) -> str:
    """What is left of the first activations where least is, without a full stop."""
    metric = found.least_similar()
    if metric is None:
        return "Likeness of activations to generation 0's was not measured"
    layer = layer_in_words(metric.partition("/")[2])
    return f"{_by(found)} the CKA of {layer} with generation 0's is {_told(found, metric, _plain)}"


def gradient_title(found: MechanismFindings) -> str:
    """How far the gradient turned, without a full stop."""
    told = _told(found, "gradient/cosine_to_g0", _two)
    return f"{_by(found)} the cosine of the gradient to generation 0's is {told}"


def rank_title(found: MechanismFindings) -> str:
    """How many directions the last layer's activations use, without a full stop."""
    metric = found.rank_layers[-1]
    layer = layer_in_words(metric.split("/")[1])
    starts = metric_values(found.record, metric)
    start = starts[starts.index.get_level_values("generation") == 0].mean()
    told = f"Directions of the activations of {layer}: {_told(found, metric, written)}"
    # A probe of one generation alone knows nothing of the start.
    return told if pd.isna(start) else f"{told}, {written(float(start))} at the start"


def landscape_title(found: MechanismFindings) -> str:
    """How steep the loss is around the weights, without a full stop."""
    told = _told(found, LANDSCAPE[0], written)
    return f"{_by(found)} the loss rises {told} nats half-way to the edge of its slice"


def sentences(found: MechanismFindings) -> tuple[str, ...]:
    """The findings, with differences from the control and their intervals."""
    cosines = "gradient/cosine_to_g0"
    signal = f"{_by(found)} the signal in the gradient is {_told(found, _SIGNAL, _not_below_0)}"
    told = [(drift_title(found), WHOLE), (similarity_title(found), found.least_similar())]
    told += [(gradient_title(found), cosines)] if _is_measured(found, cosines) else []
    told += [(signal, _SIGNAL)] if _is_measured(found, _SIGNAL) else []
    told += [(landscape_title(found), LANDSCAPE[0])] if _is_measured(found, LANDSCAPE[0]) else []
    return tuple(f"{title}{_beside(found, metric)}." for title, metric in told)


def cautions(found: MechanismFindings) -> tuple[str, ...]:
    """What these numbers do not say."""
    candidates = (
        "A model that trains on drifts, on any text: what counts is the difference from the "
        "control, and no drift is a loss of quality by itself.",
        _noise(found),
        _restarts(found),
        "CKA is decided by the few directions of largest variance, and tokens of one text are not "
        "independent samples.",
        "A slice of the loss shows two random directions out of all; the Hessian's ends show what "
        "it misses."
        if _is_measured(found, LANDSCAPE[0])
        else "",
    )
    return tuple(caution for caution in candidates if caution)


def _by(found: MechanismFindings) -> str:
    return f"By generation {found.generation}"


def _told(found: MechanismFindings, metric: str, write: Callable[[float], str]) -> str:
    """The last values of the arm furthest from the control and of the control."""
    ends = [found.end(metric, arm) for arm in found.told_arms(metric)]
    return " and ".join(f"{write(one.mean)} under {one.arm}" for one in ends if one is not None)


def _is_measured(found: MechanismFindings, metric: str) -> bool:
    return any(one.metric == metric for one in found.ends)


def _beside(found: MechanismFindings, metric: str | None) -> str:
    """The paired difference of the arm that is told from the control, in brackets."""
    arms = found.told_arms(metric) if metric else ()
    one = found.end(metric, arms[0]) if metric and arms else None
    if metric is None or one is None or one.difference is None or one.difference.mean is None:
        return ""
    info, ends = metric_info(metric), one.difference.interval
    between = (
        f", 95 % {info.write_bare(ends[0], '+')} to {info.write_bare(ends[1], '+')}" if ends else ""
    )
    difference = info.write_difference(one.difference.mean)
    return f" (difference {difference}{between}, n = {one.difference.n_seeds})"


def _noise(found: MechanismFindings) -> str:
    """Says where gradients are mostly noise of the batch."""
    values = metric_values(found.record, _SIGNAL)
    first = values[values.index.get_level_values("generation") == 0]
    if first.empty or first.mean() >= _LITTLE_SIGNAL:
        return ""
    return (
        f"At generation 0 the gradient is noise of the batch: {_not_below_0(float(first.mean()))} "
        "of its squared norm would be there on other tokens of the same text, too. A cosine near 1 "
        "then says that two models react alike to the same tokens, and not that they would be "
        "trained in the same direction; a signal that grows says that the model left the optimum."
    )


def _restarts(found: MechanismFindings) -> str:
    if found.record.settings.get("start") != "fresh":
        return ""
    return (
        "Generations start from new weights here: their drift from another model is that between "
        "two initialisations, and says nothing."
    )


def _not_below_0(share: float) -> str:
    """An unbiased estimate of a share may lie below 0."""
    return percent(max(share, 0.0))


def _plain(value: float) -> str:
    return metric_info("cka/all").write(value)


def _two(value: float) -> str:
    return metric_info("gradient/cosine_to_g0").write(value)[:-1]
