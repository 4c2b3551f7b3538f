"""Human text: a corpus is split once, and chains draw their training text from it."""

import hashlib
import heapq
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from collapse.errors import BadCorpus, BadParameter, StoreError
from collapse.language.corpora.prepared import (
    CorpusCard,
    clear,
    iterate_texts,
    read_card,
    read_texts,
    texts_file,
    write_card,
    write_texts,
)
from collapse.language.corpora.source import FiniteSource, StoriesSource, open_source
from collapse.language.corpora.splits import (
    HELDOUT_SHARE,
    HELDOUT_SPLITS,
    split_of,
    text_digest,
    text_hash,
)

Progress = Callable[[int], object]
"""Called now and then with the number of documents read so far."""

_DRAWN_AT_ONCE = 256
_FRUITLESS_DRAWS = 20_000
"""Draws in a row without a new text after which a grammar is taken to have no more."""
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
        progress: told how far the reading is.

    Returns:
        The card that was written.

    Raises:
        BadCorpus: the corpus is missing, malformed, or too small to have every split.
        BadParameter: a number is not positive.
        StoreError: the folder cannot be written.
    """
    _check_positive(heldout_documents=heldout_documents, max_documents=max_documents)
    source = open_source(name, text_column=text_column)
    report = progress or _say_nothing
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear(folder)
        if isinstance(source, StoriesSource):
            repeated = 0
            sizes = {}
            heldout = _draw_heldout(source, heldout_documents, seed, report)
        else:
            sorter = _Sorter(source, heldout_documents, seed)
            sizes = {
                "train": write_texts(
                    texts_file(folder, "train"), sorter.training_documents(max_documents, report)
                )
            }
            repeated, heldout = sorter.repeated, sorter.heldout()
            _check_every_split(name, sizes["train"][0], heldout)
        sizes |= {
            split: write_texts(texts_file(folder, split), texts) for split, texts in heldout.items()
        }
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
    source: FiniteSource | StoriesSource,
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
            if read % 1000 == 0:
                report(read)
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
        report(read)

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
    for batch in range(_PATIENCE * expected):
        for text in source.draw(_DRAWN_AT_ONCE, rng):
            kept = heldout.get(split_of(text))
            if kept is not None and len(kept) < heldout_documents:
                kept.append(text)
        report((batch + 1) * _DRAWN_AT_ONCE)
        if all(len(kept) == heldout_documents for kept in heldout.values()):
            return heldout
    raise BadCorpus(
        f"corpus {source.name!r} has too few different texts to fill every split with "
        f"{heldout_documents} documents"
    )


@dataclass(frozen=True)
class HumanText:
    """A prepared corpus.

    Attributes:
        folder: its files.
        card: what is known of it.
    """

    folder: Path
    card: CorpusCard
    _source: StoriesSource = field(default_factory=StoriesSource, repr=False)

    @classmethod
    def open(cls, folder: Path) -> "HumanText":
        """Open what ``prepare_corpus`` wrote.

        Raises:
            BadCorpus: nothing complete is there, or it was made by another grammar of stories.
        """
        text = cls(folder, read_card(folder))
        if text.card.is_generative and text.card.fingerprint != text._source.fingerprint:
            raise BadCorpus(
                f"{folder} was prepared with another version of {text.card.name!r} "
                f"({text.card.fingerprint[:12]}); prepare it again"
            )
        return text

    def heldout(self, split: str) -> list[str]:
        """The documents of a held-out split, in random order.

        Raises:
            BadParameter: ``split`` is not one of ``HELDOUT_SPLITS``.
            BadCorpus: its file is missing or damaged.
        """
        if split not in HELDOUT_SPLITS:
            raise BadParameter(f"split {split!r} is none of {', '.join(HELDOUT_SPLITS)}")
        return read_texts(texts_file(self.folder, split)).to_pylist()

    def fresh(
        self, seed: int, generation: int, *, exclude: AbstractSet[int] = frozenset()
    ) -> Iterator[str]:
        """Yield distinct training documents for a generation; take as many as are needed.

        From a grammar they are drawn anew for (seed, generation), without end. Of a finite corpus
        they come in one random order a seed, whatever the generation: with the hashes of what
        earlier generations took in ``exclude``, generations are disjoint and follow each other
        through that order.

        Args:
            seed: the chain's.
            generation: 0, 1, ...
            exclude: ``text_hash`` of documents not to yield.

        Raises:
            BadCorpus: when asked for one more document than there is.
        """
        is_endless = self.card.is_generative
        documents = self._drawn(seed, generation) if is_endless else self._permuted(seed)
        taken: set[int] = set()
        rejected_in_a_row = 0
        for text in documents:
            name = text_hash(text)
            if name not in taken and name not in exclude:
                rejected_in_a_row = 0
                taken.add(name)
                yield text
            else:
                rejected_in_a_row += 1
                if is_endless and rejected_in_a_row == _FRUITLESS_DRAWS:
                    break
        raise BadCorpus(self._exhausted(generation, len(taken)))

    def _drawn(self, seed: int, generation: int) -> Iterator[str]:
        from collapse.numerics.streams import numpy_stream

        rng = numpy_stream(seed, "human", generation)
        while True:
            for text in self._source.draw(_DRAWN_AT_ONCE, rng):
                if split_of(text) == "train":
                    yield text

    def _permuted(self, seed: int) -> Iterator[str]:
        from collapse.numerics.streams import numpy_stream

        texts = read_texts(texts_file(self.folder, "train"))
        order = numpy_stream(seed, "human").permutation(len(texts))
        yield from iterate_texts(texts, order.tolist())

    def _exhausted(self, generation: int, taken: int) -> str:
        total = self.card.documents.get("train")
        known = "its" if total is None else f"of its {total} training documents the"
        return (
            f"corpus {self.card.name!r} is used up in generation {generation}: {known} {taken} "
            "that earlier generations had not used are all taken; lower the tokens a generation "
            "or the number of generations, or take a larger corpus"
        )
