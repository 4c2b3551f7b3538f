"""A recorded product as a function of the vector and of what is kept."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx, nn

from collapse.probes.curvature.compiled_merging import merge_sums, write_in_place
from collapse.probes.curvature.compiled_recording import CannotSplit, Recording
from collapse.probes.curvature.graph import MaybeTensors, ProductGraph, Tensors

Program = Callable[..., Sequence[torch.Tensor | None]]

AGREEMENT = 1e-5
"""Largest relative difference of a product that was written down from the one it was made of."""


class SplitGraph(ProductGraph):
    """A microbatch's products by what depends on the vector alone; the rest is kept.

    Attributes:
        kept: what is kept, some of it the model's own weights.
    """

    def __init__(self, program: Program, kept: Tensors) -> None:
        self.program = program
        self.kept = kept

    def product(self, vectors: Tensors, *, again: bool = True) -> MaybeTensors:  # noqa: ARG002
        """The product with a vector; what is kept is kept whatever `again` says."""
        with torch.no_grad():
            return self.program(*(vector.contiguous() for vector in vectors), *self.kept)


class Programs:
    """Programs of recordings: those that are alike, of microbatches of one shape, share one.

    Attributes:
        compiled: torch's compiler writes kernels for them.
        seconds: spent on making them.
    """

    def __init__(self, *, compiled: bool) -> None:
        self.compiled = compiled
        self.seconds = 0.0
        self._known: dict[str, Program] = {}

    def __len__(self) -> int:
        """How many were made."""
        return len(self._known)

    def of(self, recording: Recording, vectors: Tensors) -> Program:
        """The program of a recording; its graph is used up.

        Args:
            recording: one product.
            vectors: parts of any vector.

        Raises:
            CannotSplit: the compiler cannot be had, or gave up.
        """
        signature = _signature(recording.graph)
        if signature not in self._known:
            started = time.perf_counter()
            self._known[signature] = self._make(recording, vectors)
            self.seconds += time.perf_counter() - started
        return self._known[signature]

    def _make(self, recording: Recording, vectors: Tensors) -> Program:
        merge_sums(recording.graph)
        if self.compiled:
            return _compile(recording, vectors)
        write_in_place(recording.graph)
        return fx.GraphModule(nn.Module(), recording.graph).forward


def checked(split: SplitGraph, vectors: Tensors, expected: MaybeTensors) -> SplitGraph:
    """The split graph, once it has given the product it was made of with its sign changed.

    For the negative of the vector: what was taken for constant and is not would keep its sign.

    Args:
        split: of one microbatch.
        vectors: parts of the vector that it was recorded with.
        expected: the product with that vector.

    Raises:
        CannotSplit: it gives another one, or fails.
    """
    try:
        found = split.product([-vector for vector in vectors])
    except RuntimeError as error:
        raise CannotSplit(f"the recorded product fails: {_one_line(error)}") from error
    pairs = [(f, e) for f, e in zip(found, expected, strict=True) if e is not None]
    difference = torch.stack([(f + e).norm().double() for f, e in pairs]).norm()
    scale = torch.stack([e.norm().double() for _, e in pairs]).norm()
    if not difference <= AGREEMENT * scale:
        raise CannotSplit(
            f"the product differs by {float(difference / scale):.1e} of itself from what it was "
            "made of"
        )
    return split


def _signature(graph: fx.Graph) -> str:
    """The same for recordings of the same operations on tensors that lie alike."""
    inputs = [node.meta["layout"] for node in graph.find_nodes(op="placeholder")]
    return f"{graph.python_code('self').src}{inputs}"


def _compile(recording: Recording, vectors: Tensors) -> Program:
    from torch import _inductor  # takes a second to import

    (output,) = recording.graph.find_nodes(op="output")
    places = [place for place, node in enumerate(output.args[0]) if node is not None]
    absent = len(output.args[0])
    output.args = ([output.args[0][place] for place in places],)
    module = fx.GraphModule(nn.Module(), recording.graph)
    examples = [*(vector.detach().contiguous() for vector in vectors), *recording.kept]
    try:
        with torch.no_grad():
            run: Any = _inductor.compile(module, examples)
            run(*examples)  # the last of it is compiled now
    except Exception as error:  # a compiler fails in ways of its own, and none may stop a product
        raise CannotSplit(f"not compiled: {_one_line(error)}") from error

    def program(*inputs: torch.Tensor) -> MaybeTensors:
        parts: list[torch.Tensor | None] = [None] * absent
        for place, part in zip(places, run(*inputs), strict=True):
            parts[place] = part
        return parts

    return program


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
