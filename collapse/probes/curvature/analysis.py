"""One spectrum, from an operator: certified ends, a density, a bulk without its outliers.

The first probe vector's Lanczos run goes on until the outliers and both ends are certified. The
others are short: their nodes go into the density, and their first steps hold the moments of the
bulk. So a product is spent once, and used for all it can tell.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.numerics.lanczos import ritz_vectors
from collapse.numerics.spectrum import (
    BatchSamples,
    Bulk,
    Outlier,
    batch_errors,
    certify_outliers,
    deflated_bulk,
    gauss_nodes,
)
from collapse.probes.curvature.first_run import (
    Advance,
    FirstRun,
    Operator,
    Pieces,
    certificates,
    first_run,
)
from collapse.probes.curvature.recipe import SpectrumRecipe
from collapse.probes.curvature.samples import (
    ProbeSample,
    further_sample,
    has_data_errors,
    rayleigh_quotients,
    sample_of_first,
)

Floats = NDArray[np.float64]

SENSITIVITY = (10, 30)
"""Numbers of outliers that the bulk is measured without, beside the preset one."""


@dataclass(frozen=True)
class HessianSpectrum:
    """A spectrum with its certificates. All arrays are float64.

    Attributes:
        dimension: parameters, P.
        outliers: the k eigenvalues of largest magnitude, largest first.
        top: the algebraically largest eigenvalue and its certificate.
        bottom: the algebraically smallest.
        ritz_values: of the first probe vector's run, ascending, (m,); one a step, or where the
            basis was restarted, as many as it held at the end.
        residuals: their residual bounds, (m,).
        probes: what each probe vector told; the first one's run has the most steps, of which those
            before the first restart are told.
        bulk: the spectrum without its outliers; from a single probe vector, without errors.
        bulks: the same without 10 and without 30, where so many are certified, by their number.
        data_errors: standard errors over the microbatches, by metric name; empty where they were
            not measured.
        contradictions: further probe vectors whose runs saw an outlier that the first one missed,
            or two where it saw one.
        orthogonality: largest entry of |Q^T Q - I| in the first run.
        outlier_vectors_KxP: eigenvectors of the outliers.
        products: products made; those of single microbatches count as their share.
    """

    dimension: int
    outliers: tuple[Outlier, ...]
    top: Outlier
    bottom: Outlier
    ritz_values: Floats
    residuals: Floats
    probes: tuple[ProbeSample, ...]
    bulk: Bulk
    bulks: dict[int, Bulk]
    data_errors: dict[str, float]
    contradictions: int
    orthogonality: float
    products: int
    outlier_vectors_KxP: torch.Tensor = field(repr=False)

    @property
    def nodes(self) -> tuple[tuple[Floats, Floats], ...]:
        """Nodes and weights of every probe vector's quadrature."""
        return tuple(gauss_nodes(one.alpha, one.beta) for one in self.probes)

    @property
    def is_certified(self) -> bool:
        """Whether all outliers and both ends are certified, and no other run contradicts."""
        certified = all(one.certified for one in (*self.outliers, self.top, self.bottom))
        return certified and not self.contradictions


