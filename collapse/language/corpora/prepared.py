"""The files of a prepared corpus: a card, and one Parquet file of texts a split."""

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


def write_card(folder: Path, card: CorpusCard) -> None:
    """Write the card, whole or not at all; it comes last and marks the folder as complete."""
    unfinished = folder / (_CARD_FILE + ".unfinished")
    unfinished.write_text(json.dumps(asdict(card), indent=2) + "\n", encoding="utf-8")
    os.replace(unfinished, folder / _CARD_FILE)


def clear(folder: Path) -> None:
    """Remove the files of an earlier preparation; the card first, so none is taken as complete."""
    (folder / _CARD_FILE).unlink(missing_ok=True)
    for split in SPLITS:
        texts_file(folder, split).unlink(missing_ok=True)


def texts_file(folder: Path, split: str) -> Path:
    """Where the texts of a split lie."""
    return folder / f"{split}.parquet"


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
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    # Offsets of 64 bits: a column of more than 2 GB must still be one array.
    schema = pyarrow.schema([("text", pyarrow.large_string())])
    documents = size_bytes = 0
    remaining = iter(texts)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(remaining, _ROW_GROUP_DOCUMENTS)):
            writer.write_table(pyarrow.table({"text": group}, schema=schema))
            documents += len(group)
            size_bytes += sum(len(text.encode()) for text in group)
    return documents, size_bytes


def read_texts(path: Path) -> "pyarrow.ChunkedArray":
    """Read the column ``text`` of a Parquet file.

    Raises:
        BadCorpus: the file is missing or damaged.
    """
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        return pyarrow.parquet.read_table(path, columns=["text"]).column("text")
    except (OSError, pyarrow.ArrowException) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise BadCorpus(f"{path} cannot be read ({reason}); prepare the corpus again") from None


def iterate_texts(texts: "pyarrow.ChunkedArray", order: Iterable[int]) -> Iterator[str]:
    """Yield texts in the order of the given indices."""
    for index in order:
        yield texts[index].as_py()
