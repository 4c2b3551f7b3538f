"""A product written down while it is made: what of it has to be done again for another vector.

A product is linear in its vector, and much of it does not depend on it. It is made once under a
dispatch mode, which sees each of torch's operations below autograd: those that the vector reaches
are written into a graph, the others have done their work once and for all, and of their results
those are kept that the graph asks for. Nothing is traced with stand-ins and nothing of the model
is called anew, so that whatever autograd can differentiate twice can be written down.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import getitem
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from collapse.probes.curvature.graph import MaybeTensors, Tensors

_aten = torch.ops.aten

_ONLY_SHAPES = {_aten.is_same_size.default, _aten._has_same_storage_numel.default}
"""Operations that give no tensor and look at no value."""

_GATES = {_aten.gelu_backward.default, _aten.silu_backward.default}
"""Operations (slope, inner) that are a product of the slope with a costly function of the inner."""


class CannotSplit(Exception):
    """Why a product cannot be written down: it is then to be made as before."""


@dataclass(frozen=True)
class Layout:
    """Where the entries of a tensor lie."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: torch.Tensor) -> "Layout":
        """That of a tensor."""
        return cls(tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype)

    def stand_in(self) -> torch.Tensor:
        """A tensor without memory that lies so."""
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device="meta")


@dataclass(frozen=True)
class Recording:
    """A product as operations.

    Attributes:
        graph: takes the vector's parts, then what is kept, and gives the product's parts. Each
            node's ``meta`` has its ``layout``, and under ``memory`` the node whose memory it shows:
            itself, unless it is a view or was written in place.
        kept: what does not depend on the vector.
        parts: the product with the vector it was recorded with; None where it is zero.
    """

    graph: fx.Graph
    kept: tuple[torch.Tensor, ...]
    parts: MaybeTensors


def record(product: Callable[[Tensors], MaybeTensors], vectors: Tensors) -> Recording:
    """Make a product, and write down what of it depends on the vector.

    Args:
        product: linear in its vectors; the same operations whatever their values are.
        vectors: parts of a vector.

    Raises:
        CannotSplit: what is done depends on the values, or writes over what is to be kept.
    """
    recorder = _Recorder()
    # No other tensor is to be taken for the vector; and its parts are to lie as always.
    own = [vector.clone(memory_format=torch.contiguous_format) for vector in vectors]
    for place, vector in enumerate(own):
        recorder.name(vector, f"vector_{place}")
    # Backward passes of other devices would run in threads that the mode does not reach.
    with recorder, torch.autograd.set_multithreading_enabled(False):
        parts = product(own)
    return recorder.finish(parts)


class _Recorder(TorchDispatchMode):
    """Writes down each operation that depends on a vector."""

    def __init__(self) -> None:
        super().__init__()
        self._graph = fx.Graph()
        self._vectors: list[fx.Node] = []
        self._dependent = WeakTensorKeyDictionary()  # tensors that come from a vector: their nodes
        self._kept: dict[tuple[Any, ...], tuple[torch.Tensor, fx.Node]] = {}
        self._factors: dict[tuple[Any, ...], tuple[torch.Tensor, torch.Tensor]] = {}

    def name(self, vector: torch.Tensor, name: str) -> None:
        """Let operations on this tensor be written down."""
        node = self._graph.placeholder(name)
        self._describe(node, vector, memory=node)
        self._dependent[vector] = node
        self._vectors.append(node)

    def __torch_dispatch__(
        self, function: Any, _: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Do an operation, and write it down if it depends on a vector."""
        kwargs = kwargs or {}
        tensors = _tensors((args, kwargs))
        result = function(*args, **kwargs)
        if function not in _ONLY_SHAPES and any(t in self._dependent for t in tensors):
            self._refuse(function, args, kwargs, result)
            if function in _GATES and args[1] not in self._dependent:
                factor = self._factor(function, args, kwargs)
                self._write(_aten.mul.Tensor, (args[0], factor), {}, result, [args[0]])
            else:
                self._write(function, args, kwargs, result, tensors)
        return result

    def finish(self, parts: MaybeTensors) -> Recording:
        """The recording, when the product is made."""
        for place, (tensor, node) in self._kept.items():
            if place != _place(tensor):
                raise CannotSplit(f"what was to be kept is written over ({node.name})")
        self._graph.output([None if part is None else self._node(part) for part in parts])
        self._graph.eliminate_dead_code()
        kept, last = [], self._vectors[-1]
        for tensor, node in self._kept.values():
            if node.users:
                last.append(node)  # behind the vectors, in the order of what is kept
                last = node
                kept.append(tensor.detach())
            else:
                self._graph.erase_node(node)
        return Recording(self._graph, tuple(kept), parts)

    def _refuse(self, function: Any, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        """Stop where another vector would need other operations."""
        tags = function.tags
        if torch.Tag.nondeterministic_seeded in tags or torch.Tag.dynamic_output_shape in tags:
            raise CannotSplit(f"{function} gives another shape, or another result, each time")
        if not _tensors(result):
            raise CannotSplit(f"{function} looks at a value that depends on the vector")
        for place, argument in enumerate(function._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                written = args[place] if place < len(args) else kwargs.get(argument.name)
                if any(tensor not in self._dependent for tensor in _tensors(written)):
                    raise CannotSplit(f"{function} writes into what does not depend on the vector")

    def _write(
        self, function: Any, args: Any, kwargs: Any, result: Any, tensors: Sequence[torch.Tensor]
    ) -> None:
        args, kwargs = pytree.tree_map_only(torch.Tensor, self._node, (args, kwargs))
        node = self._graph.call_function(function, args, kwargs)
        memories = {t.untyped_storage()._cdata: self._node(t).meta["memory"] for t in tensors}
        if isinstance(result, torch.Tensor):
            self._follow(node, result, memories)
            return
        node.meta["memory"] = node  # a list, which has none; what is in it has
        for place, one in enumerate(result):
            if isinstance(one, torch.Tensor):
                self._follow(self._graph.call_function(getitem, (node, place)), one, memories)

    def _follow(self, node: fx.Node, tensor: torch.Tensor, memories: dict[int, fx.Node]) -> None:
        """From here on a tensor is a node's value."""
        memory = memories.get(tensor.untyped_storage()._cdata, node)
        self._describe(node, tensor, memory)
        self._dependent[tensor] = node

    def _node(self, tensor: torch.Tensor) -> fx.Node:
        """Of a tensor: one that does not come from a vector is kept."""
        if tensor in self._dependent:
            return self._dependent[tensor]
        place = _place(tensor)
        if place not in self._kept:
            node = self._graph.placeholder(f"kept_{len(self._kept)}")
            self._describe(node, tensor, memory=node)
            self._kept[place] = tensor, node
        return self._kept[place][1]

    def _describe(self, node: fx.Node, tensor: torch.Tensor, memory: fx.Node) -> None:
        node.meta.update(layout=Layout.of(tensor), memory=memory)

    def _factor(self, function: Any, args: Any, kwargs: Any) -> torch.Tensor:
        """What a gate multiplies its slope with: computed once."""
        slope, inner, *more = args
        key = function, _place(inner), *more, *kwargs.items()
        if key not in self._factors:
            # The inner tensor is held as well: while it lives no other one can take its place.
            self._factors[key] = inner, function(torch.ones_like(slope), inner, *more, **kwargs)
        return self._factors[key][1]


def _place(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What tells kept tensors apart: their memory and how often it was written, not the object."""
    where = tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor._version
    return *where, Layout.of(tensor)


def _tensors(arguments: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(arguments) if isinstance(leaf, torch.Tensor)]
