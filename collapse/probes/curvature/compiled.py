"""Products for a fixed batch by what depends on the vector alone: about a tenth less time.

The graph of a product holds much that does not depend on the vector, and autograd walks it all the
same. Here a product is recorded once, as plain operations of torch; what does not depend on the
vector is kept, sums are merged into matrix products, and results are written over what is not used
any more. What is left is hardly more than the matrix products themselves, twice those of a
gradient, which is the floor. torch's compiler can take the rest, for a few percent more.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from collapse.errors import BadInput, BadParameter
from collapse.numerics.streams import torch_stream
from collapse.probes.curvature.attention import exact_gradients
from collapse.probes.curvature.batch import Microbatch, shares_of
from collapse.probes.curvature.compiled_program import Programs, SplitGraph, checked
from collapse.probes.curvature.compiled_recording import CannotSplit, record
from collapse.probes.curvature.graph import MaybeTensors, ProductGraph, Tensors, build
from collapse.probes.curvature.layout import ParameterLayout
from collapse.probes.curvature.processes import own_indices, summed

__all__ = ["CannotSplit", "CompiledProducts", "Programs", "open_compiled", "pays", "split"]

RECORDING_SAVES, RECORDING_SECONDS = 0.10, 1.0
"""Share of a product that recording saves, and what it takes beside one product to compare."""

COMPILING_SAVES, COMPILING_SECONDS = 0.03, 60.0
"""The same of compiling, beyond recording."""


class CompiledProducts:
    """Products with the Hessian, or Gauss-Newton matrix, of the mean loss over microbatches.

    They are those of `CurvatureOperator` but for rounding, and need more to begin with: each
    microbatch's graph is built, recorded and dropped, and its product is made once to compare.

    Attributes:
        layout: how parameters lie in a vector.
        shares: of each microbatch in the mean, by predicted tokens; they sum to 1.
        kept_bytes: what is kept for this process's microbatches, beyond the model's own weights.
        setup_seconds: what it took to come this far, `compile_seconds` among them.
        compile_seconds: of those, what making programs took.
        programs: how many there are: microbatches of one shape share one.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Sequence[Microbatch],
        layout: ParameterLayout,
        *,
        kind: Literal["hessian", "gauss_newton"] = "hessian",
        compiled: bool = False,
    ) -> None:
        """Record the product of each microbatch.

        Args:
            model: a causal language model, float32 or float64, on one device. Its weights must not
                change from now on.
            batches: what the loss is taken on.
            layout: the parameters to differentiate by.
            kind: which matrix.
            compiled: have torch's compiler write kernels, which takes a minute or more.

        Raises:
            CannotSplit: this cannot be had for this model: use `CurvatureOperator`.
        """
        started = time.perf_counter()
        self.layout, self.shares = layout, shares_of(batches)
        self._parameters = layout.parameters(model)
        self._versions = self._weight_versions()
        self._graphs: dict[int, SplitGraph] = {}
        self._open = True
        programs = Programs(compiled=compiled)
        trial = layout.unflatten(self._trial_vector())
        for index in own_indices(len(batches)):
            graph = build(kind, model, batches[index].to(self.device), self._parameters).graph
            self._graphs[index], _ = split(graph, trial, programs)
        self.programs, self.compile_seconds = len(programs), programs.seconds
        self.kept_bytes = _kept_bytes(self._graphs.values(), model)
        self.setup_seconds = time.perf_counter() - started

    @property
    def dimension(self) -> int:
        """Entries of a vector, P."""
        return self.layout.dimension

    @property
    def device(self) -> torch.device:
        """Where vectors live."""
        return self._parameters[0].device

    @property
    def dtype(self) -> torch.dtype:
        """Of vectors: that of the weights."""
        return self._parameters[0].dtype

    def __call__(self, vector_P: torch.Tensor) -> torch.Tensor:
        """The product with a vector, (P,).

        Raises:
            BadInput: the weights changed in the meantime, or what was kept is let go.
            BadParameter: a vector of another shape or type.
        """
        if not self._open:
            raise BadInput("these products are closed: make them within the with block")
        if vector_P.shape != (self.dimension,) or vector_P.dtype != self.dtype:
            raise BadParameter(
                f"a vector of {tuple(vector_P.shape)} {vector_P.dtype}: these products take "
                f"({self.dimension},) {self.dtype}"
            )
        if self._weight_versions() != self._versions:
            raise BadInput("the weights changed while products were made: record them anew")
        total_P = torch.zeros(self.dimension, dtype=self.dtype, device=self.device)
        places, vectors = self.layout.unflatten(total_P), self.layout.unflatten(vector_P.detach())
        for index, graph in self._graphs.items():
            for place, part in zip(places, graph.product(vectors), strict=True):
                if part is not None:
                    place.add_(part, alpha=self.shares[index])
        return summed(total_P)

    def close(self) -> None:
        """Let go of what is kept; no product can be made any more."""
        self._open = False
        self._graphs.clear()

    def _trial_vector(self) -> torch.Tensor:
        """What products are recorded with: any vector does, but zeros would prove nothing."""
        generator = torch_stream(0, "recorded product")
        vector_P = torch.randn(self.dimension, generator=generator, dtype=self.dtype)
        return vector_P.to(self.device)

    def _weight_versions(self) -> tuple[int, ...]:
        return tuple(parameter._version for parameter in self._parameters)


@contextmanager
def open_compiled(
    model: nn.Module,
    batches: Sequence[Microbatch],
    *,
    kind: Literal["hessian", "gauss_newton"] = "hessian",
    parameters: Sequence[str] | None = None,
    compiled: bool = False,
) -> Iterator[CompiledProducts]:
    """Recorded products for as long as the block lasts; what they keep is let go after it.

    Args:
        model: as in `CompiledProducts`.
        batches: as there.
        kind: as there.
        parameters: names of parameters, for their block of the matrix; all trainable where None.
        compiled: as there.

    Raises:
        CannotSplit: this cannot be had for this model: use `open_operator`.
    """
    layout = ParameterLayout.of(model, parameters)
    products = CompiledProducts(model, batches, layout, kind=kind, compiled=compiled)
    try:
        yield products
    finally:
        products.close()


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
        CannotSplit: a product cannot be recorded or compiled, or comes out different.
    """
    with exact_gradients(vectors[0].device):
        recording = record(lambda parts: graph.product(parts, again=True), vectors)
    made = SplitGraph(programs.of(recording, vectors), recording.kept)
    return checked(made, vectors, recording.parts), recording.parts


def pays(products: int, product_seconds: float, *, compiled: bool = False) -> bool:
    """Whether so many products repay what it takes to `split` a graph that is there.

    An estimate, from what was measured with models of 0.5M to 102M parameters on two cores.

    Args:
        products: planned, of one microbatch.
        product_seconds: of one of them by a kept graph.
        compiled: whether compiling repays itself over recording alone.
    """
    if compiled:
        return products * product_seconds * COMPILING_SAVES > COMPILING_SECONDS
    return products * product_seconds * RECORDING_SAVES > product_seconds + RECORDING_SECONDS


def _kept_bytes(graphs: Iterable[SplitGraph], model: nn.Module) -> int:
    own = {
        tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())
    }
    storages = {
        tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
        for graph in graphs
        for tensor in graph.kept
    }
    return sum(size for place, size in storages.items() if place not in own)
