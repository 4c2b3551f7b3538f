"""Python source code as a corpus: the standard library and installed packages, offline."""

import hashlib
import importlib.metadata
import os
import platform
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import ClassVar

from collapse.errors import BadCorpus

STANDARD_LIBRARY = "stdlib"


@dataclass(frozen=True)
class Package:
    """One package whose source is read.

    Attributes:
        name: normalised distribution name, or ``stdlib``.
        version: the installed version; the interpreter's own for ``stdlib``.
        files: (path relative to the library's folder with ``/``, path on disk), in order.
    """

    name: str
    version: str
    files: tuple[tuple[str, Path], ...]


@dataclass(frozen=True)
class PythonCorpus:
    """Every ``.py`` file of some packages that is UTF-8 and not empty; each file is one document.

    Packages are taken in the order of their names and files in the order of their relative paths.
    A file whose text was already read (empty or copied modules) is left out.

    Attributes:
        name: the corpus as the user wrote it.
        packages: in order of name.
    """

    name: str
    packages: tuple[Package, ...]
    is_generative: ClassVar[bool] = False

    @classmethod
    def open(cls, name: str) -> "PythonCorpus":
        """Find the packages of ``python``, ``python:torch`` or ``python:stdlib,numpy==2.4.6``.

        Plain ``python`` is ``python:stdlib``. Names are distribution names, as in ``pip list``. A
        version may be demanded with ``==``.

        Raises:
            BadCorpus: a package is not installed, has another version, or holds no Python files.
        """
        _, _, listed = name.partition(":")
        wanted = [item.strip() for item in listed.split(",")] if ":" in name else [STANDARD_LIBRARY]
        if not all(wanted):
            raise BadCorpus(f"corpus {name!r} names an empty package; write python:numpy,torch")
        found = {package.name: package for package in map(_find_package, wanted)}
        return cls(name, tuple(found[key] for key in sorted(found)))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over package names, versions, relative paths and the bytes of every file."""
        whole = hashlib.sha256(b"python")
        for package in self.packages:
            whole.update(f"\x1e{package.name}=={package.version}".encode())
            for relative, path in package.files:
                content = hashlib.sha256(_read_bytes(path)).hexdigest()
                whole.update(f"\x1f{relative}\x1f{content}".encode())
        return whole.hexdigest()

    def documents(self, limit: int | None = None) -> Iterator[str]:
        """Yield the text of every file, at most ``limit`` of them."""
        return islice(self._all_documents(), limit)

    def _all_documents(self) -> Iterator[str]:
        seen: set[bytes] = set()
        for package in self.packages:
            for _, path in package.files:
                content = _read_bytes(path)
                digest = hashlib.sha256(content).digest()
                if digest in seen or not content.strip():
                    continue
                seen.add(digest)
                try:
                    yield content.decode("utf-8")
                except UnicodeDecodeError:
                    continue  # test data in other encodings; a handful of files


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadCorpus(f"{path} cannot be read: {error.strerror or error}") from None


def _find_package(wanted: str) -> Package:
    written, _, version = (part.strip() for part in wanted.partition("=="))
    name = re.sub(r"[-_.]+", "-", written).lower()
    package = _standard_library() if name == STANDARD_LIBRARY else _installed_package(name, written)
    if version and version != package.version:
        raise BadCorpus(
            f"corpus package {written!r} is installed as {package.version}, not {version}"
        )
    if not package.files:
        raise BadCorpus(
            f"corpus package {written!r} {package.version} lists no Python files "
            "(it is compiled, or installed in editable mode); name another, or give a folder"
        )
    return package


def _standard_library() -> Package:
    root = Path(sysconfig.get_path("stdlib"))
    foreign = {"site-packages", "dist-packages", "__pycache__"}
    files = []
    for folder, folders, names in os.walk(root):
        folders[:] = [child for child in folders if child not in foreign]
        files += [Path(folder, name) for name in names if name.endswith(".py")]
    ordered = sorted((path.relative_to(root).as_posix(), path) for path in files)
    return Package(STANDARD_LIBRARY, platform.python_version(), tuple(ordered))


def _installed_package(name: str, written: str) -> Package:
    try:
        distribution = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        raise BadCorpus(
            f"corpus package {written!r} is not installed; 'pip list' shows the names that are, "
            f"and {STANDARD_LIBRARY!r} is the standard library"
        ) from None
    files = []
    for listed in distribution.files or ():
        path = Path(str(listed.locate()))
        # Scripts in ../../bin are written by the installer and differ between machines.
        if listed.suffix == ".py" and ".." not in listed.parts and path.is_file():
            files.append((listed.as_posix(), path))
    return Package(name, distribution.version, tuple(sorted(files)))
