"""Preparing a corpus: one pass over it, split by hash, into files."""

import hashlib
import heapq
from collections.abc import Callable, Iterator
from pathlib import Path

from collapse.errors import BadCorpus, BadParameter, StoreError
from collapse.language.corpora.complexity import HalfCorpus
from collapse.language.corpora.files import FileCorpus
from collapse.language.corpora.prepared import (
    CorpusCard,
    clear,
    texts_file,
    write_card,
    write_texts,
)
from collapse.language.corpora.source import FiniteSource, Source, StoriesSource, open_source
from collapse.language.corpora.splits import (
    HELDOUT_SHARE,
    HELDOUT_SPLITS,
    split_of,
    text_digest,
    text_hash,
)

Progress = Callable[[int], object]
"""Called now and then with the number of documents read since the last call."""

_REPORTED_AT_ONCE = 1000

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

    Writes ``<split>.parquet`` (column ``text``) for the five held-out splits and, for a finite
    corpus, for ``train``; ``corpus.json`` comes last. Splits are made by the hash of the text, see
    ``splits.split_of``. Of a held-out split no more than ``heldout_documents`` are kept; the others
    are not used for training either.

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
            sizes, repeated = {}, 0
            heldout = _draw_heldout(source, heldout_documents, seed, report)
        else:
            sorter = _Sorter(source, heldout_documents, seed)
            training = sorter.training_documents(max_documents, report)
            sizes = {"train": write_texts(texts_file(folder, "train"), training)}
            heldout, repeated = sorter.heldout(), sorter.repeated
            _check_every_split(name, sizes["train"][0], heldout)
        for split, texts in heldout.items():
            sizes[split] = write_texts(texts_file(folder, split), texts)
        card = _describe(source, text_column, seed, sizes, repeated)
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
    whole = source.whole if isinstance(source, HalfCorpus) else source
    if isinstance(whole, FileCorpus) and any(
        path.resolve().parent == folder.resolve() for path in whole.paths
    ):
        raise BadParameter(f"folder {str(folder)!r} holds the corpus itself; prepare it elsewhere")


def _check_every_split(name: str, train: int, heldout: dict[str, list[str]]) -> None:
    counts = {"train": train, **{split: len(texts) for split, texts in heldout.items()}}
    missing = [split for split, count in counts.items() if not count]
    if missing:
        kept = sum(counts.values())
        raise BadCorpus(
            f"corpus {name!r} is too small: its {kept} distinct documents leave the split "
            f"{missing[0]!r} empty; about {round(5 / HELDOUT_SHARE)} are needed to fill all six "
            "(cut long documents into shorter ones, or take a larger corpus)"
        )


def _describe(
    source: Source,
    text_column: str,
    seed: int,
    sizes: dict[str, tuple[int, int]],
    repeated: int,
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
    )


class _Sorter:
    """Passes a finite corpus once: yields the training documents, keeps samples of the others.

    The sample of a split is those of its documents whose keyed hashes are smallest. So it is drawn
    at random, needs no more memory than it fills, and does not depend on the order of reading.
    """

    def __init__(self, source: FiniteSource, heldout_documents: int, seed: int) -> None:
        from collapse.numerics.streams import stream_seed

        self._source = source
        self._size = heldout_documents
        self._key = stream_seed(seed, "heldout").to_bytes(8, "big")
        self._kept: dict[str, list[tuple[int, str]]] = {split: [] for split in HELDOUT_SPLITS}
        self.repeated = 0

    def training_documents(self, limit: int | None, report: Progress) -> Iterator[str]:
        seen: set[int] = set()
        read = 0
        for text in self._source.documents(limit):
            read += 1
            if read % _REPORTED_AT_ONCE == 0:
                report(_REPORTED_AT_ONCE)
            name = text_hash(text)
            if name in seen:
                self.repeated += 1
                continue
            seen.add(name)
            split = split_of(text)
            if split == "train":
                yield text
            else:
                self._keep(split, text)
        report(read % _REPORTED_AT_ONCE)

    def _keep(self, split: str, text: str) -> None:
        keyed = hashlib.sha256(self._key + text_digest(text)).digest()
        # heapq has its smallest on top, and the largest rank is the one to drop.
        entry = (-int.from_bytes(keyed, "big"), text)
        if len(self._kept[split]) < self._size:
            heapq.heappush(self._kept[split], entry)
        else:
            heapq.heappushpop(self._kept[split], entry)

    def heldout(self) -> dict[str, list[str]]:
        return {
            split: [text for _, text in sorted(kept, reverse=True)]
            for split, kept in self._kept.items()
        }


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
