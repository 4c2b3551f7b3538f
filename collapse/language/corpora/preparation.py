"""Preparing a corpus: one pass over it, split by hash, into files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from collapse.errors import BadCorpus, BadParameter, StoreError
from collapse.language.corpora.complexity import ComplexityScale
from collapse.language.corpora.files import FileCorpus
from collapse.language.corpora.parts import PartedCorpus
from collapse.language.corpora.prepared import (
    CorpusCard,
    clear,
    iterate_texts,
    read_texts,
    scale_file,
    texts_file,
    write_card,
    write_parted_texts,
    write_texts,
)
from collapse.language.corpora.sorting import Progress, Sorter
from collapse.language.corpora.source import (
    FiniteSource,
    Source,
    StoriesSource,
    open_source,
    require_every_split,
    whole_corpora,
)
from collapse.language.corpora.splits import HELDOUT_SHARE, HELDOUT_SPLITS, split_of

SCALE_TEXTS = 20_000
SCALE_CHARACTERS = 10_000_000
"""Training texts, and their characters, that the scale of complexity is fitted to, at most."""

_DRAWN_AT_ONCE = 256
_PATIENCE = 20
"""How many times the expected number of draws the held-out splits may take to fill."""


def prepare_corpus(
    name: str,
    folder: Path,
    *,
    heldout_documents: int,
    seed: int,
    max_documents: int | None = None,
    text_column: str = "text",
    progress: Progress | None = None,
) -> CorpusCard:
    """Split a corpus into files.

    Writes ``<split>.parquet`` (column ``text``) for the six held-out splits and, for a finite
    corpus, for ``train`` (with a column ``part`` where the corpus has parts); ``complexity.json``,
    the scale of a sample of the training texts; ``corpus.json`` comes last. Splits are made by the
    hash of the text, see ``splits.split_of``. Of a held-out split no more than
    ``heldout_documents`` are kept; the others are not used for training either.

    Args:
        name: see ``open_source``.
        folder: where the files go; made where it is missing.
        heldout_documents: the most documents a held-out split may have.
        seed: the study's; which held-out documents are kept, and in which order, depends on it.
        max_documents: read no more than the first so many of a finite corpus.
        text_column: field or column with the text.
        progress: told of the reading as it goes on.

    Returns:
        The card that was written.

    Raises:
        BadCorpus: the corpus is missing, malformed, or too small to have every split.
        BadParameter: a number is not positive, or the corpus's own files lie in the folder.
        StoreError: the folder cannot be written.
    """
    _check_positive(heldout_documents=heldout_documents, max_documents=max_documents)
    source = open_source(name, text_column=text_column)
    _check_apart(source, folder)
    report = progress or _say_nothing
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear(folder)
        if isinstance(source, StoriesSource):
            sizes, repeated, parts = {}, 0, {}
            heldout = _draw_heldout(source, heldout_documents, seed, report)
        else:
            sorter = Sorter(source, heldout_documents, seed)
            training = sorter.training_documents(max_documents, report)
            sizes = {"train": _write_training(folder, source, training)}
            heldout, repeated, parts = sorter.heldout(), sorter.repeated, dict(sorter.parts)
            kept = {split: len(texts) for split, texts in heldout.items()}
            require_every_split(name, {"train": sizes["train"][0], **kept})
            _check_every_part(source, parts)
        for split, texts in heldout.items():
            sizes[split] = write_texts(texts_file(folder, split), texts)
        sample = _sample_training(source, folder, seed)
        ComplexityScale.fit(sample).write(scale_file(folder))
        card = _describe(source, text_column, seed, sizes, repeated, parts)
        write_card(folder, card)
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}") from error
    return card


def _say_nothing(_documents: int) -> None:
    pass


def _check_positive(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise BadParameter(f"{name} is {value}; it must be 1 or more")


def _check_apart(source: Source, folder: Path) -> None:
    """An earlier preparation is removed, so the corpus itself must not lie in its place."""
    if isinstance(source, StoriesSource):
        return
    paths = [p for one in whole_corpora(source) if isinstance(one, FileCorpus) for p in one.paths]
    if any(path.resolve().parent == folder.resolve() for path in paths):
        raise BadParameter(f"folder {str(folder)!r} holds the corpus itself; prepare it elsewhere")


def _check_every_part(source: FiniteSource, parts: Mapping[str, int]) -> None:
    for part, _ in source.parts if isinstance(source, PartedCorpus) else ():
        if not parts.get(part):
            raise BadCorpus(
                f"corpus {source.name!r}: its part {part!r} has no training document of its own; "
                "give it more text"
            )


def _write_training(
    folder: Path, source: FiniteSource, training: Iterator[tuple[str, str]]
) -> tuple[int, int]:
    path = texts_file(folder, "train")
    if isinstance(source, PartedCorpus):
        return write_parted_texts(path, training)
    return write_texts(path, (text for text, _ in training))


def _sample_training(source: Source, folder: Path, seed: int) -> list[str]:
    """Training texts at random: what the scale is fitted to."""
    from collapse.numerics.streams import numpy_stream

    rng = numpy_stream(seed, "complexity")
    if isinstance(source, StoriesSource):
        drawn = source.draw(SCALE_TEXTS, rng)
        return [text for text in drawn if split_of(text) == "train"]
    texts = read_texts(texts_file(folder, "train"))
    sample: list[str] = []
    characters = 0
    for text in iterate_texts(texts, rng.permutation(len(texts))[:SCALE_TEXTS].tolist()):
        sample.append(text)
        characters += len(text)
        if characters > SCALE_CHARACTERS:
            break
    return sample


def _describe(
    source: Source,
    text_column: str,
    seed: int,
    sizes: dict[str, tuple[int, int]],
    repeated: int,
    parts: Mapping[str, int],
) -> CorpusCard:
    documents = {split: count for split, (count, _) in sizes.items()}
    size_bytes = {split: size for split, (_, size) in sizes.items()}
    return CorpusCard(
        name=source.name,
        fingerprint=source.fingerprint,
        text_column=text_column,
        seed=seed,
        is_generative=isinstance(source, StoriesSource),
        documents=documents,
        size_bytes=size_bytes,
        repeated_documents=repeated,
        mean_bytes_per_document=sum(size_bytes.values()) / sum(documents.values()),
        entropy_nats_per_document=(
            source.entropy_nats() if isinstance(source, StoriesSource) else None
        ),
        parts=parts,
    )


def _draw_heldout(
    source: StoriesSource, heldout_documents: int, seed: int, report: Progress
) -> dict[str, list[str]]:
    """Draw until every held-out split is full.

    Repeats within a split stay: without them the texts were no sample of the grammar, and a mean
    over them no estimate of the divergence from it. Copies never lie in two splits.
    """
    from collapse.numerics.streams import numpy_stream

    rng = numpy_stream(seed, "heldout")
    heldout: dict[str, list[str]] = {split: [] for split in HELDOUT_SPLITS}
    expected = int(heldout_documents / HELDOUT_SHARE / _DRAWN_AT_ONCE) + 1
    for _ in range(_PATIENCE * expected):
        for text in source.draw(_DRAWN_AT_ONCE, rng):
            kept = heldout.get(split_of(text))
            if kept is not None and len(kept) < heldout_documents:
                kept.append(text)
        report(_DRAWN_AT_ONCE)
        if all(len(kept) == heldout_documents for kept in heldout.values()):
            return heldout
    raise BadCorpus(
        f"corpus {source.name!r} has too few different texts to fill every split with "
        f"{heldout_documents} documents"
    )
