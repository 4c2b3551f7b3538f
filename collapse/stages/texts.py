"""Texts on disk between stages, as Hugging Face datasets, and what is noted of them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset, load_from_disk

from collapse.errors import StoreError
from collapse.stages.workspace import DatasetNote


def write_texts(texts: Sequence[str], folder: Path) -> None:
    """Write texts as a Hugging Face dataset with one column, text."""
    Dataset.from_dict({"text": list(texts)}).save_to_disk(str(folder))


def read_texts(folder: Path) -> list[str]:
    """The texts of a folder that `write_texts` made.

    Raises:
        StoreError: the folder is not there.
    """
    if not folder.is_dir():
        raise StoreError(f"the texts of an earlier generation are gone: {folder} is not there")
    return list(load_from_disk(str(folder))["text"])


def texts_digest(texts: Sequence[str]) -> str:
    """16 hexadecimal digits of the texts in their order."""
    running = hashlib.sha256()
    for text in texts:
        running.update(text.encode() + b"\x00")
    return running.hexdigest()[:16]


def note_of(texts: Sequence[str], name: str, context: str, folder: str) -> DatasetNote:
    """The note under which MLflow keeps these texts."""
    return DatasetNote(name, context, folder, texts_digest(texts), len(texts))
