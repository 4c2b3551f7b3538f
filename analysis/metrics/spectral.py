"""The metrics of a Hessian's spectrum (DESIGN 4)."""

from typing import Any

from analysis.metrics.metric import SHARE, Metric

# A Hessian has nats per squared unit of a parameter.
_EIGENVALUE = "nats per unit²"
TEXTS = ("human", "own")
"""What a Hessian is taken on: held-out human text, or the generation's own training text."""


def spectral_metrics(text: str) -> tuple[Metric, ...]:
    """The metrics of a Hessian on one text; eigenvalues come in all sizes."""

    def metric(name: str, label: str, unit: str = "", **more: Any) -> Metric:
        more = {"decimals": None} | more
        return Metric(f"hessian/{text}/{name}", f"{label}, {text} text", unit, **more)

    return (
        metric("lambda_max", "Largest eigenvalue", _EIGENVALUE, change="ratio"),
        metric("lambda_min", "Smallest eigenvalue", _EIGENVALUE),
        metric(
            "lambda_max_over_abs_min",
            "Largest / |smallest| eigenvalue",
            decimals=2,
            floor=0.0,
            reading="Below 1 the negative end is the longer one.",
        ),
        metric("range", "Largest minus smallest eigenvalue", _EIGENVALUE, change="ratio"),
        metric("trace", "Trace of the Hessian", _EIGENVALUE),
        metric("variance", "Variance of the eigenvalues", f"({_EIGENVALUE})²", change="ratio"),
        metric(
            "negative_mass",
            "Negative eigenvalues",
            "% of all",
            reading="Below minus a thousandth of generation 0's largest eigenvalue, the study's "
            "median.",
            **SHARE,
        ),
        metric(
            "negative_share",
            "Negative curvature",
            "% of Σ|λ|",
            **SHARE,
        ),
        metric("bulk_center", "Centre of the bulk", _EIGENVALUE),
        metric("bulk_width", "Width of the bulk", _EIGENVALUE, change="ratio", floor=0.0),
        metric(
            "spectral_ratio",
            "Spectral ratio",
            decimals=1,
            change="ratio",
            floor=0.0,
            reading="Largest eigenvalue over the width of the bulk without its outliers; only "
            "where all outliers are certified.",
        ),
        metric(
            "legacy_ratio",
            "The seed's ratio",
            decimals=2,
            change="ratio",
            floor=0.0,
            reading="Over the spread of unweighted Ritz values, outliers included: not the ratio "
            "of the deflated bulk.",
        ),
        metric("iqr_ratio", "The seed's ratio by quartiles", decimals=2, change="ratio", floor=0.0),
        metric("outlier_separation", "Separation of the outliers", "bulk widths", decimals=1),
        metric("products", "Products with the Hessian", decimals=0, floor=0.0),
        metric("certified", "All outliers certified", "% of spectra", **SHARE),
    )
