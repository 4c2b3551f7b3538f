"""What must be said before any number of a chain is believed."""

from collections.abc import Iterable

import pandas as pd

from analysis.study import StudyRecord, metric_values

LEAST_PERPLEXITY = 1.2
"""No text that is worth modelling is told so surely, token by token."""


def alarms(record: StudyRecord) -> dict[str, str]:
    """One or two sentences by each arm whose likelihoods are not to be believed.

    A model that sees the tokens it is to predict learns to copy them: its perplexity falls to 1,
    and what it writes is broken (the code study's seed, DESIGN 9). Where nothing leaks and the
    perplexity is still too good to be true, held-out text may stand in the training text.
    """
    perplexities = metric_values(record, "human/perplexity")
    leaking = _of_chains(metric_values(record, "train/sees_future") > 0, record)
    too_good = _of_chains(perplexities < LEAST_PERPLEXITY, record)
    told = {}
    for arm in record.arms:
        best = perplexities[perplexities.index.get_level_values("arm") == arm].min()
        if seeds := leaking.get(arm):
            told[arm] = _leak(record, arm, seeds, best)
        elif seeds := too_good.get(arm):
            told[arm] = (
                f"The perplexity of {arm} falls to {best:.3f} on held-out text "
                f"({_seeds(seeds)}), too good to be true, though no token sees those after it: "
                "look whether the held-out text stands in the training text."
            )
    return told


def _of_chains(alarming: pd.Series, record: StudyRecord) -> dict[str, list[int]]:
    """The seeds at which something alarms at any generation, by arm."""
    where = alarming[alarming].index
    return {
        arm: sorted({int(seed) for a, seed, _ in where if a == arm})
        for arm in record.arms
        if arm in where.get_level_values("arm")
    }


def _leak(record: StudyRecord, arm: str, seeds: list[int], perplexity: float) -> str:
    moved = metric_values(record, "train/future_leak_logits")
    most = moved[moved.index.get_level_values("arm") == arm].max()
    measured = "" if pd.isna(perplexity) else f" of {perplexity:.3f}"
    return (
        f"The model of {arm} sees the tokens that it is to predict ({_seeds(seeds)}): a logit "
        f"moves by up to {most:.3g} when a later token changes. Its perplexity{measured} says "
        "nothing of what it can write."
    )


def _seeds(seeds: Iterable[int]) -> str:
    listed = [str(seed) for seed in seeds]
    return f"seed{'s' * (len(listed) != 1)} {', '.join(listed)}"
