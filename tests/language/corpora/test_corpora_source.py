import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import collapse.language.corpora
from collapse.errors import BadCorpus
from collapse.language.corpora.datasets_hub import HubCorpus
from collapse.language.corpora.files import FileCorpus
from collapse.language.corpora.python_source import PythonCorpus
from collapse.language.corpora.source import (
    StoriesSource,
    corpus_fingerprint,
    open_source,
)

ROOT = Path(__file__).parents[3]


@pytest.fixture
def stories(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the grammar."""
    grammar = ModuleType("collapse.language.corpora.stories")
    grammar.sample = lambda count, rng: [f"story {rng.integers(10**9)}" for _ in range(count)]  # type: ignore[attr-defined]
    grammar.fingerprint = lambda: "grammar-1"  # type: ignore[attr-defined]
    grammar.entropy_nats = lambda: 20.7  # type: ignore[attr-defined]
    grammar.world = lambda _name: grammar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, grammar.__name__, grammar)
    monkeypatch.setattr(collapse.language.corpora, "stories", grammar, raising=False)
    return grammar


def test_stories_are_drawn(stories: ModuleType) -> None:
    source = open_source("stories")
    assert isinstance(source, StoriesSource)
    assert source.is_generative
    drawn = source.draw(5, np.random.default_rng(0))
    assert drawn == source.draw(5, np.random.default_rng(0))
    assert source.fingerprint == corpus_fingerprint("stories") == "grammar-1"
    assert source.entropy_nats() == 20.7


def test_names_mean_what_they_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "data").mkdir(parents=True)
    (tmp_path / "owner" / "data" / "a.txt").write_text("words")
    (tmp_path / "stories").mkdir()
    (tmp_path / "stories" / "a.txt").write_text("words")
    assert isinstance(open_source("python"), PythonCorpus)
    assert isinstance(open_source("python:numpy"), PythonCorpus)
    assert isinstance(open_source("owner/data"), FileCorpus)
    assert isinstance(open_source("./stories"), FileCorpus)
    assert isinstance(open_source("stories"), StoriesSource)
    hub = open_source("roneneldan/TinyStories", text_column="story")
    assert isinstance(hub, HubCorpus)
    assert hub.text_column == "story"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tinystories", "'tinystories' is unknown: it is no file or folder here"),
        ("", "'' is unknown"),
        ("a/b/c", "unknown"),
        ("data/missing.jsonl", "no such file"),
        ("./missing", "no such file"),
        ("~/missing-7f3a", "no such file"),
        ("simple:", "unknown"),
        ("x" * 5000, "unknown"),
        ("a\0b", "unknown"),
        ("./a\0b", "no such file"),
        ("~no-such-user-7f3a/a.txt", "cannot be looked at"),
    ],
)
def test_bad_names_are_explained(name: str, words: str) -> None:
    with pytest.raises(BadCorpus, match=words) as caught:
        open_source(name)
    assert repr(name) in str(caught.value)


def test_check_reads_small_corpora_wholly(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' * 5000 + "{\n")
    with pytest.raises(BadCorpus, match="line 5001 is not valid JSON"):
        corpus_fingerprint(str(path))
    path.write_text('{"text": " "}\n')
    with pytest.raises(BadCorpus, match="holds no text"):
        corpus_fingerprint(str(path))
    path.write_text('{"text": "fine"}\n' * 1000)
    with pytest.raises(BadCorpus, match="its 1 distinct documents leave the split 'validation'"):
        corpus_fingerprint(str(path))
    path.write_text("".join(f'{{"text": "fine {number * "x"}"}}\n' for number in range(500)))
    assert corpus_fingerprint(str(path)) == open_source(str(path)).fingerprint
    assert corpus_fingerprint(f"simple:{path}") != corpus_fingerprint(str(path))
    with pytest.raises(BadCorpus, match="its 12 distinct documents"):
        corpus_fingerprint(str(path), limit=12)


def test_check_of_a_large_corpus_stops(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [json.dumps({"text": f"{number} " + "x" * 100_000}) for number in range(400)]
    path.write_text("\n".join([*rows, "{\n"]))
    assert len(corpus_fingerprint(str(path))) == 64


def test_faults_are_found_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    """In a process of its own; what asks the hub at length is not loaded."""
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{"text"\n')
    (tmp_path / "column.jsonl").write_text('{"body": "a"}\n')
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "table.csv").write_text("a,b\n")
    names = ["bad.jsonl", "column.jsonl", "empty.txt", "table.csv", "none.parquet", "unknown"]
    names += ["python:no-such-package", "nobody/no-such-dataset"]
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from collapse.errors import BadCorpus
from collapse.language.corpora.source import corpus_fingerprint
for name in {names!r}:
    try:
        corpus_fingerprint(name)
    except BadCorpus as error:
        print(error)
heavy = {{"torch", "transformers", "datasets", "mlflow", "scipy"}} & set(sys.modules)
assert not heavy, heavy
"""
    environment = {"HF_HUB_OFFLINE": "1", "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(names), lines
