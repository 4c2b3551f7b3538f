"""The stage `quality`: what a generation knows of human text, and what its own text is like."""

import json
import math
from collections.abc import Iterator, Sequence

import numpy as np

from collapse.language.corpora import stories
from collapse.measurement import Measurement
from collapse.numerics.diversity import (
    distinct_n,
    repeated_ngram_share,
    vocabulary_diversity,
    words,
)
from collapse.numerics.streams import stream_seed
from collapse.parameters.doors import Quality
from collapse.probes.likelihood import Likelihood, bits_per_byte
from collapse.stages.generation import load_input, open_ground
from collapse.stages.likelihood import text_likelihood
from collapse.stages.synthesis import draw
from collapse.stages.texts import note_of, read_texts
from collapse.stages.workspace import Workspace


def quality(parameters: Quality, workspace: Workspace) -> Iterator[Measurement]:
    """Likelihood of held-out human text and of the own training text, and measures of samples.

    On a corpus whose true distribution is known, the distance from it is measured too.

    Yields:
        One measurement at step = generation.
    """
    ground = open_ground(workspace)
    model = load_input(workspace, parameters.device)
    test = ground.human.heldout("test")
    human = text_likelihood(model, ground, test)
    values = {
        "human/nll_nats": human.nll_nats,
        "human/nll_nats_se": human.nll_nats_se,
        "human/perplexity": human.perplexity,
        "human/bits_per_byte": bits_per_byte(human, sum(len(text.encode()) for text in test)),
        "human/entropy_nats": human.entropy_nats,
    }
    own = read_texts(workspace.inputs.lineage[-1] / "own_text")
    values["own/nll_nats"] = text_likelihood(model, ground, own).nll_nats

    with workspace.progress("sampling for quality", parameters.samples) as advance:
        seed = stream_seed(parameters.seed, "quality", parameters.generation)
        samples = draw(model, ground.tokenizer, parameters.samples, parameters, seed, advance).texts
    values |= _diversity(samples)
    if ground.human.card.is_generative:
        values |= _truth(test, human, samples)
    _write_samples(workspace, samples, judged=ground.human.card.is_generative)
    workspace.datasets.append(note_of(test, "test", "evaluation", ""))
    # One document has no standard error: what was not measured is not logged.
    measured = {name: value for name, value in values.items() if math.isfinite(value)}
    yield Measurement(parameters.generation, measured)


def _diversity(samples: Sequence[str]) -> dict[str, float]:
    documents = [words(text) for text in samples]
    measured = {f"quality/distinct_{n}": distinct_n(documents, n) for n in (1, 2, 3, 4)}
    measured["quality/vocabulary_diversity"] = vocabulary_diversity(documents)
    measured["quality/repetition_4gram"] = repeated_ngram_share(documents)
    measured["quality/words_per_text"] = float(np.mean([len(tokens) for tokens in documents]))
    return {name: value for name, value in measured.items() if value is not None}


def _truth(test: Sequence[str], human: Likelihood, samples: Sequence[str]) -> dict[str, float]:
    """Distance from the known distribution of `stories` (DESIGN 4)."""
    derivations = [stories.recognise(text) for text in test]
    log_p = np.array([one.log_probability_nats for one in derivations if one is not None])
    if len(log_p) != len(test):
        raise AssertionError("a held-out text of the corpus stories is no story")
    kl_nats = human.sequence_nll_nats + log_p
    tokens = float(np.mean(human.sequence_tokens))
    spoken = [one for text in samples if (one := stories.recognise(text)) is not None]
    valid = len(spoken) / len(samples)
    return {
        "truth/kl_nats_per_story": float(kl_nats.mean()),
        "truth/kl_nats_per_story_se": float(kl_nats.std(ddof=1) / math.sqrt(len(kl_nats))),
        "truth/kl_nats_per_token": float(kl_nats.mean()) / tokens,
        "truth/valid_fraction": valid,
        "truth/valid_fraction_se": math.sqrt(valid * (1 - valid) / len(samples)),
        "truth/tail_coverage": stories.tail_coverage(spoken, len(samples)),
    }


def _write_samples(workspace: Workspace, samples: Sequence[str], *, judged: bool) -> None:
    """All samples, one JSON object a line; where the truth is known, whether each is a story."""
    with (workspace.folder / "samples.jsonl").open("w", encoding="utf-8") as file:
        for text in samples:
            row: dict[str, object] = {"text": text}
            if judged:
                row["valid"] = stories.recognise(text) is not None
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
