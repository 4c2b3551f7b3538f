"""Metrics of where the distance from the truth comes from (`stories` alone)."""

from analysis.metrics.metric import SHARE, Metric

ORIGIN_METRICS = (
    *(
        Metric(f"origin/{part}_nats", label, "nats a story", change="difference", reading=reading)
        for part, label, reading in (
            (
                "total",
                "Distance from the truth, as it writes",
                "The sum of sampling, fitting and decoding.",
            ),
            (
                "sampling",
                "Distance by sampling",
                "What the stories that a generation read no longer say, to whom knows the grammar.",
            ),
            (
                "fitting",
                "Distance by fitting",
                "What the network did not learn of its text, or made up; below 0 where its weights "
                "know more than that text.",
            ),
            (
                "decoding",
                "Distance by decoding",
                "What temperature, top-k and top-p add; 0 without them.",
            ),
            (
                "made_up",
                "Distance by texts that are no stories",
                "Minus the logarithm of the share of valid stories.",
            ),
        )
    ),
    Metric(
        "origin/read_valid_fraction",
        "Share of valid stories among the texts it read",
        "% of texts",
        **SHARE,
    ),
    Metric(
        "origin/outside_fraction",
        "Held-out stories that its filters rule out",
        "% of stories",
        reading="A token of them is outside top-k or top-p; such tokens keep a mass of 0.0001.",
        **SHARE,
    ),
)
