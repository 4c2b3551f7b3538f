"""What is measured of a generation's text, in order."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from collapse.language.corpora.stories import Derivation
from collapse.measurement import Measurement
from collapse.numerics.streams import numpy_stream, stream_seed
from collapse.parameters.doors import Quality
from collapse.probes.likelihood import Likelihood, bits_per_byte
from collapse.stages.generation import Ground, load_input, open_ground
from collapse.stages.likelihood import text_likelihood
from collapse.stages.quality.coded import is_asked_for, measure_coded
from collapse.stages.quality.continued import measure_continued
from collapse.stages.quality.copied import measure_copied
from collapse.stages.quality.judged import measure_judged
from collapse.stages.quality.measures import Measures
from collapse.stages.quality.offered import offered_texts
from collapse.stages.quality.origins import measure_origins
from collapse.stages.quality.said import measure_said
from collapse.stages.quality.truth import measure_truth
from collapse.stages.synthesis import draw
from collapse.stages.texts import note_of, read_texts
from collapse.stages.workspace import Workspace

OWN_TOKENS = 100_000
"""Of the own training text, of which a few hundred documents were kept."""


def quality(parameters: Quality, workspace: Workspace) -> Iterator[Measurement]:
    """Likelihood of human text, and what the generation's own text is like beside it.

    Leaves the samples, the continuations and completions to read, and ``quality.json`` with all
    numbers, their intervals, and why others are missing.

    Yields:
        One measurement at step = generation.
    """
    ground = open_ground(workspace)
    model = load_input(workspace, parameters.device)
    measures = Measures(
        numpy_stream(parameters.seed, "quality", "intervals", parameters.generation),
        parameters.intervals,
    )
    test = ground.human.heldout("test")
    human = _measure_likelihoods(measures, workspace, ground, model, test)
    samples = _samples(parameters, workspace, ground, model)
    stories = ground.human.stories
    spoken = [stories.recognise(text) for text in samples] if stories else None
    if stories and spoken is not None:
        measure_truth(measures, stories, test, human, spoken, workspace.folder)
    measure_said(measures, samples)
    sources = offered_texts(parameters, ground, workspace.inputs.lineage)
    measure_copied(measures, samples, test, (text for _, texts in sources for text in texts))
    if parameters.prompts:
        measure_continued(measures, parameters, ground, model, workspace.folder)
    if is_asked_for(parameters, ground):
        measure_coded(measures, parameters, ground, model, workspace.folder)
    held_out = [*test, *ground.human.heldout("calibration")]
    measure_judged(measures, parameters, workspace, held_out, samples)
    if stories and spoken is not None:
        measure_origins(measures, parameters, stories, ground, model, workspace, human, spoken)

    _write_samples(workspace, samples, spoken)
    measures.write(workspace.folder / "quality.json")
    workspace.datasets.append(note_of(test, "test", "evaluation", ""))
    yield Measurement(parameters.generation, measures.values)


def _measure_likelihoods(
    measures: Measures, workspace: Workspace, ground: Ground, model: Any, test: Sequence[str]
) -> Likelihood:
    """Of held-out human text, which is handed back, and of the own training text."""
    human = text_likelihood(model, ground, test)
    own = _some(read_texts(workspace.inputs.lineage[-1] / "own_text"), ground)
    measures.add(
        {
            "human/nll_nats": human.nll_nats,
            "human/nll_nats_se": human.nll_nats_se,
            "human/perplexity": human.perplexity,
            "human/bits_per_byte": bits_per_byte(human, sum(len(text.encode()) for text in test)),
            "human/entropy_nats": human.entropy_nats,
            "own/nll_nats": text_likelihood(model, ground, own).nll_nats,
        }
    )
    return human


def _some(texts: list[str], ground: Ground) -> list[str]:
    """Texts, evenly spaced, of about `OWN_TOKENS` tokens: documents of code are long."""
    count = max(1, round(OWN_TOKENS / ground.tokens_per_document))
    return texts if count >= len(texts) else [texts[len(texts) * i // count] for i in range(count)]


def _samples(parameters: Quality, workspace: Workspace, ground: Ground, model: Any) -> list[str]:
    with workspace.progress("sampling for quality", parameters.samples) as advance:
        seed = stream_seed(parameters.seed, "quality", parameters.generation)
        return draw(model, ground.tokenizer, parameters.samples, parameters, seed, advance).texts


def _write_samples(
    workspace: Workspace,
    samples: Sequence[str],
    spoken: Sequence[Derivation | None] | None,
) -> None:
    """All samples, one JSON object a line; where the truth is known, whether each is a story."""
    with (workspace.folder / "samples.jsonl").open("w", encoding="utf-8") as file:
        for index, text in enumerate(samples):
            row: dict[str, object] = {"text": text}
            if spoken is not None:
                row["valid"] = spoken[index] is not None
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
