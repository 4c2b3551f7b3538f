"""The first seed's spectral ratio, for the replay of what it published."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from collapse.errors import BadParameter


@dataclass(frozen=True)
class LegacySpectrum:
    """The first seed's numbers, from unweighted Ritz values; ratios None over a width of 0."""

    bulk_center: float
    bulk_width: float
    spectral_ratio: float | None
    iqr_ratio: float | None


def legacy_spectrum(ritz_values: ArrayLike, top_eigenvalues: ArrayLike = ()) -> LegacySpectrum:
    """The seed's `spectral_ratio`, and the same over the interquartile range (DESIGN 4).

    The bulk is every Ritz value strictly below their 95th percentile, without weights.

    Args:
        ritz_values: at least 2.
        top_eigenvalues: where given, their signed largest is lambda_max, else the Ritz values'.

    Raises:
        BadParameter: fewer than 2 Ritz values, or none below the percentile.
    """
    ritz = np.asarray(ritz_values, dtype=np.float64)
    bulk = ritz[ritz < np.percentile(ritz, 95)] if ritz.size > 1 else ritz[:0]
    if not bulk.size:
        raise BadParameter(
            f"{ritz.size} Ritz values, none below their 95th percentile: "
            "at least 2 different ones are needed"
        )
    top = np.asarray(top_eigenvalues, dtype=np.float64)
    largest = float(top.max() if top.size else ritz.max())
    width = float(bulk.std())
    quarter, three_quarters = np.percentile(ritz, [25, 75])
    spread = float(three_quarters - quarter)
    return LegacySpectrum(
        float(bulk.mean()),
        width,
        largest / width if width else None,
        largest / spread if spread else None,
    )
