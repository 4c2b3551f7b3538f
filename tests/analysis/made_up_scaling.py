"""A made-up study of scaling like `tiny_scaling`, with a planted law, planted tasks and rates."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.study import StudyRecord

# Body parameters of each shape; medium is the control.
SHAPES = {"tiny": 1e5, "small": 4e5, "medium": 1.2e6, "large": 3e6, "xlarge": 9e6}
FLOORS = {"hellaswag": 0.25, "piqa": 0.5, "arithmetic": 0.05, "lambada": 0.001, "squad": 0.0}
ALPHA, FLOOR, SCALE = 0.35, 1.2, 0.5
PLAIN: Mapping[str, object] = {
    "learning_rate": 0.01,
    "optimizer": "muon",
    "sequence_length": 512,
    "baseline_steps": 1000,
}
BEST_RATE = 0.014

SETTINGS: dict[str, dict[str, object]] = {
    **{shape: {**PLAIN, "preset": shape} for shape in SHAPES},
    **{
        f"rate_{rate}": {**PLAIN, "preset": "medium", "learning_rate": rate}
        for rate in (0.005, 0.02, 0.05)
    },
    "short": {**PLAIN, "preset": "medium", "sequence_length": 256},
    "long": {**PLAIN, "preset": "medium", "sequence_length": 1024},
    "adamw": {**PLAIN, "preset": "medium", "optimizer": "adamw"},
    "untrained": {**PLAIN, "preset": "medium", "baseline_steps": 100},
}
ARMS = tuple(SETTINGS)


def planted_loss(size: float, settings: Mapping[str, Any]) -> float:
    """The loss without noise: a law of size, a bowl over rates, a cost of AdamW."""
    loss = FLOOR + SCALE * (size / 1e6) ** -ALPHA
    loss += 0.1 * np.log2(settings["learning_rate"] / BEST_RATE) ** 2
    loss += 0.2 * (settings["optimizer"] == "adamw")
    return float(loss + 1.5 * (settings["baseline_steps"] < 1000))


def made_up_scaling(
    seeds: Iterable[int] = range(6), *, noise: float = 0.004, seed: int = 0
) -> pd.DataFrame:
    """Measurements; tasks rise as the loss falls, save PIQA, which no model can do."""
    drawn = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    for arm, settings in SETTINGS.items():
        size = SHAPES[str(settings["preset"])]
        for chain in seeds:
            loss = planted_loss(size, settings) * (1 + noise * drawn.normal())
            able = np.clip(1.1 - 0.4 * loss, 0, 1)
            found = {
                "human/nll_nats": loss,
                "human/bits_per_byte": loss / 2.5,
                "train/body_parameters": size,
                "train/parameters": size + 2e5,
                "train/tokens_seen": 1e7,
            }
            scores = []
            for task, floor in FLOORS.items():
                own = 0.0 if task == "piqa" else able
                own = float(np.clip(own + 0.02 * drawn.normal(), 0, 1))
                name = "em" if task == "squad" else "acc"
                found[f"benchmark/{task}/{name}"] = floor + (1 - floor) * own
                found[f"benchmark/{task}/floor"] = floor
                scores.append(own)
            found["benchmark/overall"] = float(np.mean(scores))
            rows += [(arm, chain, 0, metric, value) for metric, value in found.items()]
    return pd.DataFrame(rows, columns=["arm", "seed", "generation", "metric", "value"])


def made_up_dynamics(seeds: Iterable[int] = range(6), *, seed: int = 0) -> pd.DataFrame:
    """Values on the way of medium: no step after 4,000 brings anything."""
    drawn = np.random.default_rng(seed)
    rows = []
    for chain in seeds:
        for step in range(1000, 10001, 1000):
            told = min(step, 4000) / 1000
            loss = 3.0 - 0.5 * np.log2(told) + 0.01 * drawn.normal()
            score = 0.1 + 0.1 * np.log2(told) + 0.01 * drawn.normal()
            rows.append(("medium", chain, step, "human/nll_nats", loss))
            rows.append(("medium", chain, step, "benchmark/overall", score))
    return pd.DataFrame(rows, columns=["arm", "seed", "step", "metric", "value"])


def study_of_scaling(measurements: pd.DataFrame | None = None, **changes: Any) -> StudyRecord:
    """A study of single trainings; its seeds are those that were measured."""
    rows = made_up_scaling() if measurements is None else measurements
    empty = pd.DataFrame()
    fields: dict[str, Any] = {
        "name": "tiny_scaling",
        "question": "What makes a small model good at nine tasks?",
        "control_arm": "medium",
        "arms": ARMS,
        "seeds": tuple(sorted(set(rows["seed"]))),
        "generations": 0,
        "settings": {},
        "claims": (),
        "claims_hash": "",
        "measurements": rows,
        "samples": empty,
        "runs": empty,
        "arm_settings": SETTINGS,
    }
    return StudyRecord(**(fields | changes))
