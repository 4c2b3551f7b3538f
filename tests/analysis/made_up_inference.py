"""Studies of arms with known slopes, seeds with levels of their own, and a planted link."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.study import StudyRecord
from collapse.claims import Claim

METRIC = "human/nll_nats"
LINKED, UNLINKED = "hessian/human/spectral_ratio", "hessian/human/lambda_max"


def claim(
    direction: str, margin: float, contrast: tuple[str, ...], name: str = "c", **more: Any
) -> Claim:
    return Claim(name, "", METRIC, direction, margin, contrast, "", **more)


def study(
    slopes: Mapping[str, float],
    seeds: int = 6,
    generations: int = 4,
    noise: float = 0.3,
    seed: int = 0,
    **changes: Any,
) -> StudyRecord:
    """Arms by slope, the last one the control; LINKED moves with METRIC's noise, UNLINKED not."""
    drawn, rows = np.random.default_rng(seed), []
    for s in range(seeds):
        level = 3 + drawn.normal()
        for arm, slope in slopes.items():
            for g in range(generations + 1):
                own, other = drawn.normal(size=2) * (g > 0)
                value = level + slope * g + noise * own
                rows += [
                    (arm, s, g, METRIC, value),
                    (arm, s, g, LINKED, 10 - slope * g + 3 * (level + noise * own) + 0.3 * other),
                    (arm, s, g, UNLINKED, 40 + slope * g + other),
                ]
    fields: dict[str, Any] = {
        "name": "planted",
        "question": "",
        "control_arm": list(slopes)[-1],
        "arms": tuple(slopes),
        "seeds": tuple(range(seeds)),
        "generations": generations,
        "settings": {},
        "claims": (claim("increase", 0.05, (next(iter(slopes)), list(slopes)[-1])),),
        "claims_hash": "",
        "measurements": pd.DataFrame(
            rows, columns=["arm", "seed", "generation", "metric", "value"]
        ),
        "samples": pd.DataFrame(),
        "runs": pd.DataFrame(),
    }
    return StudyRecord(**(fields | changes))
