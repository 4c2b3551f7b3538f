"""A spectrum in the terms of a run: metrics by name, and what its JSON file holds. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from collapse.figures import SpectrumView
from collapse.numerics.spectrum import (
    Estimate,
    LegacySpectrum,
    Outlier,
    gauss_nodes,
    legacy_spectrum,
    negative_share,
)
from collapse.probes.curvature import HessianSpectrum

LEGACY_STEPS = 30
"""Nodes that the first seed's ratio is defined on."""


def metrics(spectrum: HessianSpectrum, prefix: str) -> dict[str, float]:
    """Everything that was measured of a spectrum, by metric name; what was not is not there.

    Args:
        spectrum: the spectrum.
        prefix: such as ``hessian/human``.
    """
    top, bottom = spectrum.top, spectrum.bottom
    values: dict[str, float | Estimate | None] = {
        "lambda_max": top.value,
        "lambda_max_bound": top.residual_bound,
        "lambda_min": bottom.value,
        "lambda_min_bound": bottom.residual_bound,
        "lambda_max_over_abs_min": top.value / abs(bottom.value) if bottom.value else None,
        "range": top.value - bottom.value,
        "certified": float(spectrum.is_certified),
        "contradictions": float(spectrum.contradictions),
        "orthogonality": spectrum.orthogonality,
        "products": float(spectrum.products),
    }
    # From one probe vector these have no errors: quick mode goes without them.
    if len(spectrum.probes) > 1:
        values |= _bulk_metrics(spectrum)
        values["negative_share"] = negative_share(*zip(*spectrum.nodes, strict=True))
    if legacy := _legacy(spectrum):
        values["legacy_ratio"] = legacy.spectral_ratio
        values["iqr_ratio"] = legacy.iqr_ratio
    named = {f"{prefix}/{name}": value for name, value in _plain(values).items()}
    errors = {f"{prefix}/{name}_data_se": se for name, se in spectrum.data_errors.items()}
    return named | {
        name: se for name, se in errors.items() if name.removesuffix("_data_se") in named
    }


def _bulk_metrics(spectrum: HessianSpectrum) -> dict[str, float | Estimate | None]:
    names = ["bulk_center", "bulk_width", "trace", "variance"]
    if not spectrum.contradictions:
        names += ["spectral_ratio", "outlier_separation"]
    values = {name: getattr(spectrum.bulk, name) for name in names}
    if not spectrum.contradictions:
        for count, bulk in spectrum.bulks.items():
            values[f"spectral_ratio_k{count}"] = bulk.spectral_ratio
    return values


def _plain(values: Mapping[str, float | Estimate | None]) -> dict[str, float]:
    """Numbers alone: an estimate becomes its value and, where it has one, its error."""
    plain: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, Estimate):
            plain[name] = value.value
            if value.standard_error is not None:
                plain[f"{name}_se"] = value.standard_error
        elif value is not None:
            plain[name] = value
    return plain


def _legacy(spectrum: HessianSpectrum) -> LegacySpectrum | None:
    """The seed's ratio: the density of 30 nodes, and the largest of the eigenvalues beside it."""
    first = spectrum.probes[0]
    if len(first.alpha) < LEGACY_STEPS:
        return None
    nodes, _ = gauss_nodes(first.alpha, first.beta, LEGACY_STEPS)
    return legacy_spectrum(nodes, [one.value for one in spectrum.outliers])


def content(spectrum: HessianSpectrum) -> dict[str, Any]:
    """What the JSON file holds of a spectrum: enough to draw and to judge it again, model or not.

    The seed's own names are kept where it had them: `top_eigenvalues`, `eigenvalue_density` (its
    30 Ritz values), and `legacy` with the three numbers that it derived from these.
    """
    first, legacy = spectrum.probes[0], _legacy(spectrum)
    density: Iterable[float] = (
        gauss_nodes(first.alpha, first.beta, LEGACY_STEPS)[0] if legacy else []
    )
    return {
        "top_eigenvalues": [one.value for one in spectrum.outliers],
        "eigenvalue_density": list(map(float, density)),
        "legacy": vars(legacy) if legacy else None,
        "outliers": [_certificate(one) for one in spectrum.outliers],
        "lambda_max": _certificate(spectrum.top),
        "lambda_min": _certificate(spectrum.bottom),
        "ritz_values": spectrum.ritz_values.tolist(),
        "residual_bounds": spectrum.residuals.tolist(),
        "probes": [
            {
                "alpha": one.alpha.tolist(),
                "beta": one.beta.tolist(),
                "overlaps": one.overlaps.tolist(),
                "squared_length": one.squared_length,
                "batch_traces": one.batch_traces_M.tolist(),
                "batch_crosses": one.batch_crosses_M.tolist(),
            }
            for one in spectrum.probes
        ],
        "dimension": spectrum.dimension,
        "contradictions": spectrum.contradictions,
        "orthogonality": spectrum.orthogonality,
        "products": spectrum.products,
    }


def view(spectrum: HessianSpectrum, title: str) -> SpectrumView:
    """The spectrum as a figure wants it."""
    nodes, weights = zip(*spectrum.nodes, strict=True)
    bulk = spectrum.bulk
    return SpectrumView(
        title=title,
        nodes=nodes,
        weights=weights,
        outliers=[_mark(one) for one in spectrum.outliers],
        lambda_min=_mark(spectrum.bottom),
        lambda_max=_mark(spectrum.top),
        bulk_center=bulk.bulk_center.value,
        bulk_width=bulk.bulk_width.value if bulk.bulk_width else None,
    )


def _mark(one: Outlier) -> tuple[float, float, bool]:
    return one.value, one.residual_bound, one.certified


def _certificate(one: Outlier) -> dict[str, float | bool | None]:
    # A lone Ritz value has no neighbour, and JSON no infinity.
    gap = one.gap if one.gap != float("inf") else None
    return {
        "value": one.value,
        "residual_bound": one.residual_bound,
        "gap": gap,
        "certified": one.certified,
    }
