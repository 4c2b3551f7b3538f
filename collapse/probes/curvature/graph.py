"""Products with the curvature of one microbatch, from a graph that was built once.

A graph holds activations and one array of the size of the logits; the gradient's own tensors are
not held, as their places in the graph (`GradientEdge`) are all that a product needs.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from collapse.errors import BadCorpus, BadModel
from collapse.probes.curvature.attention import only_trainable, twice_differentiable
from collapse.probes.curvature.batch import IGNORED_LABEL, Microbatch
from collapse.probes.curvature.loss import LogitGradient, logit_curvature

Parameters = tuple[nn.Parameter, ...]
Tensors = Sequence[torch.Tensor]
MaybeTensors = Sequence[torch.Tensor | None]


class ProductGraph(ABC):
    """What a product with one microbatch's curvature needs, built for the weights as they are."""

    @abstractmethod
    def product(self, vectors: Tensors, *, again: bool) -> MaybeTensors:
        """The product with a vector.

        Args:
            vectors: its parts in the shapes of the parameters.
            again: keep the graph for another product.

        Returns:
            Its parts; None where it is zero as the loss does not see a parameter.
        """


@dataclass(frozen=True)
class Built:
    """A microbatch's graph with what was computed on the way.

    Attributes:
        graph: for products.
        loss_nats: mean over the microbatch's predicted tokens, float64, ().
        gradients: of that, in the shapes of the parameters; None where the loss does not see one.
    """

    graph: ProductGraph
    loss_nats: torch.Tensor
    gradients: MaybeTensors


class HessianGraph(ProductGraph):
    """The gradient as a function of the parameters: its product with v, derived, is H v.

    Source: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994).
    """

    def __init__(self, gradients: MaybeTensors, parameters: Parameters) -> None:
        self.edges = _edges(gradients)
        self.parameters = parameters

    @classmethod
    def build(cls, model: nn.Module, batch: Microbatch, parameters: Parameters) -> Built:
        """The graph of the mean loss's Hessian."""
        logits_NxV = _logits(model, batch)
        slope_NxV, nll_N = LogitGradient.apply(logits_NxV, batch.shifted_targets())
        gradients = torch.autograd.grad(
            logits_NxV, parameters, slope_NxV, create_graph=True, allow_unused=True
        )
        return _built(cls(gradients, parameters), batch, nll_N, gradients)

    def product(self, vectors: Tensors, *, again: bool) -> MaybeTensors:
        """H v."""
        return _derived(self.edges, self.parameters, vectors, again=again)


class GaussNewtonGraph(ProductGraph):
    """J^T H_logits J, with J the Jacobian of the logits and H_logits the loss's Hessian in them.

    J^T c is linear in c: its product with v, derived by c, is J v. That costs no more than J^T, and
    the parts of the graph that the Hessian needs beside it are not walked: 4/3 of a gradient's
    arithmetic, where the Hessian costs twice as much as a gradient.

    Source: Schraudolph, Fast curvature matrix-vector products, Neural Computation 14 (2002); J v
    by two transposed products is Townsend's (2017).
    """

    def __init__(
        self,
        logits_NxV: torch.Tensor,
        slope_NxV: torch.Tensor,
        targets_N: torch.Tensor,
        gradients: MaybeTensors,
        parameters: Parameters,
    ) -> None:
        self.logits_edge = get_gradient_edge(logits_NxV)
        self.slope_NxV, self.targets_N = slope_NxV, targets_N
        self.edges = _edges(gradients)
        self.parameters = parameters

    @classmethod
    def build(cls, model: nn.Module, batch: Microbatch, parameters: Parameters) -> Built:
        """The graph of the mean loss's Gauss-Newton matrix."""
        logits_NxV = _logits(model, batch)
        targets_N = batch.shifted_targets()
        slope_NxV, nll_N = LogitGradient.apply(logits_NxV.detach(), targets_N)
        slope_NxV.requires_grad_()
        gradients = torch.autograd.grad(
            logits_NxV, parameters, slope_NxV, create_graph=True, allow_unused=True
        )
        graph = cls(logits_NxV, slope_NxV, targets_N, gradients, parameters)
        return _built(graph, batch, nll_N, gradients)

    def product(self, vectors: Tensors, *, again: bool) -> MaybeTensors:
        """G v."""
        (along_NxV,) = _derived(self.edges, (self.slope_NxV,), vectors, again=True)
        if along_NxV is None:
            return [None] * len(self.parameters)
        curved_NxV = logit_curvature(self.slope_NxV.detach(), self.targets_N, along_NxV)
        return torch.autograd.grad(
            [self.logits_edge], self.parameters, [curved_NxV], retain_graph=again, allow_unused=True
        )


