"""What a metric is called in words, its unit, and how its numbers are written."""

from dataclasses import dataclass
from typing import Any, Literal

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Metric:
    """How to speak of one metric.

    Attributes:
        name: its name in the tracking store.
        label: its name in words.
        unit: the unit of an axis; empty where it has none.
        decimals: digits after the point; None writes four significant digits.
        change: how a change is told: as a ``"ratio"``, as a ``"difference"``, or by its two
            ``"ends"``.
        is_share: written as per cent, with differences in percentage points.
        floor: the value an axis starts from; None where zero means nothing.
        ceiling: the largest value there can be; None where there is none.
        reading: what high and low values mean, for a caption.
    """

    name: str
    label: str
    unit: str = ""
    decimals: int | None = 3
    change: Literal["ratio", "difference", "ends"] = "ends"
    is_share: bool = False
    floor: float | None = None
    ceiling: float | None = None
    reading: str = ""

    def write(self, value: float) -> str:
        """A value, without its unit but with its per cent sign."""
        return f"{self.write_bare(value)} %" if self.is_share else self.write_bare(value)

    def write_bare(self, value: float, sign: str = "") -> str:
        """A value or a spread without unit and per cent sign; sign ``"+"`` marks a difference."""
        if self.is_share:
            return _printed(f"{100 * value:{sign}.1f}")
        # Metrics outside the catalogue come in all sizes, from ranks to curvatures.
        kind = ".4g" if self.decimals is None else f".{self.decimals}f"
        return _printed(f"{value:{sign}{kind}}")

    def write_difference(self, value: float) -> str:
        """A difference of two values, with its sign and unit."""
        unit = "points" if self.is_share else self.unit
        return f"{self.write_bare(value, '+')} {unit}".rstrip()


ERROR_SUFFIXES = ("_data_se", "_se", "_bound")
"""What a metric's name ends in that says how well another one is known."""


def is_error(name: str) -> bool:
    """Whether a metric says how well another one is known, and nothing by itself."""
    return name.endswith(ERROR_SUFFIXES)


def metric_info(name: str) -> Metric:
    """How to speak of the metric; one that is not in the catalogue goes by its own name."""
    return _CATALOGUE.get(name, Metric(name, name, _unit_in_name(name), decimals=None))


def _unit_in_name(name: str) -> str:
    """The unit that the last part of a metric's name gives away."""
    if name.endswith(("_nats", "_nats_se")):
        return "nats"
    return "seconds" if name.endswith("_seconds") else ""


def _printed(number: str) -> str:
    """Minus signs as in print, and no sign before a zero."""
    return number.replace("-", MINUS) if float(number) != 0 else number.lstrip("+-")


def _distinct(order: int) -> Metric:
    noun = "words" if order == 1 else f"{order}-word phrases"
    return Metric(
        f"quality/distinct_{order}",
        f"Share of distinct {noun}",
        floor=0.0,
        ceiling=1.0,
        reading="Lower is more repetitive.",
    )


# A Hessian has nats per squared unit of a parameter.
_EIGENVALUE = "nats per unit²"
TEXTS = ("human", "own")
"""What a Hessian is taken on: held-out human text, or the generation's own training text."""


def _spectral(text: str) -> tuple[Metric, ...]:
    """The metrics of a Hessian's spectrum (DESIGN 4); eigenvalues come in all sizes."""

    def metric(name: str, label: str, unit: str = "", **more: Any) -> Metric:
        more = {"decimals": None} | more
        return Metric(f"hessian/{text}/{name}", f"{label}, {text} text", unit, **more)

    share = {"is_share": True, "floor": 0.0, "ceiling": 1.0}
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
            **share,
        ),
        metric(
            "negative_share",
            "Negative curvature",
            "% of Σ|λ|",
            **share,
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
        metric("certified", "All outliers certified", "% of spectra", **share),
    )


_CATALOGUE = {
    metric.name: metric
    for metric in (
        Metric(
            "human/nll_nats",
            "Loss on human text",
            "nats a token",
            change="difference",
            reading="Higher is worse: the model expects human text less.",
        ),
        Metric("human/perplexity", "Perplexity on human text", decimals=2, change="ratio"),
        Metric("human/bits_per_byte", "Bits per byte of human text", "bits", change="difference"),
        Metric(
            "human/entropy_nats",
            "Next-token entropy",
            "nats a token",
            change="difference",
        ),
        Metric(
            "own/nll_nats", "Loss on its own training text", "nats a token", change="difference"
        ),
        Metric(
            "truth/kl_nats_per_token",
            "KL from the truth",
            "nats a token",
            decimals=4,
            change="ratio",
            floor=0.0,
            reading="Zero is the true distribution; higher is further from it.",
        ),
        Metric(
            "truth/kl_nats_per_story",
            "KL from the truth",
            "nats a story",
            change="ratio",
            floor=0.0,
            reading="Zero is the true distribution; higher is further from it.",
        ),
        Metric(
            "truth/valid_fraction",
            "Share of valid stories",
            "% of samples",
            is_share=True,
            floor=0.0,
            ceiling=1.0,
            reading="A story is valid when the grammar that made the corpus could have told it.",
        ),
        Metric(
            "truth/tail_coverage",
            "Coverage of rare choices",
            "observed / expected",
            floor=0.0,
            reading="1 means that rare choices are as frequent as under the truth; "
            "0 that they are gone.",
        ),
        *(_distinct(order) for order in (1, 2, 3, 4)),
        Metric("quality/vocabulary_diversity", "Vocabulary diversity", floor=0.0),
        *(metric for text in TEXTS for metric in _spectral(text)),
    )
}
