"""How a generation came away from another one: gradients, weights, activations, the loss around it.

gradient     norms of the loss's gradient, and angles between those of several models
drift        how far the weights of each layer moved
activations  rank and size of each layer's activations, and their likeness to another model's
landscape    the loss on a plane through the weights, spanned by two random directions
"""

from collapse.probes.mechanism.activations import (
    LayerActivations,
    activation_norm,
    activation_rank,
    activation_similarity,
    layer_activations,
)
from collapse.probes.mechanism.drift import ALL, relative_drift
from collapse.probes.mechanism.gradient import GradientProducts, gradient_products
from collapse.probes.mechanism.landscape import (
    LossSlice,
    filter_directions,
    loss_slice,
    slice_offsets,
)

__all__ = [
    "ALL",
    "GradientProducts",
    "LayerActivations",
    "LossSlice",
    "activation_norm",
    "activation_rank",
    "activation_similarity",
    "filter_directions",
    "gradient_products",
    "layer_activations",
    "loss_slice",
    "relative_drift",
    "slice_offsets",
]
