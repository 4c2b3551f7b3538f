"""Checkpoints: a model, its tokenizer and the code to read them, in a folder that is verified.

``manifest.json`` names every file with its SHA-256, so that a changed or missing file is found
before the weights are used, and so that one digest stands for the whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from collapse.errors import BadModel, DamagedCheckpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MANIFEST = "manifest.json"
_BLOCK_BYTES = 1 << 20


def is_local_model(path: str | Path) -> bool:
    """Whether a folder holds a configuration and weights in the form of transformers.

    Weights are safetensors: a pickle (``pytorch_model.bin``) can run code when it is read.
    """
    folder = Path(path).expanduser()
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def save_checkpoint(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path
) -> str:
    """Write model, tokenizer, the decoder's code and the manifest; safetensors only, no pickle.

    The folder should be new or empty: every file in it becomes part of the checkpoint.

    Returns:
        The checkpoint's digest, see :func:`manifest_digest`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    sums = {name: _sha256(folder / name) for name in _files(folder)}
    # Written last and put in place at once: a folder with a manifest is a complete checkpoint.
    draft = folder / f"{MANIFEST}.part"
    draft.write_text(json.dumps(sums, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(draft, folder / MANIFEST)
    return manifest_digest(folder)


def load_checkpoint(folder: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model (float32, evaluation mode, CPU) and the tokenizer of a checkpoint.

    Raises:
        BadModel: there is no such folder, or it was not written by :func:`save_checkpoint`.
        DamagedCheckpoint: a file is missing or is not the one that was saved.
    """
    folder = Path(folder)
    verify_checkpoint(folder)
    from transformers import AutoTokenizer

    from collapse.language.pretrained import load_model

    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    return load_model(folder), tokenizer


def verify_checkpoint(folder: str | Path) -> None:
    """Compare every file of a checkpoint with its manifest.

    Raises:
        BadModel: there is no such folder, or it has no manifest.
        DamagedCheckpoint: a file is missing or is not the one that was saved; it is named.
    """
    folder = Path(folder)
    for name, expected in _read_manifest(folder).items():
        file = folder / name
        if not file.is_file():
            raise DamagedCheckpoint(f"checkpoint {str(folder)!r}: file {name!r} is missing")
        if _sha256(file) != expected:
            raise DamagedCheckpoint(
                f"checkpoint {str(folder)!r}: file {name!r} is not the one that was saved"
            )


def manifest_digest(folder: str | Path) -> str:
    """SHA-256 over the names and sums in a checkpoint's manifest: one word for the whole.

    Raises:
        BadModel: there is no such folder, or it has no manifest.
        DamagedCheckpoint: the manifest cannot be read.
    """
    sums = _read_manifest(Path(folder))
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


def _read_manifest(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise BadModel(f"checkpoint {str(folder)!r}: there is no such folder")
    if not (folder / MANIFEST).is_file():
        raise BadModel(f"checkpoint {str(folder)!r} has no {MANIFEST}: it is not one of ours")
    try:
        sums = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(sums, dict) or not all(isinstance(v, str) for v in sums.values()):
            raise TypeError("not a table of sums")
        for name in sums:
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"it names {name!r}, outside of the folder")
    except (ValueError, TypeError) as error:
        raise DamagedCheckpoint(
            f"checkpoint {str(folder)!r}: {MANIFEST} cannot be read ({error})"
        ) from error
    return sums


def _files(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder) for path in found if "__pycache__" not in path.parts)
    return sorted(name.as_posix() for name in names)


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
