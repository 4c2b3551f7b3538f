"""The package PyHessian 0.1 on a causal language model, repaired where torch has moved on.

It is here to be compared with, so that nothing of its method is changed: power iteration for the
top eigenvalues, a Lanczos run for the density (Yao et al., PyHessian, 2020). Where that method errs
is shown by the tests: near-equal ends, clusters, small scales, gradients left by somebody else.
"""

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch import nn
from torch.nn import functional as F

from collapse.errors import BadModel, BadParameter
from collapse.numerics.streams import stream_seed
from collapse.probes.curvature.attention import twice_differentiable
from collapse.probes.curvature.batch import IGNORED_LABEL, Microbatch

EIG_REPAIR = "torch.eig, which torch removed in 2.0, stands on torch.linalg.eigh for the density"


@dataclass(frozen=True)
class PyHessianResult:
    """What PyHessian found; nothing of it has a certificate.

    Attributes:
        top_eigenvalues: in the order it found them, largest magnitude first by intention.
        nodes: Ritz values of its density, ascending, (steps,).
        weights: their weights, (steps,).
        products: Hessian-vector products on the whole batch that it made.
        gradients: gradients with a graph on the whole batch: one for a single microbatch, whose
            graph it keeps, one a product for several.
        repairs: what had to be mended for it to run, a sentence each.
    """

    top_eigenvalues: tuple[float, ...]
    nodes: tuple[float, ...]
    weights: tuple[float, ...]
    products: int
    gradients: int
    repairs: tuple[str, ...]


def pyhessian_spectrum(
    model: nn.Module,
    batches: Sequence[Microbatch],
    *,
    top_n: int = 3,
    steps: int = 30,
    seed: int = 0,
) -> PyHessianResult:
    """Top eigenvalues and one run's density, through PyHessian itself.

    The model is left as it was, gradients included, and so is torch's random state, which
    PyHessian draws from.

    Args:
        model: a causal language model in float32.
        batches: a single one goes in as PyHessian's `data`, several as its `dataloader`, which
            builds the graph anew for every product.
        top_n: how many eigenvalues of largest magnitude.
        steps: nodes of the density.
        seed: of its random vectors.

    Raises:
        BadModel: the weights are not float32.
        BadParameter: no eigenvalue or no step is asked for, there is padding, or nothing to
            predict.
    """
    if top_n < 1 or steps < 1:
        raise BadParameter(f"top_n={top_n}, steps={steps} for PyHessian: each must be 1 or more")
    device = next(model.parameters()).device
    with open_pyhessian(model, batches) as peer, repaired() as counted, _seeded(seed, device):
        top_eigenvalues, _ = peer.eigenvalues(top_n=top_n)
        (nodes,), (weights,) = peer.density(iter=steps)
    return PyHessianResult(
        top_eigenvalues=tuple(map(float, top_eigenvalues)),
        nodes=tuple(map(float, nodes)),
        weights=tuple(map(float, weights)),
        products=len(counted),
        gradients=len(counted) if peer.full_dataset else 1,
        repairs=(EIG_REPAIR,),
    )


@contextmanager
def open_pyhessian(model: nn.Module, batches: Sequence[Microbatch]) -> Iterator[Any]:
    """PyHessian's own object on a model's mean token cross-entropy, as long as the block lasts.

    Args:
        model: a causal language model in float32; afterwards it is as it was.
        batches: see `pyhessian_spectrum`.

    Raises:
        BadModel: the weights are not float32.
        BadParameter: there is padding, or nothing to predict.
    """
    from pyhessian import hessian

    _check(model, batches)
    device = next(model.parameters()).device
    pairs = [(batch.input_ids_BxT, batch.labels_BxT) for batch in batches]
    data = {"data": pairs[0]} if len(pairs) == 1 else {"dataloader": pairs}
    with _gradients_put_back(model), twice_differentiable(model, device), _on(device):
        yield hessian(_Logits(model), _criterion(batches), cuda=device.type == "cuda", **data)


