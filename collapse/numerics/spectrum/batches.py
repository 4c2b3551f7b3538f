"""How far a spectrum's numbers would move on other data, from the parts of one batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collapse.errors import BadParameter
from collapse.numerics.parts import jackknife_error
from collapse.numerics.spectrum.bulk import deflated_bulk
from collapse.numerics.spectrum.estimate import Estimate
from collapse.numerics.spectrum.outliers import Outlier

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BatchSamples:
    """What the operators H_i of M parts say, where H is their weighted mean.

    Attributes:
        shares_M: weight of each part; they sum to 1.
        outliers_MxK: u^T H_i u of each outlier's unit eigenvector u of H.
        lambda_max_M: the same of the algebraically largest eigenvalue.
        lambda_min_M: of the smallest.
        traces_MxN: z^T H_i z of N probe vectors z with the outliers projected off.
        crosses_MxN: (Q H z) . (H_i z), Q the projector off the outliers.
        squared_norms_N: |Q H z|^2.
    """

    shares_M: Floats
    outliers_MxK: Floats
    lambda_max_M: Floats
    lambda_min_M: Floats
    traces_MxN: Floats
    crosses_MxN: Floats
    squared_norms_N: Floats

    def without(self, values_M: Floats) -> Floats:
        """A weighted mean over parts without each part in turn; the first axis is the parts'."""
        shares = self.shares_M.reshape(-1, *[1] * (values_M.ndim - 1))
        whole = (shares * values_M).sum(0)
        return (whole - shares * values_M) / (1 - shares)


def batch_errors(
    samples: BatchSamples,
    outliers: Sequence[Outlier],
    lambda_max: Outlier,
    lambda_min: Outlier,
    dimension: int,
) -> dict[str, float]:
    """Standard errors over data by metric name: the jackknife over parts, to first order.

    Without part i an eigenvalue is u^T H_-i u with the eigenvector of the whole (first-order
    perturbation), and |Q H_-i z|^2 is |Q H z|^2 + 2 (Q H z) . (Q (H_-i - H) z): so no part needs
    a Lanczos run of its own. What this leaves out is of second order in the difference between
    parts, and so small where eigenvalues move by less than their gaps. Parts are taken for
    independent, their shares for their sizes.

    Args:
        samples: of at least 2 parts.
        outliers: the eigenvalues taken out of the bulk.
        lambda_max: the algebraically largest eigenvalue.
        lambda_min: the smallest.
        dimension: P.

    Returns:
        ``lambda_max``, ``lambda_min``, ``range``, and the names of `Bulk` where it has a value
        without each of the parts.

    Raises:
        BadParameter: fewer than 2 parts, or shares that do not sum to 1.
    """
    shares = samples.shares_M
    if len(shares) < 2 or abs(shares.sum() - 1) > 1e-9 or shares.min() <= 0:
        raise BadParameter(f"shares {shares.tolist()}: 2 or more, above 0, with sum 1")
    tops = lambda_max.value + _moved(samples, samples.lambda_max_M)
    bottoms = lambda_min.value + _moved(samples, samples.lambda_min_M)
    errors = {
        "lambda_max": jackknife_error(tops, shares),
        "lambda_min": jackknife_error(bottoms, shares),
        "range": jackknife_error(tops - bottoms, shares),
    }
    values = np.array([one.value for one in outliers]) + _moved(samples, samples.outliers_MxK)
    traces = samples.without(samples.traces_MxN)
    norms = samples.squared_norms_N + 2 * _moved(samples, samples.crosses_MxN)
    bulks = [
        deflated_bulk(
            [_at(one, value) for one, value in zip(outliers, values[part], strict=True)],
            _at(lambda_max, tops[part]),
            traces[part],
            norms[part],
            dimension,
        )
        for part in range(len(shares))
    ]
    for name in (
        "bulk_center",
        "bulk_width",
        "spectral_ratio",
        "outlier_separation",
        "trace",
        "frobenius",
        "variance",
    ):
        found: list[Estimate | None] = [getattr(bulk, name) for bulk in bulks]
        known = [one.value for one in found if one is not None]
        if len(known) == len(found):
            errors[name] = jackknife_error(np.array(known), shares)
    return errors


def _moved(samples: BatchSamples, values_M: Floats) -> Floats:
    """How a weighted mean moves when each part in turn is left out."""
    shares = samples.shares_M.reshape(-1, *[1] * (values_M.ndim - 1))
    return samples.without(values_M) - (shares * values_M).sum(0)


def _at(outlier: Outlier, value: float) -> Outlier:
    """The outlier with another value, as certified as it was."""
    return Outlier(value, outlier.residual_bound, outlier.gap, outlier.certified)
