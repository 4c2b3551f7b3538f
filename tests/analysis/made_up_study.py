"""Made-up but plausible studies: numbers of the size the stories corpus gives."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.study import StudyRecord
from collapse.claims import Claim

# Drift a generation of each arm, as a share of what replace does.
DRIFT = {"replace": 1.0, "fresh": 0.02, "static": 0.1, "mixed": 0.35, "accumulate": 0.2}

KL_CLAIM = Claim(
    id="drift",
    statement="Training on one's own text raises the KL from the truth.",
    indicator="truth/kl_nats_per_token",
    direction="increase",
    margin=0.005,
    contrast=("replace", "fresh"),
    generation=None,
    refuted_if="the interval of replace minus fresh lies wholly below 0.005 nats a token",
)
VALID_CLAIM = Claim(
    id="valid",
    statement="Training on one's own text loses at least 10 points of valid stories.",
    indicator="truth/valid_fraction",
    direction="decrease",
    margin=0.10,
    contrast=("replace", "fresh"),
    generation=None,
    refuted_if="the interval shows a loss smaller than 10 points",
)


def made_up_values(arm: str, seed: int, generation: int) -> dict[str, float]:
    """The metrics of one chain at one generation; generation 0 depends on the seed alone."""
    noise = np.random.default_rng([seed, generation, len(arm) if generation else 0])
    drift = DRIFT[arm] * generation
    kl_story = 0.55 + 0.02 * seed + 0.95 * drift + 0.02 * noise.normal()
    words = 0.31 - 0.025 * drift
    return {
        "human/nll_nats": 1.30 + kl_story / 68 + 0.05 * drift + 0.006 * noise.normal(),
        "human/entropy_nats": 1.22 - 0.06 * drift + 0.01 * noise.normal(),
        "human/perplexity": np.exp(1.30 + kl_story / 68),
        "own/nll_nats": 1.30 - 0.1 * drift,
        "truth/kl_nats_per_story": kl_story,
        "truth/kl_nats_per_token": kl_story / 68,
        "truth/valid_fraction": 0.62 * np.exp(-0.7 * drift) + 0.01 * noise.normal(),
        "truth/tail_coverage": 0.97 * np.exp(-0.4 * drift) + 0.03 * noise.normal(),
        "quality/distinct_1": words / 3 + 0.002 * noise.normal(),
        "quality/distinct_2": words + 0.005 * noise.normal(),
        "quality/distinct_3": words * 1.6 + 0.005 * noise.normal(),
        "quality/distinct_4": words * 2.1 + 0.005 * noise.normal(),
        "quality/vocabulary_diversity": 0.21 - 0.02 * drift,
    }


def made_up_measurements(
    arms: Iterable[str], seeds: Iterable[int], generations: int
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (arm, seed, generation, metric, value)
            for arm in arms
            for seed in seeds
            for generation in range(generations + 1)
            for metric, value in made_up_values(arm, seed, generation).items()
        ],
        columns=["arm", "seed", "generation", "metric", "value"],
    )


def made_up_samples(arms: Iterable[str], seeds: Iterable[int], generations: int) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for seed in seeds:
        for generation in range(generations + 1):
            for arm in arms:
                again = " The fox looked in the shed." * round(DRIFT[arm] * generation)
                rows += [
                    (
                        arm,
                        seed,
                        generation,
                        f"Once there was a fox named {name}. {name} lost a red key and was sad. "
                        f"An owl helped to look for it.{again}\nAt last they found the key, "
                        "and the fox was glad.",
                    )
                    for name in ("Pim", "Olla")
                ]
    return pd.DataFrame(rows, columns=["arm", "seed", "generation", "text"])


def made_up_runs(arms: Iterable[str], seeds: Iterable[int], generations: int) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for arm in arms:
        for seed in seeds:
            for generation in range(generations + 1):
                for stage in ("recurse_step" if generation else "baseline", "quality"):
                    run_id = f"{len(rows):08x}{seed:08x}"
                    seconds = 17.0 + generation if stage != "quality" else 4.25
                    rows.append((run_id, arm, seed, generation, stage, "FINISHED", seconds, run_id))
    columns = ["run_id", "arm", "seed", "generation", "stage", "status", "seconds", "fingerprint"]
    return pd.DataFrame(rows, columns=columns)


def made_up_study(
    arms: Iterable[str] = ("replace", "fresh"),
    seeds: Iterable[int] = (0, 1),
    generations: int = 3,
    **changes: Any,
) -> StudyRecord:
    """A study's record; ``changes`` replace fields of it."""
    fields: dict[str, Any] = {
        "name": "quickstart",
        "question": "Does a small model that learns from its own stories lose the truth?",
        "control_arm": "fresh",
        "arms": tuple(arms),
        "seeds": tuple(seeds),
        "generations": generations,
        "settings": {
            "preset": "pocket",
            "corpus": "stories",
            "steps": [800, 100],
            "learning_rate": 3.0e-3,
            "temperature": 1.0,
            "commands": ["make setup", "mlflow run . --env-manager local -P study=quickstart"],
        },
        "claims": (KL_CLAIM, VALID_CLAIM),
        "claims_hash": "3f9a6c0d2b8e417f" * 4,
        "measurements": made_up_measurements(arms, seeds, generations),
        "samples": made_up_samples(arms, seeds, generations),
        "runs": made_up_runs(arms, seeds, generations),
        "kinds": {arm: arm for arm in arms},
    }
    return StudyRecord(**(fields | changes))


def only(record: StudyRecord, metric: str) -> StudyRecord:
    """The same study with one metric, to draw one figure where one will do."""
    rows = record.measurements
    return replace(record, measurements=rows[rows["metric"] == metric])
