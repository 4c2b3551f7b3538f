"""The curvature of a causal language model's loss as an operator on vectors of its parameters."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from collapse.errors import BadInput, BadModel, BadParameter
from collapse.numerics.sharing import own_indices, summed
from collapse.probes.curvature.attention import exact_gradients
from collapse.probes.curvature.batch import Microbatch, shares_of
from collapse.probes.curvature.graph import (
    GRAPHS,
    MaybeTensors,
    Parameters,
    ProductGraph,
    Tensors,
    build,
    graph_bytes,
    loss_and_gradients,
)
from collapse.probes.curvature.layout import ParameterLayout
from collapse.probes.curvature.memory import free_bytes
from collapse.probes.curvature.split_graph import Programs, SplitGraph, split
from collapse.probes.curvature.split_recording import CannotSplit

T = TypeVar("T")

GRAPH_CHOICES = ("auto", "keep", "split", "rebuild")


class CurvatureOperator:
    """Products with the Hessian, or Gauss-Newton matrix, of the mean token cross-entropy.

    The loss is in nats, a mean over all predicted tokens of all microbatches. Where several
    processes were launched together each takes its share of the microbatches, and all get the sum:
    all must then be given the same model, microbatches and vectors, and make the same calls.

    Attributes:
        layout: how parameters lie in a vector.
        kind: ``hessian`` or ``gauss_newton``.
        graph: ``kept`` (built once), ``rebuilt`` (for every product; the same bits), or ``split``
            (kept, and recorded at the first product without what does not depend on the vector:
            the same but for rounding).
        why_not_split: why graphs that were to be split stay as they are; empty where none does.
        graph_bytes: what this process's kept graphs take, or would take: measured on its first
            microbatch, the others by their tokens.
        shares: of each microbatch in the mean, by predicted tokens; they sum to 1.
        loss_nats: the loss itself.
        gradient: its gradient, (P,), in the weights' type.
        products: whole products made so far; those of single microbatches are not counted.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Sequence[Microbatch],
        layout: ParameterLayout,
        *,
        kind: str,
        graph: str,
        memory_limit_bytes: int | None,
    ) -> None:
        self.layout, self.kind = layout, kind
        self.shares = shares_of(batches)
        self.products = 0
        self._model = model
        self._parameters: Parameters = layout.parameters(model)
        self._versions = self._weight_versions()
        self._own = own_indices(len(batches))
        self._batches = {index: batches[index].to(self.device) for index in self._own}
        self._graphs: dict[int, ProductGraph] = {}
        self._programs = Programs() if graph == "split" else None
        self.why_not_split = ""
        self._open = True
        self.graph_bytes = _explained(self._measure)
        self.graph = "kept" if self._keeps(graph, memory_limit_bytes) else "rebuilt"
        self.loss_nats, self.gradient = _explained(self._first_derivatives)

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
            BadInput: the weights changed since the operator was opened, or it was closed.
            BadModel: an operation of the model has no second derivative.
            BadParameter: a vector of another shape or type.
        """
        self.products += 1
        return self._product(self._own, self.shares, vector_P)

    def part(self, index: int, vector_P: torch.Tensor) -> torch.Tensor:
        """The product with the curvature of one microbatch's own mean loss, (P,).

        The mean of all parts, weighted by `shares`, is the whole product. Raises as that does, and
        BadParameter where there is no such microbatch.
        """
        if not 0 <= index < len(self.shares):
            raise BadParameter(f"microbatch {index}: there are 0 to {len(self.shares) - 1}")
        own = [index] if index in self._own else []
        return self._product(own, [1.0] * len(self.shares), vector_P)

    def close(self) -> None:
        """Let go of the graphs; no product can be made any more."""
        self._open = False
        self._graphs.clear()

    def _product(
        self, indices: Sequence[int], shares: Sequence[float], vector_P: torch.Tensor
    ) -> torch.Tensor:
        self._check(vector_P)
        vectors = self.layout.unflatten(vector_P.detach())
        total_P = self._zeros()

        def add_all() -> None:
            for index in indices:
                kept = self._graphs.get(index)
                graph = (
                    kept
                    or build(self.kind, self._model, self._batches[index], self._parameters).graph
                )
                if kept is not None and self._programs is not None:
                    parts = self._split_product(index, vectors)
                else:
                    with exact_gradients(self.device):
                        parts = graph.product(vectors, again=kept is not None)
                self._add(total_P, parts, shares[index])

        _explained(add_all)
        return summed(total_P)

    def _split_product(self, index: int, vectors: Tensors) -> MaybeTensors:
        """A product of a split graph; the first one with a microbatch splits its graph."""
        graph = self._graphs[index]
        if isinstance(graph, SplitGraph):
            return graph.product(vectors)
        assert self._programs is not None
        try:
            self._graphs[index], parts = split(graph, vectors, self._programs)
        except CannotSplit as reason:
            # All stays as it is: the products are the same, some of them slower.
            self._programs, self.why_not_split = None, str(reason)
            with exact_gradients(self.device):
                return graph.product(vectors, again=True)
        if all(isinstance(one, SplitGraph) for one in self._graphs.values()):
            self.graph = "split"
        return parts

    def _check(self, vector_P: torch.Tensor) -> None:
        if not self._open:
            raise BadInput("this operator is closed: make its products within the with block")
        if vector_P.shape != (self.dimension,) or vector_P.dtype != self.dtype:
            raise BadParameter(
                f"a vector of {tuple(vector_P.shape)} {vector_P.dtype}: this operator takes "
                f"({self.dimension},) {self.dtype}"
            )
        if self._weight_versions() != self._versions:
            raise BadInput(
                "the weights changed while their curvature was measured: open a new operator"
            )

    def _weight_versions(self) -> tuple[int, ...]:
        return tuple(parameter._version for parameter in self._model.parameters())

    def _zeros(self) -> torch.Tensor:
        return torch.zeros(self.dimension, dtype=self.dtype, device=self.device)

    def _add(self, total_P: torch.Tensor, parts: MaybeTensors, share: float) -> None:
        for place, part in zip(self.layout.unflatten(total_P), parts, strict=True):
            if part is not None:
                place.add_(part, alpha=share)

    def _measure(self) -> int:
        if not self._own:
            return 0
        largest = max(self._batches.values(), key=lambda batch: batch.input_ids_BxT.numel())
        one = graph_bytes(self.kind, self._model, largest, self._parameters)
        positions = sum(batch.input_ids_BxT.numel() for batch in self._batches.values())
        return one * positions // largest.input_ids_BxT.numel()

    def _keeps(self, graph: str, memory_limit_bytes: int | None) -> bool:
        """Whether to keep graphs: all processes do alike, whatever room each has."""
        limit = free_bytes(self.device) // 2 if memory_limit_bytes is None else memory_limit_bytes
        too_large = summed(torch.tensor(float(self.graph_bytes > limit), device=self.device))
        return graph in ("keep", "split") or (graph == "auto" and not too_large)

    def _first_derivatives(self) -> tuple[float, torch.Tensor]:
        """Loss and gradient over all microbatches, and their graphs where those are kept."""
        losses_M = torch.zeros(len(self.shares), dtype=torch.float64, device=self.device)
        gradient_P = self._zeros()
        for index, batch in self._batches.items():
            if self.graph == "kept":
                built = build(self.kind, self._model, batch, self._parameters)
                self._graphs[index] = built.graph
                losses_M[index], gradients = built.loss_nats, built.gradients
            else:
                losses_M[index], gradients = loss_and_gradients(
                    self._model, batch, self._parameters
                )
            self._add(gradient_P, gradients, self.shares[index])
        losses = summed(losses_M).tolist()
        gradient_P = summed(gradient_P)
        for index, loss_nats in enumerate(losses):
            if not math.isfinite(loss_nats):
                raise BadInput(f"the loss of microbatch {index} is {loss_nats}: no curvature there")
        if not torch.isfinite(gradient_P).all():
            raise BadInput("the loss is finite but its gradient is not: no curvature there")
        return sum(s * loss for s, loss in zip(self.shares, losses, strict=True)), gradient_P


@contextmanager
def open_operator(
    model: nn.Module,
    batches: Sequence[Microbatch],
    *,
    kind: str = "hessian",
    parameters: Sequence[str] | None = None,
    graph: str = "auto",
    memory_limit_bytes: int | None = None,
) -> Iterator[CurvatureOperator]:
    """The curvature of a model's loss, for as long as the block lasts.

    Dropout and autocast are off while graphs are built, and attention is one that can be
    differentiated twice; between calls, and after the block, the model is as it was, and no
    parameter's ``grad`` is touched. The weights must not change within the block.

    Args:
        model: a causal language model, called as ``model(input_ids=..., use_cache=False).logits``
            (with ``attention_mask=`` where a microbatch has one), on one device, all its weights
            float32 (or all float64).
        batches: what the loss is taken on, any number of parts of any shape.
        kind: ``hessian``, or ``gauss_newton``, the matrix without negative eigenvalues.
        parameters: names of parameters, for their block of the matrix; all trainable where None.
        graph: ``keep`` the graph of products; ``split`` what depends on the vector from the rest,
            too, which saves a tenth where dozens of products are made; ``rebuild`` the graph for
            each, which takes about half as long again; or ``auto``: keep it where it fits into the
            limit.
        memory_limit_bytes: what a process's kept graphs may take; None for half of what is free.

    Raises:
        BadCorpus: there is no microbatch, one predicts nothing, or a label is not in the
            vocabulary.
        BadInput: loss or gradient is not finite.
        BadModel: the weights are of another type or on several devices, none is trainable, the
            logits do not depend on them, or an operation has no second derivative.
        BadParameter: an unknown name, kind or choice of graph.
    """
    if kind not in GRAPHS:
        raise BadParameter(f"kind={kind!r} is unknown; known are {', '.join(GRAPHS)}")
    if graph not in GRAPH_CHOICES:
        raise BadParameter(f"graph={graph!r} is unknown; known are {', '.join(GRAPH_CHOICES)}")
    layout = ParameterLayout.of(model, parameters)
    _check_weights(model)
    operator = CurvatureOperator(
        model, batches, layout, kind=kind, graph=graph, memory_limit_bytes=memory_limit_bytes
    )
    try:
        yield operator
    finally:
        operator.close()


def _check_weights(model: nn.Module) -> None:
    types = {parameter.dtype for parameter in model.parameters()}
    if types not in ({torch.float32}, {torch.float64}):
        found = ", ".join(sorted(map(str, types)))
        raise BadModel(
            f"the weights are {found}: load the model with dtype=torch.float32 to measure curvature"
        )
    devices = sorted({str(parameter.device) for parameter in model.parameters()})
    if len(devices) > 1:
        raise BadModel(f"the weights are on {', '.join(devices)}: put the model on one device")


def _explained(compute: Callable[[], T]) -> T:
    """A result, or autograd's errors in the words of the person who named the model."""
    try:
        return compute()
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if "not implemented" in text or "differentiate twice" in text:
            raise BadModel(f"the model cannot be differentiated twice: {text[:200]}") from error
        raise
