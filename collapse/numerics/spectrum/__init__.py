"""What Lanczos runs say about a spectrum: density, certified outliers, and the bulk.

Plain nodes, weights, bounds and samples go in, so that a stored spectrum can be read again, or
drawn with another bandwidth, without a model.
"""

from collapse.numerics.spectrum.bulk import Bulk, deflated_bulk
from collapse.numerics.spectrum.estimate import Estimate
from collapse.numerics.spectrum.legacy import LegacySpectrum, legacy_spectrum
from collapse.numerics.spectrum.outliers import Outlier, certify_extremes, certify_outliers
from collapse.numerics.spectrum.quadrature import (
    NEGATIVE_MARGIN,
    SpectralDensity,
    negative_mass,
    negative_share,
    slq_density,
)

__all__ = [
    "NEGATIVE_MARGIN",
    "Bulk",
    "Estimate",
    "LegacySpectrum",
    "Outlier",
    "SpectralDensity",
    "certify_extremes",
    "certify_outliers",
    "deflated_bulk",
    "legacy_spectrum",
    "negative_mass",
    "negative_share",
    "slq_density",
]
