"""What each probe vector of an analysis tells beside its run's nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.numerics.lanczos import (
    LanczosResult,
    begin,
    decompose,
    deflated_moments,
    inner_product,
    open_basis,
    project_off,
    ritz_overlaps,
    run,
)
from collapse.numerics.spectrum import Outlier, gauss_nodes, recheck, residual_bounds
from collapse.probes.curvature.first_run import (
    Advance,
    FirstRun,
    Operator,
    Pieces,
    probe_vector,
)
from collapse.probes.curvature.recipe import SpectrumRecipe

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ProbeSample:
    """What one probe vector z tells.

    Attributes:
        alpha: diagonal of its tridiagonal, (steps,).
        beta: its residual norms, (steps,).
        overlaps: u . z with the Ritz vectors of the first run, (steps of that,).
        squared_length: z . z.
        batch_traces_M: z^T Q H_i Q z with the Hessian of each microbatch alone and Q the projector
            off the outliers; empty where not asked for.
        batch_crosses_M: (Q H Q z) . (H_i Q z) likewise.
    """

    alpha: Floats
    beta: Floats
    overlaps: Floats
    squared_length: float
    batch_traces_M: Floats
    batch_crosses_M: Floats

    def deflated_moments(self, values: Floats, positions: Sequence[int]) -> tuple[float, float]:
        """Samples of the trace and of the squared Frobenius norm without some eigenvalues.

        Args:
            values: the eigenvalues to take out, (k,).
            positions: their places among the first run's Ritz values.
        """
        overlaps = self.overlaps[list(positions)]
        return deflated_moments(self.alpha, self.beta, self.squared_length, overlaps, values)

    def contradicts(
        self, outliers: Sequence[Outlier], positions: Sequence[int], rounding: float
    ) -> bool:
        """Whether this run saw an outlier that the first one missed, or sees as one but is two."""
        nodes, weights = gauss_nodes(self.alpha, self.beta)
        bounds = residual_bounds(self.alpha, self.beta) + rounding
        overlaps = self.overlaps[list(positions)]
        found = recheck(outliers, overlaps, self.squared_length, nodes, weights, bounds)
        return found.contradicts


def sample_of_first(
    operator: Operator,
    recipe: SpectrumRecipe,
    pieces: Pieces,
    first: FirstRun,
    outlier_vectors_KxP: torch.Tensor,
    advance: Advance,
) -> ProbeSample:
    """What the first run's probe vector tells."""
    if "sample 0" not in pieces:
        probe = probe_vector(operator, recipe, 0)
        made = _sample(operator, recipe, first, first, probe, outlier_vectors_KxP, advance)
        pieces["sample 0"] = _arrays(made)
    return _read(pieces["sample 0"])


def further_sample(
    operator: Operator,
    recipe: SpectrumRecipe,
    pieces: Pieces,
    index: int,
    first: FirstRun,
    outlier_vectors_KxP: torch.Tensor,
    advance: Advance,
) -> ProbeSample:
    """What another probe vector tells, from a short run of its own."""
    name = f"sample {index}"
    if name not in pieces:
        probe = probe_vector(operator, recipe, index)
        steps = min(recipe.density_steps, operator.dimension)
        basis = open_basis(operator.dimension, steps + 1, operator.dtype, device=operator.device)

        def counted(vector_P: torch.Tensor) -> torch.Tensor:
            advance(1)
            return operator(vector_P)

        own = decompose(run(counted, begin(probe, basis), steps))
        made = _sample(operator, recipe, own, first, probe, outlier_vectors_KxP, advance)
        pieces[name] = _arrays(made)
    return _read(pieces[name])


def _sample(
    operator: Operator,
    recipe: SpectrumRecipe,
    own: FirstRun,
    first: FirstRun,
    probe: torch.Tensor,
    outlier_vectors_KxP: torch.Tensor,
    advance: Advance,
) -> ProbeSample:
    traces, crosses = [], []
    if has_data_errors(operator, recipe):
        assert isinstance(own, LanczosResult)  # a restarted run is the only one
        inside = project_off(probe, outlier_vectors_KxP)
        outside = project_off(_first_product(own, probe), outlier_vectors_KxP)
        for index in range(len(operator.shares)):
            product = operator.part(index, inside)
            traces.append(inner_product(inside, product))
            crosses.append(inner_product(outside, product))
        advance(1)
    return ProbeSample(
        alpha=own.alpha,
        beta=own.beta,
        overlaps=ritz_overlaps(first, probe),
        squared_length=inner_product(probe, probe),
        batch_traces_M=np.array(traces),
        batch_crosses_M=np.array(crosses),
    )


def has_data_errors(operator: Operator, recipe: SpectrumRecipe) -> bool:
    """Whether the microbatches are looked at one by one."""
    return recipe.data_errors and recipe.probes > 1 and len(operator.shares) > 1


def _first_product(result: LanczosResult, probe: torch.Tensor) -> torch.Tensor:
    """H z of the probe that a run started from: its first step holds it, without a new product."""
    rows = result.basis.rows
    product = rows[0] * float(result.alpha[0])
    if not (result.breakdown and result.steps == 1):
        product.add_(rows[1], alpha=float(result.beta[0]))
    return (product * inner_product(probe, probe) ** 0.5).to(probe.device)


def rayleigh_quotients(
    operator: Operator, pieces: Pieces, vectors_JxP: torch.Tensor, advance: Advance
) -> Floats:
    """u^T H_i u of unit vectors u with the Hessian of each microbatch alone, (M, J)."""
    if "ends" not in pieces:
        quotients = np.empty((len(operator.shares), len(vectors_JxP)))
        for j, row in enumerate(vectors_JxP):
            vector = row.to(operator.device)
            for index in range(len(operator.shares)):
                quotients[index, j] = inner_product(vector, operator.part(index, vector))
            advance(1)
        pieces["ends"] = {"quotients": quotients}
    return np.asarray(pieces["ends"]["quotients"], dtype=np.float64)


def _arrays(sample: ProbeSample) -> dict[str, NDArray[np.generic]]:
    return {name: np.asarray(value) for name, value in vars(sample).items()}


def _read(arrays: dict[str, NDArray[np.generic]]) -> ProbeSample:
    values: dict[str, Any] = {
        name: float(value) if value.ndim == 0 else value for name, value in arrays.items()
    }
    return ProbeSample(**values)