def _check(model: nn.Module, batches: Sequence[Microbatch]) -> None:
    if not sum(batch.predicted_tokens for batch in batches):
        raise BadParameter("a probe batch with nothing to predict: 1 token at least")
    if any(batch.attention_mask_BxT is not None for batch in batches):
        raise BadParameter("a probe batch with padding: PyHessian takes whole rows")
    kinds = {str(p.dtype) for p in model.parameters() if p.requires_grad}
    if kinds != {"torch.float32"}:
        raise BadModel(
            f"the weights are {', '.join(sorted(kinds)) or 'frozen'}: PyHessian's vectors are "
            "float32, load the model with dtype=torch.float32"
        )


class _Logits(nn.Module):
    """The model as PyHessian calls one: inputs in, outputs out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids_BxT: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids_BxT, use_cache=False).logits


def _criterion(batches: Sequence[Microbatch]) -> Any:
    """Cross-entropy whose mean over microbatches is the mean over predicted tokens.

    PyHessian weights a microbatch by its rows, so the sum over tokens is divided by rows, and by
    the tokens that a row predicts on average over all microbatches.
    """
    rows = sum(len(batch.input_ids_BxT) for batch in batches)
    tokens = sum(batch.predicted_tokens for batch in batches)

    def criterion(logits_BxTxV: torch.Tensor, labels_BxT: torch.Tensor) -> torch.Tensor:
        total_nats = F.cross_entropy(
            logits_BxTxV[:, :-1].flatten(0, 1),
            labels_BxT[:, 1:].flatten(),
            ignore_index=IGNORED_LABEL,
            reduction="sum",
        )
        return total_nats * (rows / (tokens * len(labels_BxT)))

    return criterion


@contextmanager
def repaired() -> Iterator[list[str]]:
    """`torch.eig` as PyHessian knew it, and a list that grows by one with every product it makes.

    Both last as long as the block.
    """
    from pyhessian import hessian

    module = sys.modules[hessian.__module__]  # the package's name for it is the class
    counted: list[str] = []
    places = ((module, "hessian_vector_product"), (hessian, "dataloader_hv_product"))
    with ExitStack() as stack:
        for owner, name in places:
            counting = _counting(getattr(owner, name), counted)
            stack.enter_context(mock.patch.object(owner, name, counting))
        # torch 2 has a function of this name, which raises.
        stack.enter_context(mock.patch.object(torch, "eig", _symmetric_eig, create=True))
        yield counted


def _counting(function: Any, counted: list[str]) -> Any:
    def counting(*arguments: Any) -> Any:
        counted.append(function.__name__)
        return function(*arguments)

    return counting


def _symmetric_eig(
    matrix: torch.Tensor, eigenvectors: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues as (real, imaginary) pairs, and eigenvectors, of a symmetric matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    pairs = torch.stack([values, torch.zeros_like(values)], dim=1)
    return pairs, vectors if eigenvectors else vectors[:0]


@contextmanager
def _gradients_put_back(model: nn.Module) -> Iterator[None]:
    """No gradient at the start, which PyHessian would add its own to, and none of its own left."""
    before = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in before:
        parameter.grad = None
    try:
        with warnings.catch_warnings():
            # Of the reference cycle that gradients with a graph stand in; it ends with this block.
            warnings.filterwarnings("ignore", message="Using backward")
            yield
    finally:
        for parameter, gradient in before:
            parameter.grad = gradient


@contextmanager
def _on(device: torch.device) -> Iterator[None]:
    """PyHessian's `cuda` means the current GPU."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device):
        yield


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The global generators that PyHessian draws from, seeded here and put back afterwards."""
    own = stream_seed(seed, "pyhessian")
    is_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if is_gpu else []):
        # Not torch.manual_seed, which would reseed every GPU.
        torch.default_generator.manual_seed(own)
        if is_gpu:
            torch.cuda.manual_seed(own)
        yield
