"""One Hessian-vector product, made in several ways, in units of one gradient."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import functional as F

from bench.hessians.clock import medians
from bench.hessians.shapes import Subject
from collapse.probes.curvature import microbatches, open_operator
from collapse.probes.curvature.attention import twice_differentiable
from collapse.probes.curvature.pyhessian import open_pyhessian, repaired

GRADIENT = "gradient"
PLAIN_GRADIENT = "gradient, attention of plain operations"
Product = Callable[[torch.Tensor], torch.Tensor]


def measure_products(subject: Subject, rounds: int) -> dict[str, Any]:
    """Median seconds of gradients and products, and how far each product is from the kept one's.

    Returns:
        ``seconds``, ``gradients`` (seconds over those of a gradient as training takes it),
        ``plain_gradients`` (over one through the operations that products go through) and
        ``differences`` (relative to the kept graph's product).
    """
    model = subject.model
    dimension = sum(p.numel() for p in model.parameters())
    generator = torch.Generator().manual_seed(1)
    vector_P = torch.randn(dimension, generator=generator).to(subject.input_ids_BxT.device)
    with _products(subject) as products:
        exact = products["kept graph"](vector_P)
        differences = {
            name: float((make(vector_P) - exact).norm() / exact.norm())
            for name, make in products.items()
        }
        contenders: dict[str, Callable[[], object]] = {
            GRADIENT: lambda: gradient(subject),
            PLAIN_GRADIENT: lambda: plain_gradient(subject),
        }
        for name, make in products.items():
            contenders[name] = lambda make=make: make(vector_P)
        seconds = medians(contenders, rounds)
    return {
        "rounds": rounds,
        "seconds": seconds,
        "gradients": {name: s / seconds[GRADIENT] for name, s in seconds.items()},
        "plain_gradients": {name: s / seconds[PLAIN_GRADIENT] for name, s in seconds.items()},
        "differences": differences,
    }


def gradient(subject: Subject) -> tuple[torch.Tensor, ...]:
    """The loss's gradient as training takes it, with torch's fused attention."""
    ids_BxT = subject.input_ids_BxT
    logits_BxTxV = subject.model(input_ids=ids_BxT, use_cache=False).logits
    loss = F.cross_entropy(logits_BxTxV[:, :-1].flatten(0, 1), ids_BxT[:, 1:].flatten())
    return torch.autograd.grad(loss, list(subject.model.parameters()))


def plain_gradient(subject: Subject) -> tuple[torch.Tensor, ...]:
    """The same through the attention that can be differentiated twice."""
    with twice_differentiable(subject.model, subject.input_ids_BxT.device):
        return gradient(subject)


@contextmanager
def _products(subject: Subject) -> Iterator[dict[str, Product]]:
    """Ways to make a product, ours and PyHessian's, flat vector in and out."""
    model, ids_BxT = subject.model, subject.input_ids_BxT
    batches = microbatches(ids_BxT, size=len(ids_BxT))
    shapes = [p.shape for p in model.parameters()]
    with ExitStack() as stack:
        found: dict[str, Product] = {}
        found["kept graph"] = stack.enter_context(open_operator(model, batches, graph="keep"))
        found["rebuilt graph"] = stack.enter_context(open_operator(model, batches, graph="rebuild"))
        found["split graph"] = stack.enter_context(open_operator(model, batches, graph="split"))
        stack.enter_context(repaired())
        peer = stack.enter_context(open_pyhessian(model, batches))
        found["PyHessian, one batch"] = lambda vector: _pyhessian_kept(peer, vector, shapes)
        halves = microbatches(ids_BxT, size=-(-len(ids_BxT) // 2))
        loader = stack.enter_context(open_pyhessian(model, halves))
        found["PyHessian, data loader of two"] = lambda vector: _pyhessian_loader(
            loader, vector, shapes
        )
        yield found


def _pyhessian_kept(peer: Any, vector_P: torch.Tensor, shapes: list[torch.Size]) -> torch.Tensor:
    from pyhessian.utils import hessian_vector_product

    return _flat(hessian_vector_product(peer.gradsH, peer.params, _parts(vector_P, shapes)))


def _pyhessian_loader(peer: Any, vector_P: torch.Tensor, shapes: list[torch.Size]) -> torch.Tensor:
    return _flat(peer.dataloader_hv_product(_parts(vector_P, shapes))[1])


def _parts(vector_P: torch.Tensor, shapes: list[torch.Size]) -> list[torch.Tensor]:
    parts = vector_P.split([shape.numel() for shape in shapes])
    return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]


def _flat(parts: Any) -> torch.Tensor:
    return torch.cat([part.reshape(-1) for part in parts])
