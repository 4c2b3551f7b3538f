"""Where a generation's distance from the truth comes from, on `stories`, whose truth is known."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collapse.language.corpora.stories import Derivation, World
from collapse.language.corpora.stories.refit import Refit, refit
from collapse.language.sampling.choice import Decoding
from collapse.numerics.origins import TextScores
from collapse.parameters.doors import Quality
from collapse.probes.decoded import DecodedLikelihood, decoded_nll
from collapse.probes.likelihood import Likelihood
from collapse.stages.generation import Ground
from collapse.stages.likelihood import WINDOW
from collapse.stages.quality.measures import Measures
from collapse.stages.quality.offered import offered_texts
from collapse.stages.workspace import Workspace

NOT_SAMPLED = "greedy decoding and beams write one text, which has no likelihood to subtract"
"""Why a generation has no decoding part, and so no whole."""


@dataclass(frozen=True)
class Read:
    """What a generation was trained on, of one source.

    Attributes:
        source: as in the ledger.
        texts: how many.
        told: of those that are stories, the choices that tell them.
    """

    source: str
    texts: int
    told: list[Derivation]


def measure_origins(
    measures: Measures,
    parameters: Quality,
    stories: World,
    ground: Ground,
    model: Any,
    workspace: Workspace,
    human: Likelihood,
    spoken: Sequence[Derivation | None],
) -> None:
    """Split the distance from the truth into sampling, fitting and decoding (issue 9).

    All in nats a story, over the held-out stories. Sampling: what a learner that knows the grammar
    but for its probabilities misses after it read the stories among the generation's training text
    (those by earlier generations have lost something before). Fitting: what the network misses
    beyond that, because it did not learn it, or spends mass on what is no story, or reads a story
    in another cut of tokens than the tokenizer's. Decoding: what temperature, top-k and top-p add,
    as the stage's own samples are drawn. The mass on no stories is measured beside, as the
    logarithm of the samples' valid share.

    What was read is what was new to the generation: one that starts from its parent's weights may
    know more, and its fitting part may be negative.

    Args:
        measures: is added to.
        parameters: the decoding, and what a random subsample was drawn with.
        stories: that the corpus is drawn from.
        ground: corpus and tokenizer.
        model: of the generation.
        workspace: knows the generations up to this one; its folder gets ``origins.csv``, the
            scores of each held-out story, and ``origins_read.csv``, who wrote what was read.
        human: what the model thinks of the held-out stories.
        spoken: of each sample the choices that tell it, None where it is no story.
    """
    test = ground.human.heldout("test")
    read = list(_read(parameters, stories, ground, workspace.inputs.lineage))
    learnt = refit(stories.machine, (one for source in read for one in source.told))
    decoded = _decoded(parameters, ground, model, test)
    derivations = [one for one in map(stories.recognise, test) if one is not None]
    if len(derivations) != len(test):
        raise AssertionError("a held-out text of the corpus stories is no story")
    scores = _scores(parameters, derivations, learnt, human, decoded)
    for name, nats_S in scores.parts().items():
        measures.mean(f"origin/{name}_nats", nats_S)
    texts = sum(source.texts for source in read)
    measures.add({"origin/read_valid_fraction": learnt.stories / texts})
    if scores.decoded is None:
        measures.left_out["origin/decoding_nats"] = NOT_SAMPLED
    elif not any(spoken):
        measures.left_out["origin/made_up_nats"] = f"none of {len(spoken)} samples is a story"
    else:
        measures.rarity("origin/made_up_nats", [one is not None for one in spoken])
    if decoded is not None:
        measures.share("origin/outside_fraction", decoded.sequence_outside > 0)
    _write_scores(workspace.folder / "origins.csv", scores)
    _write_read(workspace.folder / "origins_read.csv", read)


def _read(
    parameters: Quality, stories: World, ground: Ground, lineage: Sequence[Path]
) -> Iterator[Read]:
    """The texts that the newest generation was trained on, source by source."""
    for source, texts in offered_texts(parameters, ground, lineage):
        told = [one for one in map(stories.recognise, texts) if one is not None]
        yield Read(source, len(texts), told)


def _decoded(
    parameters: Quality, ground: Ground, model: Any, test: Sequence[str]
) -> DecodedLikelihood | None:
    """Of the held-out stories, as samples are drawn; None where that changes no distribution."""
    decoding = Decoding(parameters.temperature, parameters.top_k, parameters.top_p)
    if parameters.temperature == 0 or decoding == Decoding():
        return None
    sequences = ground.sequences(test)
    return decoded_nll(model, sequences, decoding, batch_size=32, window=WINDOW)


def _scores(
    parameters: Quality,
    derivations: Sequence[Derivation],
    learnt: Refit,
    human: Likelihood,
    decoded: DecodedLikelihood | None,
) -> TextScores:
    written = None if parameters.temperature == 0 else -(decoded or human).sequence_nll_nats
    return TextScores(
        truth=np.array([one.log_probability_nats for one in derivations]),
        refit=np.array([learnt.log_probability_nats(one) for one in derivations]),
        model=-human.sequence_nll_nats,
        decoded=written,
    )


def _write_scores(path: Path, scores: TextScores) -> None:
    """Log-probabilities in nats, a row a held-out story; ``decoded`` is empty if there is none."""
    columns = {name: one for name, one in vars(scores).items() if one is not None}
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["story", *columns])
        for story, row in enumerate(zip(*columns.values(), strict=True)):
            table.writerow([story, *(f"{nats:.6f}" for nats in row)])


def _write_read(path: Path, read: Sequence[Read]) -> None:
    """A row a source: texts read of it, and how many of these are stories."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["source", "texts", "stories"])
        table.writerows([source.source, source.texts, len(source.told)] for source in read)
