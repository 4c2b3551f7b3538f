"""The same batch through the package PyHessian, for comparison."""

import logging
from typing import Any

from collapse.numerics.spectrum import legacy_spectrum
from collapse.parameters.doors import Hessian
from collapse.probes.curvature.pyhessian import pyhessian_spectrum
from collapse.stages.probe_batch import ProbeBatch
from collapse.stages.spectra import LEGACY_STEPS

LOG = logging.getLogger(__name__)


def peer_spectrum(
    model: Any, batch: ProbeBatch, parameters: Hessian, content: dict[str, Any]
) -> dict[str, float]:
    """PyHessian's top eigenvalues and 30-node density, as the first seed took them.

    Nothing of it is certified, so that it goes by names of its own: `pyhessian/<text>/...`.

    Args:
        model: the generation.
        batch: what to look at.
        parameters: of the stage.
        content: where all that is to be kept goes.
    """
    result = pyhessian_spectrum(
        model,
        [batch.whole()],
        top_n=parameters.outliers,
        steps=LEGACY_STEPS,
        seed=parameters.study_seed,
    )
    for repair in result.repairs:
        LOG.warning("PyHessian was repaired: %s", repair)
    legacy = legacy_spectrum(result.nodes, result.top_eigenvalues)
    content["pyhessian"] = {
        "top_eigenvalues": list(result.top_eigenvalues),
        "eigenvalue_density": list(result.nodes),
        "weights": list(result.weights),
        "repairs": list(result.repairs),
        "legacy": vars(legacy),
        "products": result.products,
    }
    values = {
        "lambda_max": max(result.top_eigenvalues),
        "lambda_min": min(result.nodes),
        "legacy_ratio": legacy.spectral_ratio,
        "iqr_ratio": legacy.iqr_ratio,
        "products": result.products,
    }
    return {f"pyhessian/{batch.text}/{k}": float(v) for k, v in values.items() if v is not None}
