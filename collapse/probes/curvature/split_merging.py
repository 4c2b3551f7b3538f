"""A recorded product made to touch memory less: sums of matrix products, and results in place.

The derivative of a matrix product is a sum of two: `a @ W + x @ v`. Written as one product added to
the memory of the other, the sum costs nothing beside them. And an operation on single entries may
write over an operand that is not used any more. Both change nothing but rounding.
"""

from collections import defaultdict
from typing import Any

import torch
from torch import fx

from collapse.probes.curvature.split_recording import Layout

_aten = torch.ops.aten

_PRODUCTS = {_aten.mm.default: _aten.addmm_.default, _aten.bmm.default: _aten.baddbmm_.default}
_SWAPS = (_aten.t.default, _aten.transpose.int)  # that are their own inverses
_RESHAPES = (_aten.view.default, _aten._unsafe_view.default)

_IN_PLACE = {
    _aten.add.Tensor: _aten.add_.Tensor,
    _aten.mul.Tensor: _aten.mul_.Tensor,
    _aten.sub.Tensor: _aten.sub_.Tensor,
    _aten.div.Tensor: _aten.div_.Tensor,
    _aten.mul.Scalar: _aten.mul_.Scalar,
    _aten.div.Scalar: _aten.div_.Scalar,
    _aten.neg.default: _aten.neg_.default,
}
_COMMUTE = (_aten.add.Tensor, _aten.mul.Tensor)


def merge_sums(graph: fx.Graph) -> int:
    """Let sums with a matrix product be added by that product itself.

    Args:
        graph: of a recording; it is changed.

    Returns:
        How many sums are gone.
    """
    memory = _Memory(graph)
    sums = [node for node in graph.nodes if node.target is _aten.add.Tensor]
    merged = sum(_merge(memory, node) for node in sums)
    graph.eliminate_dead_code()
    return merged


def write_in_place(graph: fx.Graph) -> int:
    """Let operations on single entries write over what nobody needs any more.

    Args:
        graph: of a recording; it is changed.

    Returns:
        How many results have no memory of their own any more.
    """
    memory = _Memory(graph)
    nodes = [node for node in graph.nodes if node.target in _IN_PLACE]
    return sum(_overwrite(memory, node) for node in nodes)


class _Memory:
    """When the memory behind each node of a graph is read and written for the last time."""

    def __init__(self, graph: fx.Graph) -> None:
        self._graph = graph
        self.position = {node: place for place, node in enumerate(graph.nodes)}
        self._shown_by: dict[fx.Node, list[fx.Node]] = defaultdict(list)
        self._last_use: dict[fx.Node, int] = {}
        self._last_write: dict[fx.Node, int] = {}
        for node, place in self.position.items():
            for operand in node.all_input_nodes:
                self.use(operand, place)
            if node.op != "output":
                self._shown_by[node.meta["memory"]].append(node)
            if _writes(node):
                self._last_write[node.meta["memory"]] = place

    def use(self, node: fx.Node, place: int) -> None:
        """A node is read at this place, too."""
        memory = node.meta["memory"]
        self._last_use[memory] = max(place, self._last_use.get(memory, -1))

    def is_free(self, node: fx.Node, place: int) -> bool:
        """Whether a node may be written over there: its memory is our own and not read later."""
        memory = node.meta["memory"]
        return memory.op != "placeholder" and self._last_use[memory] <= place

    def is_untouched(self, node: fx.Node, since: int) -> bool:
        """Whether a node's memory has not been written since that place."""
        return self._last_write.get(node.meta["memory"], -1) <= since

    def insert(
        self, before: fx.Node, function: Any, args: tuple[Any, ...], shows: fx.Node
    ) -> fx.Node:
        """A new operation; its result lies in the memory of the node that it shows."""
        with self._graph.inserting_before(before):
            node = self._graph.call_function(function, args)
        node.meta["memory"] = shows.meta["memory"]
        self._shown_by[node.meta["memory"]].append(node)
        for operand in node.all_input_nodes:
            self.use(operand, self.position[before])
        return node

    def replace(self, old: fx.Node, new: fx.Node) -> None:
        """What a node was is written over another one, which its users use from there on."""
        old.replace_all_uses_with(new)
        place, memory, gone = self.position[old], new.meta["memory"], old.meta["memory"]
        for node in self._shown_by.pop(gone):
            node.meta["memory"] = memory
            self._shown_by[memory].append(node)
        self._last_use[memory] = max(self._last_use.pop(gone, place), self._last_use[memory])
        written = self._last_write.pop(gone, place), self._last_write.get(memory, place)
        self._last_write[memory] = max(place, *written)
        self._graph.erase_node(old)


