"""Trajectories of drift, likeness, gradients, ranks and the loss around the weights."""

from collections.abc import Sequence

from analysis.figures import Plate, panels_plate
from analysis.mechanism.findings import GRADIENTS, LANDSCAPE, WHOLE, MechanismFindings, has_values
from analysis.mechanism.words import (
    drift_title,
    gradient_title,
    landscape_title,
    rank_title,
    similarity_title,
)

MOST_LAYERS = 4


def mechanism_plates(found: MechanismFindings) -> tuple[Plate, ...]:
    """All figures that there are data for."""
    wanted = (
        ("mechanism_drift", drift_title, (WHOLE, "drift_from_previous/all")),
        ("mechanism_similarity", similarity_title, spread_out(found.similar_layers)),
        ("mechanism_gradient", gradient_title, GRADIENTS[:4]),
        ("mechanism_activations", rank_title, spread_out(found.rank_layers)),
        ("mechanism_landscape", landscape_title, LANDSCAPE),
    )
    plates = []
    for name, title, metrics in wanted:
        if measured := has_values(found.record, metrics):
            plates.append(panels_plate(found.record, name, title(found), measured))
    return tuple(plates)


def spread_out(layers: Sequence[str]) -> tuple[str, ...]:
    """At most four of them, the first and the last among them."""
    if len(layers) <= MOST_LAYERS:
        return tuple(layers)
    step = (len(layers) - 1) / (MOST_LAYERS - 1)
    return tuple(layers[round(place * step)] for place in range(MOST_LAYERS))
