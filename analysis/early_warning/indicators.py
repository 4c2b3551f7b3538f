"""Everything that might warn of collapse, each with the direction it warns in, fixed beforehand.

Directions come from hypotheses, never from data. Spectral: the first seed's four indicators (R1.7)
are a falling ratio, a centre of the bulk that went from 6.54 to -27.45, exploding eigenvalues and a
growing width, and its negative end grew (DESIGN 9). Rank: fewer directions. Text: a model that
learns from itself loses its tails (Shumailov et al., "AI models collapse when trained on
recursively generated data", 2024), so that its text gets poorer and its next-token distribution
narrower: diversity and entropy fall, repetition rises. Without filters at temperature 1 this
project saw entropy and diversity *rise* (docs/LOG.md, 2026-11-20); the direction stays, or it would
be fitted to data, and a study that believes the other one says so in a claim.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from analysis.metrics import TEXTS, metric_info

Direction = Literal["increase", "decrease"]
Family = Literal[
    "spectral", "rank", "likelihood", "entropy", "diversity", "repetition", "likeness", "truth"
]
FAMILIES: tuple[Family, ...] = (
    *("spectral", "rank", "likelihood", "entropy"),
    *("diversity", "repetition", "likeness", "truth"),
)
"""In the order of legends; likeness is likeness to human text, truth needs the corpus' grammar."""

Cost = Literal["spectrum", "heads", "likelihood", "samples"]
"""What has to be done to measure it: see `analysis.early_warning.cost`."""


@dataclass(frozen=True)
class Indicator:
    """A metric that may warn.

    Attributes:
        metric: its name in the tracking store.
        direction: the way in which it moves when it warns.
        family: what kind of signal it is.
        cost: what has to be done to measure it.
    """

    metric: str
    direction: Direction
    family: Family
    cost: Cost

    @property
    def sign(self) -> int:
        """1 where a rise warns, -1 where a fall does."""
        return 1 if self.direction == "increase" else -1

    @property
    def label(self) -> str:
        """What it is called in words."""
        return metric_info(self.metric).label

    @property
    def is_oracle(self) -> bool:
        """Whether it takes a corpus whose true distribution is known: nobody else has it."""
        return self.family == "truth"

    @property
    def stage(self) -> str:
        """The stage that measures it."""
        return {"spectrum": "hessian", "heads": "svd_probe"}.get(self.cost, "quality")


_SPECTRAL: tuple[tuple[str, Direction], ...] = (
    ("spectral_ratio", "decrease"),
    ("bulk_center", "decrease"),
    ("bulk_width", "increase"),
    ("lambda_max", "increase"),
    ("lambda_min", "decrease"),
    ("lambda_max_over_abs_min", "decrease"),
    ("outlier_separation", "decrease"),
    ("variance", "increase"),
    ("range", "increase"),
    ("negative_share", "increase"),
    ("legacy_ratio", "decrease"),
    ("iqr_ratio", "decrease"),
)
_RANKS = ("K", "Q", "scores_centred")
"""Keys, queries, and the part of their products that softmax sees, which no gauge moves."""


def _of_text(
    family: Family, cost: Cost, directions: Iterable[tuple[str, Direction]]
) -> tuple[Indicator, ...]:
    return tuple(Indicator(metric, way, family, cost) for metric, way in directions)


INDICATORS: tuple[Indicator, ...] = (
    *(
        Indicator(f"hessian/{text}/{name}", direction, "spectral", "spectrum")
        for text in TEXTS
        for name, direction in _SPECTRAL
    ),
    *(
        Indicator(f"svd/{which}/participation_ratio", "decrease", "rank", "heads")
        for which in _RANKS
    ),
    *_of_text(
        "likelihood",
        "likelihood",
        (
            ("human/nll_nats", "increase"),
            ("human/perplexity", "increase"),
            ("own/nll_nats", "decrease"),
        ),
    ),
    *_of_text("entropy", "likelihood", (("human/entropy_nats", "decrease"),)),
    *_of_text(
        "diversity",
        "samples",
        (
            *((f"quality/distinct_{order}", "decrease") for order in (1, 2, 3, 4)),
            ("quality/vocabulary_diversity", "decrease"),
            ("quality/self_bleu", "increase"),
        ),
    ),
    *_of_text(
        "repetition",
        "samples",
        (("quality/repetition_4gram", "increase"), ("quality/collapse_rate", "increase")),
    ),
    *_of_text(
        "likeness",
        "samples",
        (
            ("quality/mauve", "decrease"),
            ("quality/coherence", "decrease"),
            ("quality/bleu", "decrease"),
            ("quality/rouge_l", "decrease"),
            ("quality/parse_rate", "decrease"),
        ),
    ),
    *_of_text(
        "truth",
        "samples",
        (("truth/valid_fraction", "decrease"), ("truth/tail_coverage", "decrease")),
    ),
    Indicator("truth/kl_nats_per_token", "increase", "truth", "likelihood"),
)

PRIMARY = "hessian/human/spectral_ratio"
"""The spectral indicator that the seeds put forward, preset: it alone is compared with rivals."""
RIVALS = ("human/perplexity", "human/entropy_nats", "quality/distinct_2")
"""The traditional metrics that it is compared with, preset."""

_BY_METRIC = {indicator.metric: indicator for indicator in INDICATORS}


def indicator_of(metric: str, direction: Direction | None = None) -> Indicator | None:
    """The catalogue's indicator of a metric, warning in the direction that is given.

    Args:
        metric: the metric.
        direction: that of a claim; None is the catalogue's own.

    Returns:
        None for a metric that is not in the catalogue.
    """
    found = _BY_METRIC.get(metric)
    if found is None or direction is None:
        return found
    return replace(found, direction=direction)