def analyse(
    operator: Operator,
    recipe: SpectrumRecipe,
    *,
    pieces: Pieces | None = None,
    is_time_to_keep: Callable[[], bool] = lambda: False,
    advance: Advance = lambda _products: None,
) -> HessianSpectrum:
    """The spectrum of a symmetric operator (DESIGN 4), the same bits after any interruption.

    Sources: stochastic Lanczos quadrature, Lin, Saad and Yang, SIAM Review 58 (2016) and Ghorbani,
    Krishnan and Xiao, ICML (2019); moments without the outliers by Hutchinson's estimator.

    Args:
        operator: its products.
        recipe: how much to measure.
        pieces: what an interrupted analysis of the same operator and recipe left.
        is_time_to_keep: asked after each step of the first run; True puts its state into `pieces`.
        advance: told products made.

    Raises:
        BadInput: a product is not finite.
        StoreError: the basis's file cannot be made.
    """
    known: Pieces = {} if pieces is None else pieces
    first = first_run(operator, recipe, known, is_time_to_keep, advance)
    outliers, bottom, top = certificates(first, recipe)
    # The order of `certify_outliers`: largest magnitude first.
    order = np.argsort(-np.abs(first.ritz_values), kind="stable").tolist()
    places = order[: len(outliers)]
    vectors_KxP = ritz_vectors(first, places).to(operator.device)
    samples = [sample_of_first(operator, recipe, known, first, vectors_KxP, advance)]
    samples += [
        further_sample(operator, recipe, known, index, first, vectors_KxP, advance)
        for index in range(1, recipe.probes)
    ]
    traces_N, squares_N = _moments(samples, outliers, places)
    errors, data_products = {}, 0
    if has_data_errors(operator, recipe):
        quotients = _quotients(operator, known, first, places, vectors_KxP, advance)
        looked_at = {*places, 0, len(order) - 1}
        data_products = len(looked_at) + len(samples)
        batches = _batch_samples(operator, quotients, samples, squares_N)
        errors = batch_errors(batches, outliers, top, bottom, operator.dimension)
    return HessianSpectrum(
        dimension=operator.dimension,
        outliers=outliers,
        top=top,
        bottom=bottom,
        ritz_values=first.ritz_values,
        residuals=first.residual_bounds + first.rounding,
        probes=tuple(samples),
        bulk=deflated_bulk(outliers, top, traces_N, squares_N, operator.dimension),
        bulks=_sensitivity(first, order, samples, recipe, top, operator.dimension),
        data_errors=errors,
        contradictions=sum(
            one.contradicts(outliers, places, first.rounding) for one in samples[1:]
        ),
        orthogonality=first.orthogonality,
        products=first.steps + sum(len(one.alpha) for one in samples[1:]) + data_products,
        outlier_vectors_KxP=vectors_KxP,
    )


def _moments(
    samples: Sequence[ProbeSample], outliers: Sequence[Outlier], places: Sequence[int]
) -> tuple[Floats, Floats]:
    """Each probe's trace and squared Frobenius norm without the outliers, (N,) both."""
    values = np.array([one.value for one in outliers])
    found = [sample.deflated_moments(values, places) for sample in samples]
    return np.array([trace for trace, _ in found]), np.array([squared for _, squared in found])


def _sensitivity(
    first: FirstRun,
    order: Sequence[int],
    samples: Sequence[ProbeSample],
    recipe: SpectrumRecipe,
    top: Outlier,
    dimension: int,
) -> dict[int, Bulk]:
    """The bulk without 10 and 30 outliers: no product more, as all overlaps are known."""
    bulks = {}
    for count in SENSITIVITY:
        found = certify_outliers(
            first.ritz_values,
            first.residual_bounds,
            count,
            tolerance=recipe.tolerance,
            rounding=first.rounding,
        )
        if len(found) == count and all(one.certified for one in found):
            traces_N, squares_N = _moments(samples, found, order[:count])
            bulks[count] = deflated_bulk(found, top, traces_N, squares_N, dimension)
    return bulks


def _quotients(
    operator: Operator,
    pieces: Pieces,
    first: FirstRun,
    places: Sequence[int],
    vectors_KxP: torch.Tensor,
    advance: Advance,
) -> Floats:
    """Rayleigh quotients of the outliers, then of the ends, over the microbatches, (M, K + 2)."""
    ends = [len(first.ritz_values) - 1, 0]
    new = [place for place in ends if place not in places]
    extra = ritz_vectors(first, new).to(vectors_KxP.device) if new else vectors_KxP[:0]
    made = rayleigh_quotients(operator, pieces, torch.cat([vectors_KxP, extra]), advance)
    columns = {place: column for column, place in enumerate([*places, *new])}
    return made[:, [columns[place] for place in [*places, *ends]]]


def _batch_samples(
    operator: Operator,
    quotients: Floats,
    samples: Sequence[ProbeSample],
    squared_norms_N: Floats,
) -> BatchSamples:
    return BatchSamples(
        shares_M=np.array(operator.shares),
        outliers_MxK=quotients[:, :-2],
        lambda_max_M=quotients[:, -2],
        lambda_min_M=quotients[:, -1],
        traces_MxN=np.stack([sample.batch_traces_M for sample in samples], axis=1),
        crosses_MxN=np.stack([sample.batch_crosses_M for sample in samples], axis=1),
        squared_norms_N=squared_norms_N,
    )
