"""Corpora in files: one .txt, .jsonl or .parquet file, or a folder of them."""

import codecs
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import ClassVar

from collapse.errors import BadCorpus

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class FileCorpus:
    """The documents of one file, or of all supported files directly in a folder, in name order.

    - ``.txt``: documents are separated by ``<|endoftext|>`` where the file has it anywhere, else
      by blank lines. White space around a document is not part of it.
    - ``.jsonl``: one JSON object a line, its text in ``text_column``.
    - ``.parquet``: one row a document, its text in ``text_column``.

    Files that other tools call train and validation are pooled, because splits are made by hash.
    Documents of white space only are left out.

    Attributes:
        name: the corpus as the user wrote it.
        paths: the files, in the order they are read.
        text_column: the field or column that holds the text.
    """

    name: str
    paths: tuple[Path, ...]
    text_column: str = "text"
    is_generative: ClassVar[bool] = False

    @classmethod
    def open(cls, name: str, text_column: str = "text") -> "FileCorpus":
        """Find the files of a corpus; none is read yet.

        Raises:
            BadCorpus: nothing is there, a file has another suffix, a folder has no such file, or
                every file is empty.
        """
        try:
            paths = _find_files(name)
            size_bytes = sum(file.stat().st_size for file in paths)
        # ValueError: a null byte in the name; RuntimeError: the home of an unknown user.
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadCorpus(f"corpus {name!r} cannot be looked at: {reason}") from None
        if not size_bytes:
            raise BadCorpus(f"corpus {name!r} is empty (0 bytes): give one with text")
        return cls(name, paths, text_column)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the files' bytes, suffixes and the text column; not over their names."""
        whole = hashlib.sha256(f"files\x1f{self.text_column}".encode())
        for path in self.paths:
            try:
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                raise _unreadable(path, error) from None
            whole.update(f"\x1f{path.suffix.lower()}\x1f{content}".encode())
        return whole.hexdigest()

    def documents(self, limit: int | None = None) -> Iterator[str]:
        """Yield the documents, at most ``limit`` of them.

        Raises:
            BadCorpus: while reading, naming the file and the line or row at fault.
        """
        return islice(self._all_documents(), limit)

    def _all_documents(self) -> Iterator[str]:
        for path in self.paths:
            try:
                for document in _READERS[path.suffix.lower()](path, self.text_column):
                    if document.strip():
                        yield document
            except OSError as error:
                raise _unreadable(path, error) from None


def _find_files(name: str) -> tuple[Path, ...]:
    path = Path(name).expanduser()
    if path.is_dir():
        paths = tuple(sorted(file for file in path.iterdir() if _is_readable(file)))
        if not paths:
            raise BadCorpus(f"corpus folder {name!r} holds no {_SUFFIXES_IN_WORDS} file")
        return paths
    if not path.exists():
        raise BadCorpus(f"corpus {name!r}: there is no such file or folder: check the path")
    if path.suffix.lower() not in _READERS:
        ending = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise BadCorpus(f"corpus {name!r} {ending}; {_SUFFIXES_IN_WORDS} files can be read")
    return (path,)


def _is_readable(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in _READERS and not path.name.startswith(".")


def _unreadable(path: Path, error: OSError) -> BadCorpus:
    return BadCorpus(f"{path} cannot be read: {error.strerror or error}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, without their ends; only a newline ends a line, as JSON Lines has it."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise BadCorpus(
                    f"{path} line {number} is not UTF-8 text ({error.reason} at byte {error.start} "
                    f"of it): {_what_it_may_be(line)}"
                ) from None
            if "\0" in text:
                raise BadCorpus(
                    f"{path} line {number} holds a null byte: it is binary, or text in UTF-16; "
                    "save it as UTF-8"
                )
            yield number, text.rstrip("\r\n")


def _what_it_may_be(line: bytes) -> str:
    """Which encoding bytes look like that are not UTF-8, and what to do about it."""
    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it looks like UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)"
    if any(byte < 9 for byte in line):
        return "it looks binary; give a file of text"
    return "it may be Latin-1; save it as UTF-8 (iconv -f LATIN1 -t UTF-8)"


def _read_text(path: Path, _text_column: str) -> Iterator[str]:
    is_marked = any(END_OF_TEXT in line for _, line in _lines(path))
    pieces = _pieces_between_marks(path) if is_marked else _pieces_between_blank_lines(path)
    for piece in pieces:
        yield piece.strip()


def _pieces_between_marks(path: Path) -> Iterator[str]:
    gathered: list[str] = []
    for _, line in _lines(path):
        first, *others = line.split(END_OF_TEXT)
        gathered.append(first)
        for other in others:
            yield "\n".join(gathered)
            gathered = [other]
    yield "\n".join(gathered)


def _pieces_between_blank_lines(path: Path) -> Iterator[str]:
    gathered: list[str] = []
    for _, line in _lines(path):
        if line.strip():
            gathered.append(line)
        elif gathered:
            yield "\n".join(gathered)
            gathered = []
    yield "\n".join(gathered)


def _read_json_lines(path: Path, text_column: str) -> Iterator[str]:
    for number, line in _lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:  # ValueError: also numbers of 4,300 digits
            reason = getattr(error, "msg", error)
            raise BadCorpus(
                f"{path} line {number} is not valid JSON ({reason}): each line must be one object, "
                'such as {"text": "..."}'
            ) from None
        if not isinstance(row, dict):
            raise BadCorpus(
                f"{path} line {number} is a {type(row).__name__}, not an object "
                f"with a field {text_column!r}"
            )
        yield checked_text(row, text_column, f"{path} line {number}")


def checked_text(row: dict[str, object], text_column: str, where: str) -> str:
    """The text of a row.

    Args:
        row: field names to values.
        text_column: the field that should hold the text.
        where: the row's place in words, for the message.

    Raises:
        BadCorpus: there is no such field, or it holds no text.
    """
    if text_column not in row:
        fields = ", ".join(map(repr, row)) or "none"
        raise BadCorpus(
            f"{where} has no field {text_column!r}; its fields: {fields}: rename the one that "
            f"holds the text to {text_column!r}"
        )
    text = row[text_column]
    if not isinstance(text, str):
        raise BadCorpus(f"{where}: field {text_column!r} is {type(text).__name__}, not text")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BadCorpus(f"{where}: field {text_column!r} holds half a surrogate pair, not Unicode")
    return text


def _read_parquet(path: Path, text_column: str) -> Iterator[str]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            if text_column not in columns:
                raise BadCorpus(
                    f"{path} has no column {text_column!r}; its columns: {', '.join(columns)}: "
                    "give the one with the text that name"
                )
            row = 0
            for batch in file.iter_batches(batch_size=1024, columns=[text_column]):
                for text in batch.column(0).to_pylist():
                    row += 1
                    yield checked_text({text_column: text}, text_column, f"{path} row {row}")
    except pyarrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise BadCorpus(
            f"{path} is not a readable Parquet file ({reason}): write it again, or give .jsonl"
        ) from None


_READERS: dict[str, Callable[[Path, str], Iterator[str]]] = {
    ".txt": _read_text,
    ".jsonl": _read_json_lines,
    ".parquet": _read_parquet,
}
FILE_SUFFIXES = tuple(_READERS)
_SUFFIXES_IN_WORDS = ".txt, .jsonl or .parquet"
