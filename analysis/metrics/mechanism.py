"""Metrics of how a generation came away from others: gradients, weights, activations (R2.8).

Layers go by the names of a model's own parts, so that those metrics are known by a pattern.
"""

from typing import Any

from analysis.metrics.metric import Metric
from collapse.figures.mechanism import layer_in_words

_LENGTH: dict[str, Any] = {"is_share": True, "floor": 0.0, "unit": "% of their length"}


def _gradient_metrics(prefix: str, text: str) -> tuple[Metric, ...]:
    return (
        Metric(
            f"{prefix}/norm",
            f"Norm of the gradient, {text} text",
            "nats per unit",
            floor=0.0,
            reading="On few tokens most of it is noise of the batch; see the signal.",
        ),
        Metric(
            f"{prefix}/signal_share",
            f"Signal in the gradient, {text} text",
            "% of norm²",
            reading="What other tokens of the same text would give, too; about 0 at an optimum.",
            is_share=True,
        ),
        *(
            Metric(
                f"{prefix}/cosine_to_{name}",
                f"Cosine to {whose} gradient, {text} text",
                ceiling=1.0,
                reading="Both gradients on the same tokens, noise included.",
            )
            for name, whose in (("g0", "generation 0's"), ("previous", "the parent's"))
        ),
    )


MECHANISM_METRICS = (
    *_gradient_metrics("gradient", "human"),
    *_gradient_metrics("gradient/own", "own"),
    *(
        Metric(
            f"landscape/{name}_nats",
            f"Rise of the loss at {where} of the slice",
            "nats a token",
            decimals=3,
            change="ratio",
            reading="Mean around a circle in a plane of two random directions, scaled to "
            "generation 0's filters.",
        )
        for name, where in (("rise", "the edge"), ("rise_half", "half the width"))
    ),
)


def layer_metric(name: str) -> Metric | None:
    """A metric of one layer; None where the name is not of that kind."""
    match name.split("/"):
        case ["drift", layer]:
            label = f"Drift from generation 0, {layer_in_words(layer)}"
            return Metric(name, label, reading="Control arms drift, too.", **_LENGTH)
        case ["drift_from_previous", layer]:
            label = f"Drift from the parent, {layer_in_words(layer)}"
            return Metric(name, label, reading="Control arms drift, too.", **_LENGTH)
        case ["cka", layer]:
            return Metric(
                name,
                f"CKA with generation 0, {layer_in_words(layer)}",
                ceiling=1.0,
                reading="1 is the same activations but for rotation and scale.",
            )
        case ["activation", layer, "participation_ratio"]:
            label = f"Directions of activations, {layer_in_words(layer)}"
            return Metric(name, label, "directions", decimals=1, floor=0.0)
        case ["activation", layer, "norm"]:
            label = f"Length of activations, {layer_in_words(layer)}"
            return Metric(name, label, decimals=2, floor=0.0)
    return None
