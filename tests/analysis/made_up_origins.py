"""Made-up chains whose distance from the truth has planted parts."""

from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.study import ORIGIN_COLUMNS, StudyRecord
from tests.analysis.made_up_study import made_up_study

SEEDS, LAST = (0, 1, 2, 3), 4
# What a generation adds: to sampling, to what is not learnt, to what is made up.
STEPS = {
    "replace": (0.2, 0.3, 0.2),
    "mixed": (0.03, 0.05, 0.02),
    "accumulate": (0.01, 0.04, 0.0),
    "fresh": (0.0, 0.0, 0.0),
}


def parts(arm: str, seed: int, generation: int, decoding: float = 0.0) -> dict[str, float]:
    sampling, not_learned, made_up = (step * generation for step in STEPS[arm])
    jitter = 0.01 * (-1) ** seed * (1 + (generation > 0) * (arm == "replace"))
    found = {
        "sampling": 0.08 + sampling,
        "fitting": 0.5 + not_learned + made_up + jitter,
        "decoding": decoding * (1 + generation),
        "made_up": 0.3 + made_up,
    }
    return found | {"total": found["sampling"] + found["fitting"] + found["decoding"]}


def made_up_origins(decoding: float = 0.0, **changes: Any) -> StudyRecord:
    """A study whose chains have all parts, and what was read of them."""
    chains = [(arm, seed, g) for arm in STEPS for seed in SEEDS for g in range(LAST + 1)]
    rows = [
        (*chain, f"origin/{name}_nats", value)
        for chain in chains
        for name, value in parts(*chain, decoding).items()
    ]
    rows += [
        (arm, seed, g, "origin/read_valid_fraction", 1 - 0.1 * g * (arm == "replace"))
        for arm, seed, g in chains
    ]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "generation", "metric", "value"])
    before = []
    for arm, seed, g in chains:
        # All of what an arm of its own text reads, none of what people write.
        passed = parts(arm, seed, g - 1, decoding)["total"] if g and arm == "replace" else 0.0
        inherited = 0.7 * passed
        before.append(
            (arm, seed, g, inherited, parts(arm, seed, g)["sampling"] - inherited, passed)
        )
    record = made_up_study(tuple(STEPS), SEEDS, LAST, measurements=frame)
    origins = pd.DataFrame(before, columns=list(ORIGIN_COLUMNS))
    return replace(record, **({"origins": origins} | changes))
