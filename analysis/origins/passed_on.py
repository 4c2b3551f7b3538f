"""What the text that a generation read had lost of the truth, before the generation read it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.study import ORIGIN_COLUMNS
from collapse.numerics.origins import log_mixture

Floats = NDArray[np.float64]

_CHAIN = ["arm", "seed"]
_WRITTEN_BY_PARENT = "synthetic_gen"


@dataclass(frozen=True)
class _Chain:
    """One chain's scores of the same held-out stories, in nats, and what it read.

    Attributes:
        scores: by generation; columns truth, refit and, where there is one, decoded.
        made_up_nats: by generation, minus the log of the share of valid stories among its samples.
    """

    scores: Mapping[int, pd.DataFrame]
    made_up_nats: Mapping[int, float]

    def log_source(self, source: str, generation: int, among_stories: bool) -> Floats | None:
        """What a source gives each held-out story; None where nobody knows.

        Args:
            source: as in the ledger of a generation.
            generation: of the reader.
            among_stories: of its stories alone, not of all its texts.
        """
        if source.startswith("human"):
            return self.scores[generation]["truth"].to_numpy()
        if not source.startswith(_WRITTEN_BY_PARENT):
            return None
        # A source is named after the generation that reads it first; its parent wrote it.
        writer = int(source.removeprefix(_WRITTEN_BY_PARENT)) - 1
        scores = self.scores.get(writer)
        if scores is None or "decoded" not in scores or scores["decoded"].isna().any():
            return None
        rarity = self.made_up_nats.get(writer, np.nan) if among_stories else 0.0
        return scores["decoded"].to_numpy() + rarity


def passed_on(scores: pd.DataFrame, read: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """What was lost before each generation read its text, and what its finite number cost.

    The texts of a generation come from a mixture: people, who write the truth, and earlier
    generations as they write, weighed by the texts that were read of each. Nobody who reads them
    can come nearer to the truth, however many there are, than this mixture is.

    Args:
        scores: columns arm, seed, generation, story, truth, refit, model and, where it has a
            likelihood, decoded: log-probabilities in nats.
        read: columns arm, seed, generation, source, texts, stories.
        measured: columns arm, seed, generation, metric, value.

    Returns:
        Columns ``ORIGIN_COLUMNS``, means over the held-out stories in nats a story. ``passed``: the
        distance of the mixture from the truth. ``inherited``: the same of its stories alone, which
        is all that the refitted grammar reads, and ``drawn``: from there to the refit; these two
        add up to the sampling part. ``drawn`` is what the finite draw costs, less what the grammar
        puts right that earlier networks had distorted. Missing where a writer's share of valid
        stories is; no row where a source is unknown.
    """
    rarity = measured[measured["metric"] == "origin/made_up_nats"]
    rows = []
    for (arm, seed), of_chain in scores.groupby(_CHAIN, sort=False):
        own = rarity[(rarity["arm"] == arm) & (rarity["seed"] == seed)]
        generations = sorted(of_chain["generation"].unique().tolist())
        chain = _Chain(
            {g: of_chain[of_chain["generation"] == g].sort_values("story") for g in generations},
            dict(zip(own["generation"].astype(int), own["value"].astype(float), strict=True)),
        )
        texts = read[(read["arm"] == arm) & (read["seed"] == seed)]
        rows += [(arm, seed, *row) for row in _of_chain(chain, texts)]
    return pd.DataFrame(rows, columns=list(ORIGIN_COLUMNS))


def _of_chain(chain: _Chain, read: pd.DataFrame) -> Iterator[tuple[int, float, float, float]]:
    for generation, scores in chain.scores.items():
        sources = read[read["generation"] == generation]
        passed = _mixture(chain, generation, sources, "texts")
        if passed is None:
            continue
        truth, learnt = scores["truth"].to_numpy(), scores["refit"].to_numpy()
        stories = _mixture(chain, generation, sources[sources["stories"] > 0], "stories")
        told = np.full_like(truth, np.nan) if stories is None else stories
        yield (
            generation,
            float(np.mean(truth - told)),
            float(np.mean(told - learnt)),
            float(np.mean(truth - passed)),
        )


def _mixture(chain: _Chain, generation: int, sources: pd.DataFrame, weigh: str) -> Floats | None:
    """What all sources together give each held-out story, weighed by a column."""
    of_sources = [chain.log_source(s, generation, weigh == "stories") for s in sources["source"]]
    known = [one for one in of_sources if one is not None]
    if not known or len(known) < len(of_sources):
        return None
    return log_mixture(known, sources[weigh].tolist())
