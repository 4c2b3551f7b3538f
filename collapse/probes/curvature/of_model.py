"""The spectrum of a model's loss in one call, for a notebook."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from collapse.numerics.spectrum import negative_mass
from collapse.probes.curvature.analysis import HessianSpectrum, analyse
from collapse.probes.curvature.batch import microbatches
from collapse.probes.curvature.operator import open_operator
from collapse.probes.curvature.recipe import SpectrumRecipe

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ModelSpectrum:
    """The leading numbers of a spectrum; all eigenvalues in nats per squared unit of a parameter.

    Attributes:
        lambda_max: algebraically largest eigenvalue.
        lambda_min: algebraically smallest.
        ritz_values: of the first probe vector, ascending, (steps,).
        weights: their quadrature weights, sum 1, (steps,).
        residuals: their residual bounds, (steps,).
        bulk_center: mean of the eigenvalues without the outliers.
        bulk_width: their standard deviation; None where the samples of it contradict each other.
        spectral_ratio: lambda_max over the width; None where an outlier is not certified.
        trace: sum of all eigenvalues.
        negative_mass: share of the eigenvalues below -0.001 lambda_max; None without a positive
            one. See `negative_mass_se` before you believe it.
        negative_mass_se: its standard error.
        certified: the outliers and both ends have residual bounds that are small enough.
        whole: everything else that was measured.
    """

    lambda_max: float
    lambda_min: float
    ritz_values: Floats
    weights: Floats
    residuals: Floats
    bulk_center: float
    bulk_width: float | None
    spectral_ratio: float | None
    trace: float
    negative_mass: float | None
    negative_mass_se: float | None
    certified: bool
    whole: HessianSpectrum = field(repr=False)


def hessian_spectrum(
    model: nn.Module,
    input_ids_BxT: torch.Tensor,
    steps: int = 30,
    probes: int = 1,
    seed: int = 0,
) -> ModelSpectrum:
    """The spectrum of the Hessian of a causal language model's mean token cross-entropy.

    Args:
        model: a causal language model in float32; it is left as it was.
        input_ids_BxT: token ids; each one but the first of a row is predicted.
        steps: Lanczos steps of each probe vector.
        probes: probe vectors; one gives no standard errors.
        seed: of the probe vectors.

    Raises:
        BadModel: the weights are not float32, or the model cannot be differentiated twice.
        BadParameter: no steps or no probes, or nothing to predict.
    """
    recipe = SpectrumRecipe(
        seed=seed,
        least_steps=steps,
        most_steps=steps,
        probes=probes,
        density_steps=steps,
        data_errors=False,
    )
    with open_operator(model, microbatches(input_ids_BxT, size=len(input_ids_BxT))) as operator:
        found = analyse(operator, recipe)
    nodes, weights = found.nodes[0]
    mass = None
    if found.top.value > 0:
        alphas = [one.alpha for one in found.probes]
        mass = negative_mass(alphas, [one.beta for one in found.probes], found.top.value)
    bulk = found.bulk
    return ModelSpectrum(
        lambda_max=found.top.value,
        lambda_min=found.bottom.value,
        ritz_values=nodes,
        weights=weights,
        residuals=found.residuals,
        bulk_center=bulk.bulk_center.value,
        bulk_width=bulk.bulk_width.value if bulk.bulk_width else None,
        spectral_ratio=bulk.spectral_ratio.value if bulk.spectral_ratio else None,
        trace=bulk.trace.value,
        negative_mass=mass.value if mass else None,
        negative_mass_se=mass.standard_error if mass else None,
        certified=found.is_certified,
        whole=found,
    )
