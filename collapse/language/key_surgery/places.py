"""Where keys can be edited, and what an edit at each place is."""

from torch import Tensor, nn

from collapse.errors import BadModel, BadParameter
from collapse.language.attention_layers import LayerAttention, attention_layers, model_type

SITE_OF = {"weights": "projection", "rescaled": "projection", "after_norm": "post_norm"}
"""Where to take the keys (DESIGN 4) whose directions an edit at each place is to prune."""
PLACES = tuple(SITE_OF)


def key_gains(model: nn.Module) -> list[Tensor]:
    """A copy of the gains ``(E,)`` of each layer's norm on keys, shared by its heads.

    Raises:
        BadModel: the model is not known here, or has no gains to prune by.
    """
    norms = [layer.key_norm for layer in attention_layers(model)]
    if None in norms:
        raise BadModel(
            f"strategy 'gamma': a model of type {model_type(model)!r} without a norm on its keys "
            "has no gains to prune by: take svd or random"
        )
    return [norm.weight.detach().clone() for norm in norms]


def natural_place(model: nn.Module) -> str:
    """``after_norm`` where the keys are normed, ``weights`` where they are not.

    Raises:
        BadModel: a type of model that is not known here.
    """
    return "after_norm" if attention_layers(model)[0].key_norm is not None else "weights"


def why_there(where: str, layer: LayerAttention) -> str:
    """What an edit at this place is, in one line for the record.

    Args:
        where: one of `PLACES`.
        layer: any of the model's.

    Raises:
        BadParameter: an unknown place, or one after a norm where there is none.
    """
    if where not in PLACES:
        raise BadParameter(f"where is {where!r}; known are {', '.join(PLACES)}")
    if layer.key_norm is None:
        if where != "weights":
            raise BadParameter(
                f"where is {where!r}, but this model does not norm its keys: take 'weights'"
            )
        return "through W_k; the keys are not normed afterwards"
    return {
        "weights": "through W_k; the norm on the keys re-inflates what is left",
        "rescaled": "through W_k, with the norm dividing by the size of the whole key",
        "after_norm": "after the norm on the keys, which would re-inflate what is left",
    }[where]
