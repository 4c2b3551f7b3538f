"""The bulk of a spectrum, its outliers taken out exactly."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.errors import BadParameter
from collapse.numerics.spectrum.estimate import Estimate, jackknife
from collapse.numerics.spectrum.outliers import Outlier

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bulk:
    """The spectrum with its outliers taken out exactly.

    Attributes:
        bulk_center: mean of the remaining eigenvalues.
        bulk_width: their standard deviation; None where the samples make its square negative.
        spectral_ratio: lambda_max over the width; None where anything it needs is uncertified.
        outlier_separation: (smallest positive outlier - center) / width; None likewise, or
            where no outlier is positive.
        trace: of the whole operator.
        frobenius: Frobenius norm of the whole operator.
        variance: of all eigenvalues, outliers included; None where the samples make it negative.
    """

    bulk_center: Estimate
    bulk_width: Estimate | None
    spectral_ratio: Estimate | None
    outlier_separation: Estimate | None
    trace: Estimate
    frobenius: Estimate
    variance: Estimate | None


def deflated_bulk(
    outliers: Sequence[Outlier],
    lambda_max: Outlier,
    trace_samples: ArrayLike,
    squared_norm_samples: ArrayLike,
    dimension: int,
) -> Bulk:
    """Centre and width of the spectrum without its outliers (DESIGN 4), with standard errors.

    The errors are the jackknife's over probes; those of the certified eigenvalues are left out.

    Args:
        outliers: the eigenvalues whose vectors were projected off.
        lambda_max: the algebraically largest eigenvalue.
        trace_samples: of the deflated operator, one a probe, from `deflated_moments`.
        squared_norm_samples: of its squared Frobenius norm, one a probe.
        dimension: P.

    Raises:
        BadParameter: no samples, samples that do not pair, or a dimension not above len(outliers).
    """
    samples = _paired(trace_samples, squared_norm_samples)
    values = np.array([outlier.value for outlier in outliers])
    rest = dimension - len(values)
    if rest < 1:
        raise BadParameter(f"dimension {dimension} with {len(values)} outliers leaves no bulk")

    def width(trace: float, squared: float) -> float | None:
        variance = squared / rest - (trace / rest) ** 2
        return variance**0.5 if variance >= 0 else None

    def over_width(top: Callable[[float], float]) -> Callable[[float, float], float | None]:
        return lambda trace, squared: (
            top(trace / rest) / below if (below := width(trace, squared)) else None
        )

    sound = lambda_max.certified and all(outlier.certified for outlier in outliers)
    positive = values[values > 0]
    separable = sound and positive.size > 0
    ratio = jackknife(samples, over_width(lambda _: lambda_max.value)) if sound else None
    separation = (
        jackknife(samples, over_width(lambda center: float(positive.min()) - center))
        if separable
        else None
    )
    center = jackknife(samples, lambda trace, _: trace / rest)
    total = jackknife(samples, lambda trace, _: trace + float(values.sum()))
    norm = jackknife(samples, lambda _, squared: (squared + float(values @ values)) ** 0.5)
    # These three have a value for every sample.
    assert center is not None
    assert total is not None
    assert norm is not None
    variance = jackknife(
        samples,
        lambda trace, squared: (
            spread
            if (
                spread := (squared + float(values @ values)) / dimension
                - ((trace + float(values.sum())) / dimension) ** 2
            )
            >= 0
            else None
        ),
    )
    return Bulk(center, jackknife(samples, width), ratio, separation, total, norm, variance)


def _paired(left: ArrayLike, right: ArrayLike) -> Floats:
    first, second = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if first.ndim != 1 or first.size == 0 or first.shape != second.shape:
        raise BadParameter(
            f"{first.size} and {second.size} samples of two moments: one of each a probe"
        )
    return np.stack([first, second], axis=1)
