"""Products and 30 Lanczos steps by ours, PyHessian, curvlinops and hessian-eigenthings.

Run by bench.curvature_peers with the interpreter of an environment that has them all. Prints one
line of JSON.
"""

import argparse
import importlib.metadata
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from bench.hessians.clock import medians, seconds_of
from bench.hessians.products import GRADIENT, PLAIN_GRADIENT, gradient, plain_gradient
from bench.hessians.shapes import SHAPES, Subject, subject
from bench.hessians.whole import NODES, whole_batch
from collapse.numerics.lanczos import lanczos
from collapse.probes.curvature import open_operator
from collapse.probes.curvature.attention import twice_differentiable
from collapse.probes.curvature.pyhessian import open_pyhessian, repaired

PACKAGES = ("curvlinops-for-pytorch", "hessian-eigenthings", "PyHessian", "torch")
Product = Callable[[torch.Tensor], torch.Tensor]
Nodes = Callable[[], torch.Tensor]


class Predictions(nn.Module):
    """The model as curvlinops calls one: logits of all positions but the last, in rows."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids_BxT: torch.Tensor) -> torch.Tensor:
        logits_BxTxV = self.model(input_ids=input_ids_BxT, use_cache=False).logits
        return logits_BxTxV[:, :-1].flatten(0, 1)


def measure(looked_at: Subject, rounds: int) -> dict[str, Any]:
    """Median seconds of a product of each, its distance to ours, and each one's Lanczos run."""
    dimension = sum(p.numel() for p in looked_at.model.parameters())
    start_P = torch.randn(dimension, generator=torch.Generator().manual_seed(1))
    with _opened(looked_at, start_P) as (products, runs):
        exact = products["ours"](start_P)
        differences = {
            name: float((make(start_P) - exact).norm() / exact.norm())
            for name, make in products.items()
        }
        contenders: dict[str, Callable[[], object]] = {
            GRADIENT: lambda: gradient(looked_at),
            PLAIN_GRADIENT: lambda: plain_gradient(looked_at),
        }
        for name, make in products.items():
            contenders[name] = lambda make=make: make(start_P)
        seconds = medians(contenders, rounds)
        lanczos_runs = {name: _timed(nodes) for name, nodes in runs.items()}
    return {
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "rounds": rounds,
        "seconds": seconds,
        "differences": differences,
        "lanczos": lanczos_runs,
    }


def _timed(nodes: Nodes) -> dict[str, Any]:
    found: list[torch.Tensor] = []
    seconds = seconds_of(lambda: found.append(nodes()))
    return {"seconds": seconds, "nodes": found[0].double().sort().values.tolist()}


@contextmanager
def _opened(
    looked_at: Subject, start_P: torch.Tensor
) -> Iterator[tuple[dict[str, Product], dict[str, Nodes]]]:
    """Each package's product, and the nodes of its own run of 30 steps, by its name.

    All see the model through the same attention, from the same start where one can be given.
    """
    model = looked_at.model
    with ExitStack() as stack:
        ours = stack.enter_context(open_operator(model, whole_batch(looked_at), graph="keep"))
        stack.enter_context(twice_differentiable(model, torch.device("cpu")))
        products: dict[str, Product] = {"ours": ours}
        runs: dict[str, Nodes] = {
            "ours": lambda: torch.from_numpy(lanczos(ours, start_P, NODES).ritz_values)
        }
        stack.enter_context(repaired())
        peer = stack.enter_context(open_pyhessian(model, whole_batch(looked_at)))
        products["PyHessian"] = lambda vector: _pyhessian_product(peer, vector)
        runs["PyHessian"] = lambda: _seeded(lambda: torch.tensor(peer.density(iter=NODES)[0][0]))
        curvlinops = _curvlinops_operator(looked_at)
        products["curvlinops"] = lambda vector: curvlinops @ vector
        runs["curvlinops"] = lambda: _curvlinops_nodes(curvlinops)
        eigenthings = _eigenthings_operator(looked_at)
        products["hessian-eigenthings"] = eigenthings.matvec
        runs["hessian-eigenthings"] = lambda: _eigenthings_nodes(eigenthings, start_P)
        yield products, runs


def _pyhessian_product(peer: Any, vector_P: torch.Tensor) -> torch.Tensor:
    from pyhessian.utils import hessian_vector_product

    pieces = vector_P.split([p.numel() for p in peer.params])
    parts = [piece.view_as(p) for piece, p in zip(pieces, peer.params, strict=True)]
    made = hessian_vector_product(peer.gradsH, peer.params, parts)
    return torch.cat([part.reshape(-1) for part in made])


def _curvlinops_operator(looked_at: Subject) -> Any:
    from curvlinops import HessianLinearOperator

    ids_BxT = looked_at.input_ids_BxT
    return HessianLinearOperator(
        Predictions(looked_at.model),
        nn.CrossEntropyLoss(),
        list(looked_at.model.parameters()),
        [(ids_BxT, ids_BxT[:, 1:].flatten())],
        check_deterministic=False,
    )


def _curvlinops_nodes(operator: Any) -> torch.Tensor:
    from curvlinops.papyan2020traces.spectrum import fast_lanczos

    return _seeded(lambda: fast_lanczos(operator, NODES)[0])


def _eigenthings_operator(looked_at: Subject) -> Any:
    from hessian_eigenthings import HessianOperator, hf_lm_loss

    ids_BxT = looked_at.input_ids_BxT
    batch = {"input_ids": ids_BxT, "labels": ids_BxT, "use_cache": False}
    return HessianOperator(looked_at.model, [batch], hf_lm_loss())


def _eigenthings_nodes(operator: Any, start_P: torch.Tensor) -> torch.Tensor:
    from hessian_eigenthings import lanczos_tridiagonal

    made = lanczos_tridiagonal(operator, start_P, NODES)
    off = made.betas[: NODES - 1]
    return torch.linalg.eigvalsh(made.alphas.diag() + off.diag(1) + off.diag(-1))


def _seeded(nodes: Nodes) -> torch.Tensor:
    """For those that draw their own start from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nodes()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--shape", choices=SHAPES, default="tiny")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    print(json.dumps(measure(subject(options.shape), options.rounds)))


if __name__ == "__main__":
    main()
