"""The first seed's whole analysis, ours and PyHessian's: top 3 eigenvalues and a 30-node density.

Ours is one Lanczos run that goes on until the top 3 are certified, and its first 30 steps are the
density. PyHessian's is `eigenvalues(top_n=3)` and then `density(iter=30)`.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil
import torch

from bench.hessians.clock import seconds_of
from bench.hessians.shapes import FOLDER, SHAPES, Subject, subject
from collapse.numerics.lanczos import (
    Basis,
    LanczosResult,
    Target,
    begin,
    decompose,
    open_basis,
    run,
)
from collapse.numerics.spectrum import certify_outliers, gauss_nodes
from collapse.numerics.streams import torch_stream
from collapse.probes.curvature import CurvatureOperator, Microbatch, microbatches, open_operator
from collapse.probes.curvature.pyhessian import open_pyhessian, repaired

TOP, NODES = 3, 30
MOST_STEPS = 200
REFERENCE_STEPS, REFERENCE_TOLERANCE = 80, 2e-6
TOLERANCE = 1e-3  # PyHessian's own, of another kind: it stops at such a change between two steps

Matvec = Callable[[torch.Tensor], torch.Tensor]


class TimedOperator:
    """An operator whose seconds are added up."""

    def __init__(self, operator: CurvatureOperator) -> None:
        self.operator = operator
        self.seconds = 0.0

    def __call__(self, vector_P: torch.Tensor) -> torch.Tensor:
        made: list[torch.Tensor] = []
        self.seconds += seconds_of(lambda: made.append(self.operator(vector_P)))
        return made[0]


def measure_analyses(name: str, subject: Subject, rounds: int) -> dict[str, Any]:
    """Both analyses in turn, as often as there are rounds, each round with other random vectors.

    Each has a process of its own, as it would with its user: what one leaves of the memory would
    decide what the other can keep.
    """
    reference = reference_top(name, subject)
    records: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for seed in range(rounds):
        for side in sorted(SIDES, reverse=bool(seed % 2)):
            records[side].append(_in_own_process(name, side, seed, subject))
    for record in (*records["ours"], *records["PyHessian"]):
        record["errors"] = relative_errors(record["top"], reference["top"])
        record["worst_error"] = max(record["errors"])
    medians = {
        side: {
            key: statistics.median(record[key] for record in made)
            for key in made[0]
            if isinstance(made[0][key], int | float)
        }
        for side, made in records.items()
    }
    return {
        "rounds": rounds,
        "reference": reference,
        "records": records,
        "medians": medians,
        "times_faster": medians["PyHessian"]["seconds"] / medians["ours"]["seconds"],
    }


def _in_own_process(name: str, side: str, seed: int, subject: Subject) -> dict[str, Any]:
    words = ["--shape", name, "--side", side, "--seed", str(seed)]
    words += ["--threads", str(torch.get_num_threads()), "--device", str(subject.model.device)]
    made = subprocess.run(
        [sys.executable, "-m", "bench.hessians.whole", *words],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(made.stdout.splitlines()[-1])


def relative_errors(found: list[float], true: list[float]) -> list[float]:
    """Errors of eigenvalues, paired by their order of magnitude, relative to each."""
    ordered = sorted(found, key=abs, reverse=True)
    return [abs(one - other) / abs(other) for one, other in zip(ordered, true, strict=True)]


def our_analysis(subject: Subject, seed: int) -> dict[str, Any]:
    """Graph, Lanczos run, certificates and density."""
    record: dict[str, Any] = {}

    def analysis() -> None:
        with open_operator(subject.model, whole_batch(subject), graph="split") as operator:
            timed = TimedOperator(operator)
            basis = _basis_in_memory(operator)
            results: list[LanczosResult] = []
            ran = seconds_of(
                lambda: results.append(_certified_run(operator, timed, seed, TOLERANCE, basis))
            )
            (result,) = results
            record["lanczos_seconds"] = ran - timed.seconds
            record.update(_outcome(result), product_seconds=timed.seconds, graph=operator.graph)
        nodes, _ = gauss_nodes(result.alpha, result.beta, NODES)
        record.update(lambda_max_of_nodes=float(nodes[-1]), lambda_min_of_nodes=float(nodes[0]))

    record["seconds"] = seconds_of(analysis)
    # All that is neither a product nor the graph: orthogonalisation, certificates.
    record["orthogonalisation_share"] = record["lanczos_seconds"] / record["seconds"]
    return record


def pyhessian_analysis(subject: Subject, seed: int) -> dict[str, Any]:
    """Graph, power iterations and density, each timed."""
    record: dict[str, Any] = {}

    def analysis() -> None:
        with open_pyhessian(subject.model, whole_batch(subject)) as peer, repaired() as counted:
            torch.manual_seed(seed)
            found: list[list[float]] = []
            seconds = seconds_of(lambda: found.append(peer.eigenvalues(top_n=TOP)[0]))
            record.update(top=found[0], eigenvalues_seconds=seconds, top_products=len(counted))
            (nodes,), _ = peer.density(iter=NODES)
            record["products"] = len(counted)
        record.update(lambda_max_of_nodes=float(nodes[-1]), lambda_min_of_nodes=float(nodes[0]))

    record["seconds"] = seconds_of(analysis)
    return record


def reference_top(name: str, subject: Subject) -> dict[str, Any]:
    """The top 3 to six digits, by their own certificates.

    Kept beside the weights, as it takes as long as the rest.
    """
    path = FOLDER / f"{name}-{subject.digest}-reference.json"
    if not path.exists():
        path.write_text(json.dumps(_reference(subject), indent=1))
    return json.loads(path.read_text())


def _reference(subject: Subject) -> dict[str, Any]:
    """A longer run from another start; its basis is on disk, where it may exceed the memory."""
    path = FOLDER / "reference.basis"
    path.unlink(missing_ok=True)
    try:
        with open_operator(subject.model, whole_batch(subject)) as operator:
            most = min(REFERENCE_STEPS, operator.dimension)
            basis = open_basis(
                operator.dimension,
                most + 1,
                operator.dtype,
                memory_limit_bytes=1 << 30,
                path=path,
            )
            result = _certified_run(operator, operator, -1, REFERENCE_TOLERANCE, basis)
            return _outcome(result) | {"tolerance": REFERENCE_TOLERANCE}
    finally:
        path.unlink(missing_ok=True)


def _certified_run(
    operator: CurvatureOperator, product: Matvec, seed: int, tolerance: float, basis: Basis
) -> LanczosResult:
    """Steps enough for the density, then on until the top are certified or the basis is full."""
    signs = torch.randint(
        0, 2, (operator.dimension,), generator=torch_stream(seed, "bench", "start")
    )
    start = (2 * signs - 1).to(basis.rows.device, operator.dtype)
    most = basis.rows.shape[0] - 1
    state = run(product, begin(start, basis), min(NODES, most), device=operator.device)
    target = Target(magnitude=TOP, tolerance=tolerance)
    return decompose(run(product, state, most, target=target, device=operator.device))


def _basis_in_memory(operator: CurvatureOperator) -> Basis:
    """Room for as many steps as nearly all that is free allows, 200 at most.

    Rows take memory once they are written, and a run ends where the top are certified.

    Raises:
        MemoryError: not even the density's steps fit.
    """
    free = psutil.virtual_memory().available
    if operator.device.type == "cuda":
        free = torch.cuda.mem_get_info(operator.device)[0]
    affordable = int(0.9 * free) // (operator.dimension * operator.dtype.itemsize)
    if affordable <= NODES:
        raise MemoryError(f"{NODES} steps of {operator.dimension} entries do not fit {free} bytes")
    capacity = min(MOST_STEPS + 1, operator.dimension + 1, affordable)
    return open_basis(operator.dimension, capacity, operator.dtype, device=operator.device)


def _outcome(result: LanczosResult) -> dict[str, Any]:
    pairs = result.ritz_values, result.residual_bounds
    top = certify_outliers(*pairs, TOP, rounding=result.rounding)
    return {
        "top": [one.value for one in top],
        "bounds": [one.residual_bound for one in top],
        "certified": [one.certified for one in top],
        "products": result.steps,
        "orthogonality": result.orthogonality,
    }


def whole_batch(subject: Subject) -> tuple[Microbatch, ...]:
    """The probe batch as one part, of which both sides keep the graph."""
    return microbatches(subject.input_ids_BxT, size=len(subject.input_ids_BxT))


SIDES = {"ours": our_analysis, "PyHessian": pyhessian_analysis}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--shape", choices=SHAPES, default="tiny")
    arguments.add_argument("--side", choices=SIDES, default="ours")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--repeat", type=int, default=1, help="the batch that many times over")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--device", default="cpu")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    looked_at = subject(options.shape, options.device, options.repeat)
    print(json.dumps(SIDES[options.side](looked_at, options.seed)))


if __name__ == "__main__":
    main()