def _writes(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _merge(memory: _Memory, node: fx.Node) -> bool:
    """Add a matrix product to the other term's memory, if that is free."""
    if node.kwargs or not all(isinstance(term, fx.Node) for term in node.args):
        return False
    first, second = node.args
    for target, term in ((first, second), (second, first)):
        product, views = _product_behind(term)
        if product is None or not _may_take(memory, node, target, term, product):
            continue
        shown = _shown_as(views, target.meta["layout"])
        if shown is None:
            continue
        _add_product(memory, node, target, product, *shown)
        memory.replace(node, target)
        return True
    return False


def _overwrite(memory: _Memory, node: fx.Node) -> bool:
    """Write a result over its first operand, or over its second where they may be swapped."""
    operands = node.args[:2] if node.target in _COMMUTE else node.args[:1]
    for target in operands:
        others = [operand for operand in node.args if operand is not target]
        if _may_be_written(memory, node, target, others):
            memory.insert(node, _IN_PLACE[node.target], (target, *others), shows=target)
            memory.replace(node, target)
            return True
    return False


def _product_behind(node: fx.Node) -> tuple[fx.Node | None, list[fx.Node]]:
    """The matrix product that a node is a view of, if nobody else uses it, and the views."""
    views = []
    while node.target in (*_SWAPS, *_RESHAPES) and len(node.users) == 1:
        views.append(node)
        node = node.args[0]
    return (node if node.target in _PRODUCTS and len(node.users) == 1 else None), views


def _may_take(
    memory: _Memory, node: fx.Node, target: fx.Node, term: fx.Node, product: fx.Node
) -> bool:
    """Whether a sum may be made in the target's memory, and the product as late as there."""
    return (
        target.meta["layout"] == node.meta["layout"]
        and term.meta["layout"].shape == node.meta["layout"].shape
        and memory.is_free(target, memory.position[node])
        and all(
            memory.is_untouched(factor, memory.position[product])
            and factor.meta["memory"] is not target.meta["memory"]
            for factor in product.args
        )
    )


def _may_be_written(memory: _Memory, node: fx.Node, target: Any, others: list[Any]) -> bool:
    """Whether a result may take the memory of an operand: it lies alike, and nobody else reads."""
    return (
        isinstance(target, fx.Node)
        and not node.kwargs
        and len(others) == len(node.args) - 1
        and target.meta["layout"] == node.meta["layout"]
        and memory.is_free(target, memory.position[node])
        and all(
            other.meta["memory"] is not target.meta["memory"]
            for other in others
            if isinstance(other, fx.Node)
        )
    )


def _shown_as(views: list[fx.Node], layout: Layout) -> tuple[list[tuple[Any, ...]], bool] | None:
    """How to look at a sum's memory so that it lies as the product whose views were added.

    Returns:
        Views to take of the sum, and whether it then lies the other way round, columns first; None
        where it cannot be looked at so.
    """
    steps, shown = [], layout.stand_in()
    for view in views:
        if view.target in _SWAPS:
            step = (view.target, *view.args[1:])
        else:
            step = (_aten.view.default, view.args[0].meta["layout"].shape)
        try:
            shown = step[0](shown, *step[1:])
        except RuntimeError:  # there is no such view of this memory
            return None
        steps.append(step)
    if shown.is_contiguous():
        return steps, False
    return (steps, True) if shown.transpose(-2, -1).is_contiguous() else None


def _add_product(
    memory: _Memory,
    node: fx.Node,
    target: fx.Node,
    product: fx.Node,
    views: list[tuple[Any, ...]],
    columns_first: bool,
) -> None:
    """Before a sum, add a product to the memory of the target."""
    shown, (left, right) = target, product.args
    for function, *more in views:
        shown = memory.insert(node, function, (shown, *more), shows=target)
    if columns_first:  # (A B)^T = B^T A^T, and a product is written fastest along its rows
        shown, right, left = (
            memory.insert(node, _aten.transpose.int, (one, -2, -1), shows=one)
            for one in (shown, left, right)
        )
    memory.insert(node, _PRODUCTS[product.target], (shown, left, right), shows=target)
