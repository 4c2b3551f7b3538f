"""A graph of products split: what depends on the vector is done anew, the rest is kept.

The graph of a product holds much that does not depend on the vector, and autograd walks it all the
same. Here a product is recorded once, as plain operations of torch; what does not depend on the
vector is kept, sums are merged into matrix products, and results are written over what is not used
any more. What is left is hardly more than the matrix products themselves, twice those of a
gradient, which is the floor: about a tenth less time.
"""

from collections.abc import Callable, Sequence

import torch
from torch import fx, nn

from collapse.probes.curvature.attention import exact_gradients
from collapse.probes.curvature.graph import MaybeTensors, ProductGraph, Tensors
from collapse.probes.curvature.split_merging import merge_sums, write_in_place
from collapse.probes.curvature.split_recording import CannotSplit, Recording, record

Program = Callable[..., Sequence[torch.Tensor | None]]

AGREEMENT = 1e-5
"""Largest relative difference of a product that was written down from the one it was made of."""


class SplitGraph(ProductGraph):
    """A microbatch's products by what depends on the vector alone; the rest is kept.

    Attributes:
        program: takes the vector's parts, then what is kept.
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
    """Programs of recordings: those that are alike, of microbatches of one shape, share one."""

    def __init__(self) -> None:
        self._known: dict[str, Program] = {}

    def of(self, recording: Recording) -> Program:
        """The program of a recording; its graph is used up."""
        signature = _signature(recording.graph)
        if signature not in self._known:
            merge_sums(recording.graph)
            write_in_place(recording.graph)
            self._known[signature] = fx.GraphModule(nn.Module(), recording.graph).forward
        return self._known[signature]


def split(
    graph: ProductGraph, vectors: Tensors, programs: Programs
) -> tuple[SplitGraph, MaybeTensors]:
    """A graph's products without what does not depend on the vector; the graph is not needed then.

    Args:
        graph: of one microbatch.
        vectors: parts of any vector but zero; the first one that a product is wanted of will do.
        programs: those of other microbatches, and where a new one goes.

    Returns:
        The split graph, and the product with these vectors, made by the graph itself.

    Raises:
        CannotSplit: a product cannot be recorded, or comes out different.
    """
    with exact_gradients(vectors[0].device):
        recording = record(lambda parts: graph.product(parts, again=True), vectors)
    made = SplitGraph(programs.of(recording), recording.kept)
    return checked(made, vectors, recording.parts), recording.parts


def checked(made: SplitGraph, vectors: Tensors, expected: MaybeTensors) -> SplitGraph:
    """The split graph, once it has given the product it was made of with its sign changed.

    For the negative of the vector: what was taken for constant and is not would keep its sign.

    Args:
        made: of one microbatch.
        vectors: parts of the vector that it was recorded with.
        expected: the product with that vector.

    Raises:
        CannotSplit: it gives another one, or fails.
    """
    try:
        found = made.product([-vector for vector in vectors])
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise CannotSplit(f"the recorded product fails: {reason}") from error
    pairs = [(f, e) for f, e in zip(found, expected, strict=True) if e is not None]
    difference = torch.stack([(f + e).norm().double() for f, e in pairs]).norm()
    scale = torch.stack([e.norm().double() for _, e in pairs]).norm()
    if not difference <= AGREEMENT * scale:
        raise CannotSplit(
            f"the product differs by {float(difference / scale):.1e} of itself from what it was "
            "made of"
        )
    return made


def _signature(graph: fx.Graph) -> str:
    """The same for recordings of the same operations on tensors that lie alike."""
    inputs = [node.meta["layout"] for node in graph.find_nodes(op="placeholder")]
    return f"{graph.python_code('self').src}{inputs}"
