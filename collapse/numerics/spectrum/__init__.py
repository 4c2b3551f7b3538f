"""What Lanczos runs say about a spectrum: density, certified outliers, and the bulk.

Plain nodes, weights, bounds and samples go in, so that a stored spectrum can be read again, or
drawn with another bandwidth, without a model.
"""

from collapse.numerics.spectrum.batches import BatchSamples, batch_errors
from collapse.numerics.spectrum.bulk import Bulk, deflated_bulk
from collapse.numerics.spectrum.estimate import Estimate
from collapse.numerics.spectrum.legacy import LegacySpectrum, legacy_spectrum
from collapse.numerics.spectrum.outliers import Outlier, certify_extremes, certify_outliers
from collapse.numerics.spectrum.quadrature import (
    NEGATIVE_MARGIN,
    SpectralDensity,
    negative_share,
    slq_density,
)
from collapse.numerics.spectrum.recheck import Recheck, recheck
from collapse.numerics.spectrum.tridiagonal import gauss_nodes, negative_mass, residual_bounds

__all__ = [
    "NEGATIVE_MARGIN",
    "BatchSamples",
    "Bulk",
    "Estimate",
    "LegacySpectrum",
    "Outlier",
    "Recheck",
    "SpectralDensity",
    "batch_errors",
    "certify_extremes",
    "certify_outliers",
    "deflated_bulk",
    "gauss_nodes",
    "legacy_spectrum",
    "negative_mass",
    "negative_share",
    "recheck",
    "residual_bounds",
    "slq_density",
]
