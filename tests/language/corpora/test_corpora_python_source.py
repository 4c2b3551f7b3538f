import ast
import importlib.metadata
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from collapse.errors import BadCorpus
from collapse.language.corpora import python_source
from collapse.language.corpora.package_index import WheelPackage
from collapse.language.corpora.python_source import (
    LARGEST_FILE_BYTES,
    LONGEST_LINE,
    InstalledPackage,
    PythonCorpus,
    clean_source,
)


def test_standard_library_is_valid_utf8_python() -> None:
    corpus = PythonCorpus.open("python")
    documents = list(corpus.documents())
    assert corpus.packages[0].version == platform.python_version()
    assert len(documents) > 500
    assert len(set(documents)) == len(documents)
    names = corpus.packages[0].paths()
    assert names == sorted(names)
    assert {"ast.py", "json/decoder.py"} <= set(names)
    assert not any("site-packages" in name for name in names)
    assert Path(ast.__file__).read_text(encoding="utf-8") in documents


def test_reading_twice_gives_the_same_text() -> None:
    first, second = (PythonCorpus.open("python:pytest,numpy") for _ in range(2))
    assert list(first.documents()) == list(second.documents())
    assert first.fingerprint == second.fingerprint


def test_packages_are_found_whatever_their_spelling_and_order() -> None:
    one = PythonCorpus.open("python:pytest,numpy")
    other = PythonCorpus.open("python: NumPy , Pytest")
    assert one.fingerprint == other.fingerprint
    assert [package.name for package in one.packages] == ["numpy", "pytest"]
    assert one.packages[0].version == importlib.metadata.version("numpy")
    assert one.fingerprint != PythonCorpus.open("python:pytest").fingerprint
    assert len(list(one.documents(3))) == 3


@pytest.fixture
def no_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, version: str) -> Path:
        raise AssertionError(f"{name} {version} was to be fetched")

    monkeypatch.setattr(python_source, "fetch_wheel", refuse)


@pytest.mark.usefixtures("no_fetching")
def test_an_installed_version_is_not_fetched() -> None:
    version = importlib.metadata.version("pytest")
    assert PythonCorpus.open(f"python:pytest=={version}").packages[0].version == version
    # The build's own label, as in 2.13.0+cpu, may be left unsaid.
    public, _, _ = importlib.metadata.version("torch").partition("+")
    assert isinstance(PythonCorpus.open(f"python:torch=={public}").packages[0], InstalledPackage)
    with pytest.raises(AssertionError, match=r"pytest 0\.1 was to be fetched"):
        PythonCorpus.open("python:pytest == 0.1")


