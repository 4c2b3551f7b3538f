"""The stage `recurse_step`: one generation, trained on what its arm prescribes."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from collapse.language.corpora.splits import text_hash
from collapse.measurement import Measurement
from collapse.numerics.streams import stream_seed
from collapse.parameters.doors import RecurseStep
from collapse.stages.arms import Portion, Sources, compose, take
from collapse.stages.generation import (
    Ground,
    initial_model,
    load_input,
    open_ground,
    train_generation,
)
from collapse.stages.synthesis import synthesise
from collapse.stages.texts import read_texts, texts_digest, write_texts
from collapse.stages.workspace import Workspace
from collapse.stages.writing import decodings_of, sieve_of

SAMPLES_TO_READ = 20


def recurse_step(parameters: RecurseStep, workspace: Workspace) -> Iterator[Measurement]:
    """Train one generation on text by its parent, by humans, or both.

    Yields:
        The diagnosis of the synthetic text, then the measurements of training.

    Raises:
        SilentModel: the parent writes next to nothing.
        BadCorpus: no human text is left that the chain has not read.
    """
    ground = open_ground(workspace)
    budget = ground.budget(parameters.documents)
    parent = load_input(workspace, parameters.device)
    sources = _sources(parameters, workspace, ground, parent)
    portions = compose(parameters, budget, sources)
    if metadata := _metadata(workspace):
        names = ("kept", "distinct", "dropped", "sifted", "empty", "cut", "seconds")
        yield Measurement(0, {f"synthesis/{name}": metadata[name] for name in names})
    if parameters.start == "parent":
        model = parent
    else:
        model = initial_model(parameters, ground.tokenizer, parameters.generation)
    yield from train_generation(
        parameters,
        workspace,
        ground,
        model,
        portions,
        steps=parameters.steps,
        learning_rate_scale=parameters.learning_rate_scale,
    )


def _sources(parameters: RecurseStep, workspace: Workspace, ground: Ground, parent: Any) -> Sources:
    """Each source as a function of a budget; nothing is sampled or drawn that no arm asks for."""
    lineage = workspace.inputs.lineage

    def fresh(budget: int) -> Portion:
        documents = ground.human.fresh(
            parameters.seed,
            parameters.generation,
            exclude=_human_text_read(lineage),
            choice=parameters.training_text,
        )
        return take("human_fresh", documents, budget, ground.encode)

    def static(budget: int) -> Portion:
        return take("human_static", read_texts(lineage[0] / "human_text"), budget, ground.encode)

    def synthetic(budget: int) -> Portion:
        written = _write(parameters, workspace, ground, parent, budget)
        return take(f"synthetic_gen{parameters.generation}", written, budget, ground.encode)

    def earlier(generation: int, budget: int) -> Portion:
        texts = read_texts(lineage[generation] / "synthetic_text")
        return take(f"synthetic_gen{generation}", texts, budget, ground.encode)

    return Sources(fresh, static, synthetic, earlier)


def _write(
    parameters: RecurseStep, workspace: Workspace, ground: Ground, parent: Any, budget: int
) -> list[str]:
    """Let the parent write, and keep the text with its metadata and samples to read."""
    with workspace.progress("sampling", budget) as advance:
        written = synthesise(
            parent,
            ground.tokenizer,
            token_budget=budget,
            tokens_per_document=ground.tokens_per_document,
            decodings=decodings_of(parameters),
            encode=ground.encode,
            seed=stream_seed(parameters.seed, "sampling", parameters.generation),
            advance=advance,
            sieve=sieve_of(parameters.keep_texts, parent, ground),
        )
    write_texts(written.texts, workspace.folder / "synthetic_text")
    decoding = (
        *("temperature", "top_k", "top_p", "beams", "max_new_tokens", "min_characters"),
        *("decodings", "keep_texts"),
    )
    settings = asdict(parameters)
    metadata = written.diagnosis() | {
        "digest": texts_digest(written.texts),
        "parent_generation": parameters.generation - 1,
        "decoding": {name: settings[name] for name in decoding},
    }
    folder = workspace.folder
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=2))
    samples = "\n\n---\n\n".join(written.texts[:SAMPLES_TO_READ])
    (folder / "samples.txt").write_text(samples, encoding="utf-8")
    return written.texts


def _human_text_read(lineage: Sequence[Path]) -> set[int]:
    """Hashes of the human documents that earlier generations of the chain have read."""
    read: set[int] = set()
    for folder in lineage:
        account = json.loads((folder / "ledger.json").read_text())
        if "human_fresh" in account["sources"]:
            read |= {text_hash(text) for text in read_texts(folder / "human_text")}
    return read


def _metadata(workspace: Workspace) -> dict[str, Any]:
    path = workspace.folder / "metadata.json"
    return json.loads(path.read_text()) if path.is_file() else {}
