"""Chains made to order: when an indicator leaves the healthy ones, and when the event comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.study import StudyRecord
from collapse.claims import Claim
from tests.analysis.made_up_study import made_up_study

KINDS = {"replace": "replace", "fresh": "fresh", "static": "static", "mixed": "mixed"}
SEEDS = tuple(range(12))
GENERATIONS = 6
NLL, VALID, DISTINCT = "human/nll_nats", "truth/valid_fraction", "quality/distinct_4"
RATIO = "hessian/human/spectral_ratio"


@dataclass(frozen=True)
class Course:
    """How a metric goes.

    Attributes:
        level: where healthy chains are.
        noise: standard deviation about it, in every arm and generation.
        leaves: generation from which the judged arms are elsewhere; None for never.
        step: by how much more in every generation from there on.
    """

    level: float
    noise: float
    leaves: int | None = None
    step: float = 0.0


WITH_LEAD_2: Mapping[str, Course] = {
    # The event comes at generation 5; the ratio leaves at 2, so that its alarm is seen at 3.
    NLL: Course(1.3, 0.002, 5, 0.1),
    RATIO: Course(100.0, 2.0, 2, -30.0),
    "human/entropy_nats": Course(1.2, 0.01),
    "quality/distinct_2": Course(0.3, 0.002, 4, -0.03),
    "human/perplexity": Course(3.7, 0.01, 5, 0.4),
}


def chains(
    courses: Mapping[str, Course] = WITH_LEAD_2,
    arms: Sequence[str] = ("replace", "fresh", "static"),
    seeds: Sequence[int] = SEEDS,
    generations: int = GENERATIONS,
    stream: int = 0,
    **changes: Any,
) -> StudyRecord:
    """A study whose arms of human text never leave, and whose other arms do."""
    rng = np.random.default_rng(stream)
    rows = []
    for metric, course in courses.items():
        for seed in seeds:
            start = course.level + course.noise * rng.normal()
            for arm in arms:
                for generation in range(generations + 1):
                    noise = course.noise * rng.normal() if generation else 0.0
                    drift = 0.0
                    leaves = course.leaves if KINDS[arm] not in {"fresh", "static"} else None
                    if leaves is not None and generation >= leaves:
                        drift = course.step * (generation - leaves + 1)
                    rows.append((arm, seed, generation, metric, start + drift + noise))
    columns = ["arm", "seed", "generation", "metric", "value"]
    defaults: dict[str, Any] = {
        "measurements": pd.DataFrame(rows, columns=columns),
        "kinds": {arm: KINDS[arm] for arm in arms},
        "claims": (lead_claim(),),
    }
    return made_up_study(arms, seeds, generations, **(defaults | changes))


def lead_claim(**changes: Any) -> Claim:
    fields: dict[str, Any] = {
        "id": "lead",
        "statement": "The spectral ratio leads the event by at least 2 generations.",
        "indicator": RATIO,
        "direction": "decrease",
        "margin": 2.0,
        "contrast": ("replace", "fresh"),
        "generation": None,
        "refuted_if": "the interval of the median lead lies below 2 generations",
        "event": NLL,
    }
    return Claim(**(fields | changes))


def without(record: StudyRecord, **where: Any) -> pd.DataFrame:
    """The measurements but for those at a place, such as ``arm="static", generation=3``."""
    rows = record.measurements
    there = pd.Series(True, index=rows.index)
    for column, value in where.items():
        there &= rows[column] == value
    return rows[~there]