@pytest.mark.usefixtures("no_fetching")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("python:no-such-package", "'no-such-package' is not installed.*==VERSION would be"),
        ("python:", "empty package"),
        ("python:numpy,,pytest", "empty package"),
        ("python:numpy,numpy", "names numpy twice"),
        ("python:stdlib==2.7", f"Python {platform.python_version()}, not 2.7"),
        ("python:--editable", "'--editable' is not of the form NAME or NAME==VERSION"),
        ("python:numpy==1.0 --pre", "not of the form"),
        ("python:numpy>=1.0", "not of the form"),
        ("python:numpy==", "not of the form"),
    ],
)
def test_unusable_names_are_explained(name: str, words: str) -> None:
    with pytest.raises(BadCorpus, match=words):
        PythonCorpus.open(name)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"x = 1\r\ny = 2\rz = 3\n", "x = 1\ny = 2\nz = 3\n"),
        (b"\xef\xbb\xbfx = 1\n", "x = 1\n"),
        ("# größer\n".encode(), "# größer\n"),
        ("# coding: latin-1\ny = 'é'\n".encode("latin-1"), None),
        (b"", None),
        (b" \r\n\t\n", None),
        (b"x = '\0'\n", None),
        (b"#" * LONGEST_LINE + b"\nx = 1\n", "#" * LONGEST_LINE + "\nx = 1\n"),
        (b"x = 1\n" + b"#" * (LONGEST_LINE + 1), None),
        # Characters count, not bytes.
        ("é".encode() * LONGEST_LINE, "é" * LONGEST_LINE),
        (b"x = 10\n\n" * (LARGEST_FILE_BYTES // 8), "x = 10\n\n" * (LARGEST_FILE_BYTES // 8)),
        (b"x = 10\n\n" * (LARGEST_FILE_BYTES // 8) + b"\n", None),
    ],
    ids=range(12),
)
def test_cleaning(content: bytes, text: str | None) -> None:
    assert clean_source(content) == text


def corpus_in(folder: Path, version: str = "1") -> PythonCorpus:
    files = tuple((path.name, path) for path in sorted(folder.iterdir()))
    return PythonCorpus("python:x", (InstalledPackage("x", version, files),))


def test_documents_and_fingerprint_follow_the_cleaned_text(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "b.py").write_bytes(b"x = 1\n")
    (tmp_path / "c.py").write_bytes(b"y = 2\n")
    (tmp_path / "d.py").write_bytes(b"z = 3\n" * LARGEST_FILE_BYTES)
    (tmp_path / "version.py").write_bytes(b"version = 4\n")
    assert list(corpus_in(tmp_path).documents()) == ["x = 1\n", "y = 2\n"]
    before = corpus_in(tmp_path).fingerprint
    assert before == corpus_in(tmp_path, "2").fingerprint
    (tmp_path / "b.py").unlink()
    (tmp_path / "version.py").unlink()
    assert before == corpus_in(tmp_path).fingerprint
    (tmp_path / "c.py").write_bytes(b"y = 3\n")
    assert before != corpus_in(tmp_path).fingerprint
    (tmp_path / "c.py").unlink()
    assert before != corpus_in(tmp_path).fingerprint


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    corpus = corpus_in(tmp_path)
    (tmp_path / "a.py").unlink()
    with pytest.raises(BadCorpus, match=r"a\.py cannot be read"):
        list(corpus.documents())


METADATA = "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.5\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel with all that installers treat apart: scripts, a data folder, entry points."""
    path = tmp_path / "tiny_thing-1.5-py3-none-any.whl"
    info = "tiny_thing-1.5.dist-info"
    data = "tiny_thing-1.5.data"
    contents = {
        "tiny/zebra.py": "z = 1\r\n",
        "tiny/__init__.py": "import zebra\n",
        "tiny/empty.py": "",
        "tiny/copy.py": "z = 1\n",
        "tiny/table.csv": "1,2\n",
        "tiny/version.py": "v = 1.5\n",
        "single.py": "alone = True\n",
        f"{data}/purelib/tiny/late.py": "late = 1\n",
        f"{data}/platlib/tiny/built.py": "built = 1\n",
        f"{data}/scripts/tool.py": "#!python\nscript = 1\n",
        f"{data}/data/share/example.py": "example = 1\n",
        f"{info}/METADATA": METADATA,
        f"{info}/WHEEL": WHEEL,
        f"{info}/entry_points.txt": "[console_scripts]\ntiny.py = tiny:main\n",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
        listed = [*contents, f"{info}/RECORD"]
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in listed))
    return path


def test_installed_and_fetched_give_the_same(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip itself installs the wheel, from the file and without network."""
    monkeypatch.setattr(python_source, "fetch_wheel", lambda name, version: wheel)
    fetched = PythonCorpus.open("python:Tiny_Thing==1.5")
    assert isinstance(fetched.packages[0], WheelPackage)
    prefix = tmp_path / "prefix"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, f"--prefix={prefix}", str(wheel)], check=True)
    assert {path.name for path in prefix.glob("**/bin/*.py")} == {"tiny.py", "tool.py"}
    monkeypatch.syspath_prepend(str(next(prefix.rglob("single.py")).parent))
    installed = PythonCorpus.open("python:tiny.thing==1.5")
    assert isinstance(installed.packages[0], InstalledPackage)
    documents = ["alone = True\n", "import zebra\n", "built = 1\n", "z = 1\n", "late = 1\n"]
    assert list(installed.documents()) == list(fetched.documents()) == documents
    assert installed.packages[0].paths() == fetched.packages[0].paths()
    assert installed.fingerprint == fetched.fingerprint


def test_a_package_without_python_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "none-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("none/core.so", "")
    monkeypatch.setattr(python_source, "fetch_wheel", lambda name, version: path)
    with pytest.raises(BadCorpus, match="'none' 1 lists no Python files"):
        PythonCorpus.open("python:none==1")
