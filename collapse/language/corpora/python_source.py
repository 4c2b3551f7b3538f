"""Python source code as a corpus: the standard library, installed packages, and wheels."""

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
from collapse.language.corpora.package_index import WheelPackage, fetch_wheel
from collapse.language.corpora.splits import text_digest

STANDARD_LIBRARY = "stdlib"

LARGEST_FILE_BYTES = 1_000_000
LONGEST_LINE = 1_000
"""Larger files and longer lines, in characters, are tables and embedded data, written by no one."""

BUILD_FILES = frozenset({"__config__.py", "version.py"})
"""Names of files in which a build notes its label, compiler or machine, as numpy, scipy and
torch have. They differ between the wheels of one version."""

_ENTRY = re.compile(r"([A-Za-z0-9][\w.-]*)\s*(?:==\s*([A-Za-z0-9][\w.!+-]*))?", re.ASCII)


@dataclass(frozen=True)
class InstalledPackage:
    """A package that is read from where it is installed.

    Attributes:
        name: normalised distribution name, or ``stdlib``.
        version: the installed version; the interpreter's own for ``stdlib``.
        files: (path relative to the library's folder with ``/``, path on disk), in order.
    """

    name: str
    version: str
    files: tuple[tuple[str, Path], ...]

    def paths(self) -> list[str]:
        """The relative paths of its ``.py`` files, in order."""
        return [relative for relative, _ in self.files]

    def sources(self, most_bytes: int) -> Iterator[tuple[str, bytes]]:
        """Yield the relative path and the first bytes of every ``.py`` file, in order.

        Args:
            most_bytes: of a file that are read.

        Raises:
            BadCorpus: a file cannot be read.
        """
        for relative, path in self.files:
            try:
                with path.open("rb") as file:
                    content = file.read(most_bytes)
            except OSError as error:
                raise BadCorpus(f"{path} cannot be read: {error.strerror or error}") from None
            yield relative, content


Package = InstalledPackage | WheelPackage


@dataclass(frozen=True)
class PythonCorpus:
    """The Python files of some packages, cleaned; each file is one document.

    Packages are taken in the order of their names and files in the order of their paths. See
    :func:`clean_source` for which are left out; so are the files that a build writes about itself
    (``BUILD_FILES``), and a file whose cleaned text was read before. What a version of a package
    gives does not depend on whether it is installed or read from its wheel.

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
        version may be demanded with ``==``; one that is not installed is then fetched as a wheel
        from the package index, once, and kept (:mod:`collapse.language.corpora.package_index`).

        Raises:
            BadCorpus: a package is not installed and cannot be fetched, or has no Python files.
            StoreError: what is fetched cannot be kept.
        """
        _, _, listed = name.partition(":")
        wanted = [item.strip() for item in listed.split(",")] if ":" in name else [STANDARD_LIBRARY]
        if not all(wanted):
            raise BadCorpus(f"corpus {name!r} names an empty package; write python:numpy,torch")
        found = {}
        for package in map(_find_package, wanted):
            if package.name in found:
                raise BadCorpus(f"corpus {name!r} names {package.name} twice: name it once")
            found[package.name] = package
        return cls(name, tuple(found[key] for key in sorted(found)))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the documents in their order: equal for equal text, wherever it lies."""
        whole = hashlib.sha256(b"python")
        for document in self._all_documents():
            whole.update(text_digest(document))
        return whole.hexdigest()

    def documents(self, limit: int | None = None) -> Iterator[str]:
        """Yield the cleaned text of every file, at most ``limit`` of them."""
        return islice(self._all_documents(), limit)

    def _all_documents(self) -> Iterator[str]:
        seen: set[bytes] = set()
        for package in self.packages:
            for path, content in package.sources(LARGEST_FILE_BYTES + 1):
                text = None if path.rpartition("/")[2] in BUILD_FILES else clean_source(content)
                if text is None:
                    continue
                digest = text_digest(text)
                if digest not in seen:
                    seen.add(digest)
                    yield text


def clean_source(content: bytes) -> str | None:
    """A file's text with newlines for line ends, or None where it is left out of the corpus.

    Left out are files over a megabyte, files with a line over a thousand characters (both are
    tables, embedded data or minified, as a rule), files that are not UTF-8 (tests of other
    encodings, a handful), files with null bytes, and files of white space only. A byte order mark
    is no part of the text.
    """
    if len(content) > LARGEST_FILE_BYTES or b"\0" in content:
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    longest_line = max(map(len, text.split("\n")))
    return text if text.strip() and longest_line <= LONGEST_LINE else None


def _find_package(wanted: str) -> Package:
    entry = _ENTRY.fullmatch(wanted)
    if entry is None:
        raise BadCorpus(f"corpus package {wanted!r} is not of the form NAME or NAME==VERSION")
    written, version = entry[1], entry[2]
    name = re.sub(r"[-_.]+", "-", written).lower()
    package: Package | None
    if name == STANDARD_LIBRARY:
        package = _standard_library()
        if version and version != package.version:
            raise BadCorpus(
                f"corpus package {STANDARD_LIBRARY!r} is that of Python {package.version}, "
                f"not {version}"
            )
        return package
    package = _installed_package(name)
    if version and not (package and package.files and _fits(package.version, version)):
        package = WheelPackage(name, version, fetch_wheel(name, version))
    if package is None:
        raise BadCorpus(
            f"corpus package {written!r} is not installed; 'pip list' shows the names that are, "
            f"{written}==VERSION would be fetched, and {STANDARD_LIBRARY!r} is the standard library"
        )
    if not package.paths():
        raise BadCorpus(
            f"corpus package {written!r} {package.version} lists no Python files "
            "(it is compiled, or installed in editable mode); name another, or give a folder"
        )
    return package


def _fits(installed: str, wanted: str) -> bool:
    """Whether versions are equal; a build's own label, as in 2.13.0+cpu, may be left unsaid."""
    return wanted in (installed, installed.partition("+")[0])


def _standard_library() -> InstalledPackage:
    root = Path(sysconfig.get_path("stdlib"))
    foreign = {"site-packages", "dist-packages", "__pycache__"}
    files = []
    for folder, folders, names in os.walk(root):
        folders[:] = [child for child in folders if child not in foreign]
        files += [Path(folder, name) for name in names if name.endswith(".py")]
    ordered = sorted((path.relative_to(root).as_posix(), path) for path in files)
    return InstalledPackage(STANDARD_LIBRARY, platform.python_version(), tuple(ordered))


def _installed_package(name: str) -> InstalledPackage | None:
    try:
        distribution = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    files = []
    for listed in distribution.files or ():
        path = Path(str(listed.locate()))
        # Scripts in ../../bin are written by the installer and differ between machines.
        if listed.suffix == ".py" and ".." not in listed.parts and path.is_file():
            files.append((listed.as_posix(), path))
    return InstalledPackage(name, distribution.version, tuple(sorted(files)))
