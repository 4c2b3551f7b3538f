"""Distance from the known distribution of `stories` (DESIGN 4)."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from collapse.language.corpora.stories import Derivation, RareChoice, World
from collapse.probes.likelihood import Likelihood
from collapse.stages.quality.measures import Measures


def measure_truth(
    measures: Measures,
    stories: World,
    test: Sequence[str],
    human: Likelihood,
    spoken: Sequence[Derivation | None],
    folder: Path,
) -> None:
    """KL from the truth, the share of valid stories, and what is left of the rare choices.

    Args:
        measures: is added to.
        stories: that the corpus is drawn from.
        test: held-out ones.
        human: what the model thinks of them.
        spoken: of each sample the choices that tell it, None where it is no story.
        folder: gets ``rare_choices.csv``, the share of each rare choice.
    """
    derivations = [stories.recognise(text) for text in test]
    log_p = np.array([one.log_probability_nats for one in derivations if one is not None])
    if len(log_p) != len(test):
        raise AssertionError("a held-out text of the corpus stories is no story")
    kl_nats = human.sequence_nll_nats + log_p
    measures.mean("truth/kl_nats_per_story", kl_nats)
    tokens = float(np.mean(human.sequence_tokens))
    valid = [one for one in spoken if one is not None]
    measures.add(
        {
            "truth/kl_nats_per_token": float(kl_nats.mean()) / tokens,
            "truth/tail_coverage": stories.tail_coverage(valid, len(spoken)),
        }
    )
    measures.share("truth/valid_fraction", [one is not None for one in spoken])
    _write_rare_choices(folder / "rare_choices.csv", stories.rare_shares(valid, len(spoken)))


def _write_rare_choices(path: Path, shares: Mapping[RareChoice, float]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["choice", "option", "probability", "share"])
        for rare, share in shares.items():
            table.writerow([rare.name, rare.option, f"{rare.probability:.6g}", f"{share:.6g}"])
