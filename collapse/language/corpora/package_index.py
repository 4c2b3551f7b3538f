"""Packages that are not installed: wheels from the package index, read as they are.

A wheel is fetched once, by the pip of this interpreter and with its settings, and kept. It is read
like any other zip file: nothing of it is installed, and nothing in it is ever executed. That is why
only wheels are fetched, and no source archives: to fetch one, pip runs its build scripts.

A package with compiled parts has a wheel a platform, and a few of their files differ. So that all
machines read the same, the wheel is always the one for CPython 3.11 on 64-bit Linux, whatever
machine this is; a package of Python alone has one wheel for all.
"""

import hashlib
import os
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from collapse.errors import BadCorpus, StoreError

_HASH_FILE = "sha256"
_PYTHON = "3.11"
_NEWEST_GLIBC = 40
_PLATFORMS = (
    "manylinux2014_x86_64",
    *(f"manylinux_2_{minor}_x86_64" for minor in range(17, _NEWEST_GLIBC + 1)),
)
_UNREACHABLE = re.compile(
    r"connection (broken|refused|reset)|failed to establish|name resolution|max retries|timed out"
    r"|ProxyError|SSLError|ConnectTimeout",
    re.IGNORECASE,
)
_VERSIONS_SHOWN = 5


@dataclass(frozen=True)
class WheelPackage:
    """A package that is read from its wheel.

    Attributes:
        name: normalised distribution name.
        version: as it was asked for.
        archive: the wheel.
    """

    name: str
    version: str
    archive: Path

    def paths(self) -> list[str]:
        """Where its ``.py`` files would lie below the library's folder if installed, in order.

        Raises:
            BadCorpus: the wheel is damaged, or names a place outside of that folder.
        """
        with self._open() as archive:
            return sorted(self._members(archive))

    def sources(self, most_bytes: int) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the first bytes of every ``.py`` file, in the order of paths.

        Args:
            most_bytes: of a file that are read.

        Raises:
            BadCorpus: the wheel is damaged.
        """
        with self._open() as archive:
            for path, member in sorted(self._members(archive).items()):
                try:
                    with archive.open(member) as file:
                        content = file.read(most_bytes)
                # RuntimeError: encrypted, or (NotImplementedError) compressed in another way.
                except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
                    raise self._damaged(error) from None
                yield path, content

    def _members(self, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
        """Its files, all of them looked at before one is read.

        Nothing is unpacked; but a wheel that names what lies elsewhere was not made by a builder.
        """
        for member in archive.infolist():
            if _leaves(member.filename):
                raise self._damaged(f"{member.filename!r} lies outside of its folder")
            if stat.S_ISLNK(member.external_attr >> 16):
                raise self._damaged(f"{member.filename!r} is a link")
        return _members(archive)

    def _open(self) -> zipfile.ZipFile:
        try:
            return zipfile.ZipFile(self.archive)
        except (OSError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception | str) -> BadCorpus:
        return BadCorpus(
            f"{self.archive} cannot be read ({error}); delete its folder to have it fetched again"
        )


def fetch_wheel(name: str, version: str) -> Path:
    """The wheel of a package, from the cache or else from the package index.

    Pip checks what it fetches against the hash the index states. The file's SHA-256 is kept beside
    it and checked whenever it is used. A wheel put into the cache by hand is taken unchecked.

    Args:
        name: normalised distribution name.
        version: exact.

    Raises:
        BadCorpus: the index cannot be reached, or has no such wheel; or the one kept is damaged.
        StoreError: the cache cannot be written.
    """
    folder = cache_folder() / f"{name}-{version}"
    wheel = _kept_wheel(folder)
    if wheel is None:
        _fill(folder, name, version)
        wheel = _kept_wheel(folder)
    if wheel is None:
        raise BadCorpus(f"{folder} should hold one wheel of {name} {version}; delete the folder")
    return wheel


def cache_folder() -> Path:
    """Where wheels are kept: ``COLLAPSE_CACHE``/packages, else the user's cache folder."""
    own = os.environ.get("COLLAPSE_CACHE")
    if own:
        return Path(own).expanduser() / "packages"
    users = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(users).expanduser() / "collapse" / "packages"


def _kept_wheel(folder: Path) -> Path | None:
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        return None
    stated = folder / _HASH_FILE
    if stated.is_file() and stated.read_text(encoding="ascii").strip() != _sha256(wheels[0]):
        raise BadCorpus(
            f"{wheels[0]} is not as it was fetched (its SHA-256 differs); delete {folder} to have "
            "it fetched again"
        )
    return wheels[0]


def _fill(folder: Path, name: str, version: str) -> None:
    """Fetch into a folder beside the final one, and rename: no half-fetched wheel is ever seen."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as unfinished:
            place = Path(unfinished, folder.name)
            place.mkdir()
            _download(name, version, place, folder)
            for wheel in place.glob("*.whl"):
                (place / _HASH_FILE).write_text(_sha256(wheel) + "\n", encoding="ascii")
            _move(place, folder)
    except OSError as error:
        raise StoreError(
            f"the cache {folder.parent} cannot be written: {error.strerror or error} "
            "(COLLAPSE_CACHE names another place)"
        ) from error


def _move(place: Path, folder: Path) -> None:
    try:
        os.replace(place, folder)
    except OSError:
        if not any(folder.glob("*.whl")):  # else another process was faster
            raise


def _download(name: str, version: str, place: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--retries=1", f"--dest={place}"]
    command += ["--implementation=cp", f"--python-version={_PYTHON}", "--ignore-requires-python"]
    command += [f"--platform={platform}" for platform in _PLATFORMS]
    done = subprocess.run(
        [*command, f"{name}=={version}"], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise BadCorpus(
            f"corpus package {name}=={version} is not installed and {_reason(done.stderr)}; "
            f"install that version, name another, or put its wheel into {folder}"
        )


def _reason(complaint: str) -> str:
    """Why pip fetched nothing, in a few words.

    Args:
        complaint: what pip wrote to its standard error.
    """
    if "No module named pip" in complaint:
        return f"{sys.executable} has no pip to fetch it with"
    if "PIP_NO_INDEX" in os.environ:
        where = "PIP_FIND_LINKS"
    elif _UNREACHABLE.search(complaint):
        return "the package index cannot be reached"
    else:
        where = "the package index"
    listed = re.search(r"\(from versions: (.*)\)", complaint)
    if listed and listed[1] == "none":
        return f"{where} has no wheel of that name"
    if listed:
        newest = ", ".join(listed[1].split(", ")[-_VERSIONS_SHOWN:])
        return f"{where} has no wheel of that version (it has ... {newest})"
    lines = [line for line in complaint.splitlines() if line.strip()]
    return f"pip failed: {lines[-1] if lines else 'it said nothing'}"


def _leaves(name: str) -> bool:
    """Whether a name in an archive is absolute, on any system, or climbs out of its folder."""
    windows = PureWindowsPath(name)
    return bool(windows.anchor) or ".." in windows.parts


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Path below the library's folder to member, for every ``.py`` file that would lie there."""
    found = {}
    for member in archive.infolist():
        path = PurePosixPath(member.filename)
        if path.suffix == ".py" and path.parts[0].endswith(".data"):
            # NAME-VERSION.data/SCHEME/...: what is for other places, such as scripts, is left out.
            is_library = path.parts[1] in ("purelib", "platlib")
            path = PurePosixPath(*path.parts[2:]) if is_library else PurePosixPath()
        if path.suffix == ".py":
            found[path.as_posix()] = member
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
