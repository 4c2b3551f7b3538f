"""The gains of QK-norm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from collapse.language.attention_layers import attention_layers

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class QKGains:
    """QK-norm's gains in one layer, shared by its heads; float64, one a coordinate of a head.

    Attributes:
        layer: its number, from 0.
        query_E: gains of the queries.
        key_E: gains of the keys.
    """

    layer: int
    query_E: Floats
    key_E: Floats

    @property
    def product(self) -> Floats:
        """Query gain times key gain, (E,): what a coordinate counts in the scores.

        Unlike either factor it does not depend on the gauge: scaling the key gains of a pair that
        rotates together by c and its query gains by 1 / c changes nothing that the model does.
        """
        return self.query_E * self.key_E


def qk_gains(model: nn.Module) -> tuple[QKGains, ...] | None:
    """The gains of every layer, first to last; None where the model has no QK-norm.

    Raises:
        BadModel: an unknown kind of model.
    """
    found = []
    for layer in attention_layers(model):
        if layer.query_norm is None or layer.key_norm is None:
            return None
        gains = (_floats(norm.weight) for norm in (layer.query_norm, layer.key_norm))
        found.append(QKGains(layer.layer, *gains))
    return tuple(found)


def _floats(weight: Tensor) -> Floats:
    return weight.detach().double().cpu().numpy().copy()
