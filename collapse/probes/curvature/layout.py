"""How a model's parameters lie in one flat vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import nn

from collapse.errors import BadModel, BadParameter


@dataclass(frozen=True)
class ParameterLayout:
    """Trainable parameters in the order of `named_parameters`, where a tied weight stands once.

    Attributes:
        names: of the parameters.
        shapes: of the parameters.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]

    @classmethod
    def of(cls, model: nn.Module, names: Sequence[str] | None = None) -> "ParameterLayout":
        """The layout of a model, or of some of its parameters, in the model's order.

        Args:
            model: any module.
            names: of the parameters wanted; all trainable ones where None.

        Raises:
            BadModel: nothing is trainable.
            BadParameter: no name, or one that is no trainable parameter of the model.
        """
        trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        if not trainable:
            raise BadModel("the model has no trainable weights: all have requires_grad=False")
        if names is not None and not names:
            raise BadParameter("no names of parameters: give at least 1, or None for all")
        for name in names or ():
            if name not in trainable:
                raise BadParameter(_unknown(name, model))
        chosen = {n: p for n, p in trainable.items() if names is None or n in set(names)}
        return cls(tuple(chosen), tuple(p.shape for p in chosen.values()))

    @property
    def dimension(self) -> int:
        """Entries of a vector, P."""
        return sum(shape.numel() for shape in self.shapes)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each parameter lies."""
        ends = accumulate((shape.numel() for shape in self.shapes), initial=0)
        return tuple(slice(begin, end) for begin, end in pairwise(ends))

    def slice_of(self, name: str) -> slice:
        """Where one parameter lies.

        Raises:
            BadParameter: the layout has no such name.
        """
        if name not in self.names:
            raise BadParameter(f"{name!r} is none of the {len(self.names)} parameters measured")
        return self.slices[self.names.index(name)]

    def parameters(self, model: nn.Module) -> tuple[nn.Parameter, ...]:
        """The parameters themselves."""
        found = dict(model.named_parameters())
        return tuple(found[name] for name in self.names)

    def flatten(self, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
        """Tensors in the shapes of the parameters as a vector (P,)."""
        return torch.cat([tensor.reshape(-1) for tensor in tensors])

    def unflatten(self, vector_P: torch.Tensor) -> list[torch.Tensor]:
        """Views of a vector in the shapes of the parameters."""
        parts = vector_P.split([shape.numel() for shape in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]


def _unknown(name: str, model: nn.Module) -> str:
    """Why a name cannot be had: it is frozen, it is a second name, or there is none such."""
    named = dict(model.named_parameters(remove_duplicate=False))
    if name not in named:
        return f"{name!r} is no parameter of the model"
    if not named[name].requires_grad:
        return f"{name!r} is not trainable: it has requires_grad=False"
    first = next(other for other, p in model.named_parameters() if p is named[name])
    return f"{name!r} is another name of the tied weight {first!r}: use that"
