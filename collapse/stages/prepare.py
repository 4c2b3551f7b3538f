"""The stage `prepare`: corpus and tokenizer, made once for a study."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from collapse.language.corpora.human_text import HumanText, prepare_corpus
from collapse.language.corpora.splits import HELDOUT_SPLITS
from collapse.language.tokenizer import encode_documents, load_tokenizer, train_tokenizer
from collapse.measurement import Measurement
from collapse.numerics.streams import stream_seed
from collapse.parameters.doors import Prepare
from collapse.stages.texts import note_of
from collapse.stages.workspace import DatasetNote, Workspace


def prepare(parameters: Prepare, workspace: Workspace) -> Iterator[Measurement]:
    """Split the corpus by hash, train or load the tokenizer, write both to the folder.

    Raises:
        BadCorpus: the corpus is missing, empty, or too small to be split.
        BadParameter: the tokenizer cannot have the size that was asked for.
    """
    corpus = workspace.folder / "corpus"
    with workspace.progress("documents", parameters.corpus_documents) as advance:
        card = prepare_corpus(
            parameters.corpus,
            corpus,
            heldout_documents=parameters.heldout_documents,
            max_documents=parameters.corpus_documents or None,
            seed=parameters.study_seed,
            progress=advance,
        )
    human = HumanText.open(corpus)
    tokenizer = _tokenizer(parameters, human)
    tokenizer.save_pretrained(workspace.folder / "tokenizer")

    validation = human.heldout("validation")
    tokens = sum(len(ids) + 1 for ids in encode_documents(tokenizer, validation))
    values: dict[str, float] = {
        "corpus/vocabulary_size": len(tokenizer),
        "corpus/tokens_per_document": tokens / len(validation),
        "corpus/bytes_per_token": sum(len(text.encode()) for text in validation) / tokens,
    }
    if card.entropy_nats_per_document is not None:
        values["corpus/entropy_nats_per_document"] = card.entropy_nats_per_document
    for split, documents in card.documents.items():
        values[f"corpus/{split}_documents"] = documents
        # A training split may be large, and the corpus's own fingerprint names it well enough.
        note = (
            note_of(human.heldout(split), f"{card.name}.{split}", split, "corpus")
            if split in HELDOUT_SPLITS
            else DatasetNote(
                f"{card.name}.train", split, "corpus", card.fingerprint[:16], documents
            )
        )
        workspace.datasets.append(note)
    for part, documents in card.parts.items():
        values[f"corpus/part_{part}_documents"] = documents
    (workspace.folder / "budget.json").write_text(json.dumps(values, indent=2))
    yield Measurement(0, values)


def _tokenizer(parameters: Prepare, human: HumanText) -> Any:
    if parameters.tokenizer not in {"bpe", "characters"}:
        return load_tokenizer(parameters.tokenizer)
    documents = human.fresh(stream_seed(parameters.study_seed, "tokenizer"), 0)
    known = human.card.documents.get("train", parameters.tokenizer_documents)
    return train_tokenizer(
        list(islice(documents, min(known, parameters.tokenizer_documents))),
        kind=parameters.tokenizer,
        vocabulary_size=parameters.vocabulary_size,
    )
