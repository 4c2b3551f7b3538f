"""The files of a prepared corpus: a card, a scale, and one Parquet file of texts a split."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from collapse.errors import BadCorpus
from collapse.language.corpora.splits import SPLITS

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

_CARD_FILE = "corpus.json"
_ROW_GROUP_DOCUMENTS = 4096


@dataclass(frozen=True)
class CorpusCard:
    """What is known of a prepared corpus.

    Attributes:
        name: the corpus as the user wrote it.
        fingerprint: of the source, see ``corpus_fingerprint``.
        text_column: field or column the text was taken from.
        seed: the seed that the held-out texts were drawn with.
        is_generative: whether training text is drawn from a grammar, without end.
        documents: split to number of documents kept; no ``train`` for a generative corpus.
        size_bytes: split to UTF-8 bytes kept.
        repeated_documents: documents of the source left out because an equal one was there.
        mean_bytes_per_document: UTF-8 bytes a document, over all documents kept.
        entropy_nats_per_document: of the source's distribution, where that is known, else None.
        parts: name of a part to its training documents, for a corpus of named parts.
    """

    name: str
    fingerprint: str
    text_column: str
    seed: int
    is_generative: bool
    documents: Mapping[str, int]
    size_bytes: Mapping[str, int]
    repeated_documents: int
    mean_bytes_per_document: float
    entropy_nats_per_document: float | None
    parts: Mapping[str, int]


def write_card(folder: Path, card: CorpusCard) -> None:
    """Write the card, whole or not at all; it comes last and marks the folder as complete."""
    unfinished = folder / (_CARD_FILE + ".unfinished")
    unfinished.write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, folder / _CARD_FILE)


def clear(folder: Path) -> None:
    """Remove the files of an earlier preparation; the card first, so none is taken as complete."""
    (folder / _CARD_FILE).unlink(missing_ok=True)
    scale_file(folder).unlink(missing_ok=True)
    for split in SPLITS:
        texts_file(folder, split).unlink(missing_ok=True)


def texts_file(folder: Path, split: str) -> Path:
    """Where the texts of a split lie."""
    return folder / f"{split}.parquet"


def scale_file(folder: Path) -> Path:
    """Where the scale of the training texts' complexity lies."""
    return folder / "complexity.json"


def read_card(folder: Path) -> CorpusCard:
    """Read the card of a prepared corpus.

    Raises:
        BadCorpus: the folder holds no card, or a damaged one.
    """
    path = folder / _CARD_FILE
    try:
        return CorpusCard(**json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise BadCorpus(
            f"{folder} holds no prepared corpus (no {_CARD_FILE}); prepare it"
        ) from None
    except (ValueError, TypeError) as error:
        raise BadCorpus(f"{path} is damaged ({error}); prepare the corpus again") from None


def write_texts(path: Path, texts: Iterable[str]) -> tuple[int, int]:
    """Write texts to a Parquet file with the one column ``text``, a few thousand at a time.

    Returns:
        How many texts there were, and their UTF-8 bytes.
    """
    return _write_rows(path, ("text",), ((text,) for text in texts))


def write_parted_texts(path: Path, texts: Iterable[tuple[str, str]]) -> tuple[int, int]:
    """As `write_texts`, of (text, part), with a second column ``part``."""
    return _write_rows(path, ("text", "part"), texts)


def _write_rows(
    path: Path, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]
) -> tuple[int, int]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    # Offsets of 64 bits: a column of more than 2 GB must still be one array.
    schema = pyarrow.schema([(column, pyarrow.large_string()) for column in columns])
    documents = size_bytes = 0
    remaining = iter(rows)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(remaining, _ROW_GROUP_DOCUMENTS)):
            values = dict(zip(columns, zip(*group, strict=True), strict=True))
            writer.write_table(pyarrow.table(values, schema=schema))
            documents += len(group)
            size_bytes += sum(len(row[0].encode()) for row in group)
    return documents, size_bytes


def read_texts(path: Path, column: str = "text") -> "pyarrow.ChunkedArray":
    """Read a column of a Parquet file: ``text``, or ``part`` where there are parts.

    Raises:
        BadCorpus: the file is missing or damaged.
    """
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        return pyarrow.parquet.read_table(path, columns=[column]).column(column)
    except (OSError, pyarrow.ArrowException) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise BadCorpus(f"{path} cannot be read ({reason}); prepare the corpus again") from None


def iterate_texts(texts: "pyarrow.ChunkedArray", order: Iterable[int]) -> Iterator[str]:
    """Yield texts in the order of the given indices."""
    for index in order:
        yield texts[index].as_py()
