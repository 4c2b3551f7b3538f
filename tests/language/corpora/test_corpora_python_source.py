import ast
import hashlib
import importlib.metadata
import platform
from pathlib import Path

import pytest

from collapse.errors import BadCorpus
from collapse.language.corpora.python_source import Package, PythonCorpus


def test_standard_library_is_valid_utf8_python() -> None:
    corpus = PythonCorpus.open("python")
    documents = list(corpus.documents())
    assert corpus.packages[0].version == platform.python_version()
    assert len(documents) > 500
    assert len(set(documents)) == len(documents)
    names = [relative for relative, _ in corpus.packages[0].files]
    assert names == sorted(names)
    assert {"ast.py", "json/decoder.py"} <= set(names)
    assert not any("site-packages" in name for name in names)
    assert Path(ast.__file__).read_bytes().decode() in documents


def test_reading_twice_gives_the_same_bytes() -> None:
    def digest() -> str:
        whole = hashlib.sha256()
        for document in PythonCorpus.open("python:pytest,numpy").documents():
            whole.update(document.encode())
        return whole.hexdigest()

    assert digest() == digest()


def test_packages_are_found_whatever_their_spelling_and_order() -> None:
    one = PythonCorpus.open("python:pytest,numpy")
    other = PythonCorpus.open("python: NumPy , Pytest")
    assert one.fingerprint == other.fingerprint
    assert [package.name for package in one.packages] == ["numpy", "pytest"]
    assert one.packages[0].version == importlib.metadata.version("numpy")
    assert one.fingerprint != PythonCorpus.open("python:pytest").fingerprint
    assert len(list(one.documents(3))) == 3


def test_version_may_be_demanded() -> None:
    version = importlib.metadata.version("pytest")
    PythonCorpus.open(f"python:pytest=={version}")
    with pytest.raises(BadCorpus, match=rf"'pytest' is installed as {version}, not 0\.1"):
        PythonCorpus.open("python:pytest==0.1")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("python:no-such-package", "'no-such-package' is not installed"),
        ("python:", "empty package"),
        ("python:numpy,,pytest", "empty package"),
    ],
)
def test_unknown_packages_are_named(name: str, words: str) -> None:
    with pytest.raises(BadCorpus, match=words):
        PythonCorpus.open(name)


def test_fingerprint_and_documents_follow_files(tmp_path: Path) -> None:
    def corpus(version: str = "1") -> PythonCorpus:
        files = tuple((path.name, path) for path in sorted(tmp_path.iterdir()))
        return PythonCorpus("python:x", (Package("x", version, files),))

    (tmp_path / "a.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "b.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "c.py").write_bytes("# coding: latin-1\ny = 'é'\n".encode("latin-1"))
    (tmp_path / "d.py").write_bytes(b"\n")
    (tmp_path / "e.py").write_bytes(b"y = 2\n")
    assert list(corpus().documents()) == ["x = 1\r\n", "y = 2\n"]
    before = corpus().fingerprint
    assert before == corpus().fingerprint
    assert before != corpus("2").fingerprint
    (tmp_path / "e.py").write_bytes(b"y = 3\n")
    assert before != corpus().fingerprint
