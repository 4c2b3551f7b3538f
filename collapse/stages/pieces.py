"""Finished parts of a long computation, kept in a folder for the next call to go on from."""

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collapse.errors import StoreError

Arrays = dict[str, NDArray[np.generic]]


class StoredPieces(MutableMapping[str, Arrays]):
    """Named sets of arrays in a folder, one .npz file each, whole or not there at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> Arrays:
        """The arrays of a piece.

        Raises:
            KeyError: there is no such piece.
        """
        path = self._path(name)
        if not path.is_file():
            raise KeyError(name)
        with np.load(path) as arrays:
            return dict(arrays)

    def __setitem__(self, name: str, arrays: Arrays) -> None:
        """Keep a piece; one that was there before stays until the new one is whole.

        Raises:
            StoreError: the folder cannot be written.
        """
        path = self._path(name)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            with new.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from error

    def __delitem__(self, name: str) -> None:
        self._path(name).unlink()

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.folder.glob("*.npz")))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"