GRAPHS: dict[str, type[HessianGraph] | type[GaussNewtonGraph]] = {
    "hessian": HessianGraph,
    "gauss_newton": GaussNewtonGraph,
}


def build(kind: str, model: nn.Module, batch: Microbatch, parameters: Parameters) -> Built:
    """The graph of one microbatch. The model is left as it was.

    Args:
        kind: one of `GRAPHS`.
        model: a causal language model.
        batch: on the model's device.
        parameters: those to differentiate by.
    """
    device = parameters[0].device
    with twice_differentiable(model, device), only_trainable(model, parameters):
        return GRAPHS[kind].build(model, batch, parameters)


def loss_and_gradients(
    model: nn.Module, batch: Microbatch, parameters: Parameters
) -> tuple[torch.Tensor, MaybeTensors]:
    """Mean loss in nats, float64, and its gradient, without a graph for anything more."""
    device = parameters[0].device
    with twice_differentiable(model, device), only_trainable(model, parameters):
        logits_NxV = _logits(model, batch)
        slope_NxV, nll_N = LogitGradient.apply(logits_NxV.detach(), batch.shifted_targets())
        gradients = torch.autograd.grad(logits_NxV, parameters, slope_NxV, allow_unused=True)
        return _mean(nll_N, batch), gradients


def graph_bytes(kind: str, model: nn.Module, batch: Microbatch, parameters: Parameters) -> int:
    """Memory that the graph of one microbatch holds, beyond the model's own.

    The graph is built for this and dropped; what autograd saves is counted storage by storage.
    """
    sizes: dict[int, int] = {}
    tensors = [*model.parameters(), *model.buffers()]
    own = {tensor.untyped_storage().data_ptr() for tensor in tensors}

    def count(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        # Detached, as a tensor that knows its graph would hold it from within, for ever.
        return saved.detach()

    with torch.autograd.graph.saved_tensors_hooks(count, lambda saved: saved):
        build(kind, model, batch, parameters)
    return sum(sizes.values())


def _logits(model: Any, batch: Microbatch) -> torch.Tensor:
    """Logits of all positions, (N, V)."""
    mask = {} if batch.attention_mask_BxT is None else {"attention_mask": batch.attention_mask_BxT}
    logits_BxTxV = model(input_ids=batch.input_ids_BxT, use_cache=False, **mask).logits
    if not logits_BxTxV.requires_grad:
        raise BadModel("the logits do not depend on the chosen weights: there is no curvature")
    vocabulary = logits_BxTxV.shape[-1]
    labels = batch.labels_BxT[batch.labels_BxT != IGNORED_LABEL]
    if not 0 <= int(labels.min()) <= int(labels.max()) < vocabulary:
        raise BadCorpus(
            f"labels from {int(labels.min())} to {int(labels.max())}: the model's vocabulary goes "
            f"from 0 to {vocabulary - 1}"
        )
    return logits_BxTxV.reshape(-1, vocabulary)


def _mean(nll_N: torch.Tensor, batch: Microbatch) -> torch.Tensor:
    return nll_N.detach().double().sum() / batch.predicted_tokens


def _built(
    graph: ProductGraph, batch: Microbatch, nll_N: torch.Tensor, gradients: MaybeTensors
) -> Built:
    values = [None if gradient is None else gradient.detach() for gradient in gradients]
    return Built(graph, _mean(nll_N, batch), values)


def _edges(tensors: MaybeTensors) -> list[GradientEdge | None]:
    """Where tensors stand in their graph, without the tensors."""
    edges = [
        get_gradient_edge(tensor) if tensor is not None and tensor.requires_grad else None
        for tensor in tensors
    ]
    _require_second_derivatives(edges)
    return edges


def _require_second_derivatives(edges: Sequence[GradientEdge | None]) -> None:
    """Refuse a graph with a function that says it can be differentiated only once.

    torch does not: the node that would raise leads to no parameter, so that asking for derivatives
    by parameters passes it by, and products would lack its part in silence.
    """
    seen: set[Node] = set()
    queue = [edge.node for edge in edges if edge is not None]
    while queue:
        node = queue.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.name() == "torch::autograd::Error":
            raise BadModel(
                "the model cannot be differentiated twice: one of its own functions is marked "
                "@once_differentiable"
            )
        queue += [after for after, _ in node.next_functions if after is not None]


def _derived(
    edges: Sequence[GradientEdge | None], by: Tensors, along: Tensors, *, again: bool
) -> MaybeTensors:
    """Derivative of the product of a graph's outputs with `along`; None where there is none."""
    pairs = [(edge, v) for edge, v in zip(edges, along, strict=True) if edge is not None]
    outputs, vectors = zip(*pairs, strict=True)
    return torch.autograd.grad(outputs, by, vectors, retain_graph=again, allow_unused=True)
