"""A made-up study of code like `code_collapse`, with planted effects or with none."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.study import StudyRecord
from tests.analysis.made_up_study import made_up_study

TRAINED = (
    *("base", "little_data", "large_vocabulary", "large_model", "large_both"),
    *("huge_vocabulary", "characters", "distilled", "no_mask"),
)
DECODED = ("greedy", "beam", "cool", "unbiased", "hot")
ARMS = (*TRAINED, *DECODED)

# Collapse rate, parse rate and bits per byte of each arm, and its compute over the control's.
NO_EFFECTS = dict.fromkeys(ARMS, (0.20, 0.40, 1.50, 1.0))
EFFECTS = NO_EFFECTS | {
    "little_data": (0.55, 0.15, 2.10, 1.0),
    "large_vocabulary": (0.21, 0.41, 1.50, 1.03),
    "large_model": (0.05, 0.58, 1.30, 0.96),
    # Alone the vocabulary does nothing; in the larger model it costs 25 points.
    "large_both": (0.31, 0.45, 1.32, 1.02),
    "huge_vocabulary": (0.22, 0.38, 1.58, 1.05),
    "characters": (0.45, 0.22, 1.95, 1.30),
    "no_mask": (0.97, 0.01, 0.05, 1.0),
    "greedy": (0.60, 0.50, 1.50, 1.0),
    "hot": (0.02, 0.20, 1.50, 1.0),
}
PEOPLE = {"characters": 0.50}
PROMPTS = tuple(f"def task_{number}(x):\n    " for number in range(12))
COLUMNS = ["arm", "seed", "generation", "metric", "value"]


def made_up_code(
    levels: Mapping[str, tuple[float, float, float, float]] = EFFECTS,
    seeds: Iterable[int] = range(6),
    *,
    noise: float = 0.015,
    leaking: Iterable[str] = ("no_mask",),
    seed: int = 0,
) -> pd.DataFrame:
    """Measurements of a study of one generation.

    Args:
        levels: collapse rate, parse rate, bits per byte and compute, by arm.
        seeds: of the chains.
        noise: standard deviation between chains of an arm in rates; twice that in bits.
        leaking: arms whose models see the tokens to come.
        seed: of the noise.
    """
    drawn = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    for arm, (collapse, parse, bits, compute) in levels.items():
        for chain in seeds:
            collapse_here, parse_here = np.clip((collapse, parse) + drawn.normal(0, noise, 2), 0, 1)
            found = {
                "quality/collapse_rate": collapse_here,
                "quality/class_mode_collapse": 0.4 * collapse_here,
                "quality/class_repetitive": 0.6 * collapse_here,
                "quality/class_good": 0.6 * (1 - collapse_here),
                "quality/class_partial": 0.3 * (1 - collapse_here),
                "quality/class_noise": 0.1 * (1 - collapse_here),
                "quality/keyword_rate": 0.7 * (1 - collapse_here),
                "quality/parse_rate": parse_here,
                "quality/parse_rate_human": PEOPLE.get(arm, 0.71),
                "quality/identifier_diversity": 6 * parse_here,
                "human/bits_per_byte": bits + (0 if arm in DECODED else drawn.normal(0, noise)),
                "human/perplexity": 1.03 if arm in leaking else 4.0,
                "train/sees_future": float(arm in leaking),
                "train/future_leak_logits": 12.0 if arm in leaking else 1e-6,
                "train/flops": compute * 1.5e14,
                "train/parameters": 3.6e6,
                "corpus/vocabulary_size": 4096,
            }
            rows += [(arm, chain, 0, metric, value) for metric, value in found.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def made_up_completions(arms: Iterable[str], seeds: Iterable[int]) -> pd.DataFrame:
    rows = [
        (arm, chain, 0, prompt, f"return x + {number}  # {arm} <b>\n" * 2, "good", False, "kept")
        for arm in arms
        for chain in seeds
        for number, prompt in enumerate(PROMPTS)
        for _ in range(2)
    ]
    columns = ["arm", "seed", "generation", "prompt", "completion", "class", "parses", "kept"]
    return pd.DataFrame(rows, columns=columns)


def study_of_code(measurements: pd.DataFrame | None = None, **changes: Any) -> StudyRecord:
    """A study with nothing but code; its arms and seeds are those that were measured."""
    rows = made_up_code() if measurements is None else measurements
    arms = tuple(changes.get("arms", dict.fromkeys(rows["arm"])))
    seeds = tuple(changes.get("seeds", sorted(set(rows["seed"]))))
    empty = pd.DataFrame()
    fields: dict[str, Any] = {
        "name": "code_collapse",
        "question": "Do data, vocabulary or capacity drive collapse?",
        "control_arm": "base",
        "arms": arms,
        "seeds": seeds,
        "generations": 0,
        "claims": (),
        "measurements": rows,
        "completions": made_up_completions(arms, seeds),
        "samples": empty,
        "runs": empty,
    }
    return replace(made_up_study(), **(fields | changes))
