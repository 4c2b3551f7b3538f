import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from collapse.errors import BadCorpus
from collapse.language.corpora.datasets_hub import HubCorpus, has_hub_form
from collapse.language.corpora.source import corpus_fingerprint

Install = Callable[[Callable[..., Iterator[dict[str, Any]]]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a stand-in in the place of the datasets library; the hub then counts as reachable."""

    def install(load: Callable[..., Iterator[dict[str, Any]]]) -> None:
        library = ModuleType("datasets")
        library.load_dataset = load  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "datasets", library)
        monkeypatch.setattr(HubCorpus, "require_access", lambda self: None)

    return install


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("roneneldan/TinyStories", ("roneneldan/TinyStories", None, None)),
        ("HuggingFaceTB/cosmopedia:stories", ("HuggingFaceTB/cosmopedia", "stories", None)),
        ("a/b-1.0@refs/convert/parquet", ("a/b-1.0", None, "refs/convert/parquet")),
        ("a/b:c@d", ("a/b", "c", "d")),
    ],
)
def test_names_are_taken_apart(name: str, parts: tuple[str | None, ...]) -> None:
    corpus = HubCorpus.open(name)
    assert (corpus.dataset, corpus.configuration, corpus.revision) == parts


@pytest.mark.parametrize("name", ["tinystories", "a/b/c", "/a/b", "a/b:", "a/b@", "a b/c", "../a"])
def test_other_names_are_not_of_the_hub(name: str) -> None:
    assert not has_hub_form(name)
    with pytest.raises(BadCorpus, match="form owner/dataset"):
        HubCorpus.open(name)


def test_fingerprint_is_of_names_and_needs_no_network() -> None:
    names = ["a/b", "a/b:c", "a/b@c", "a/b:c@d", "a/bc"]
    corpora = [HubCorpus.open(name) for name in names] + [HubCorpus.open("a/b", "story")]
    assert len({corpus.fingerprint for corpus in corpora}) == len(corpora)
    assert corpora[0].fingerprint == HubCorpus.open("a/b").fingerprint


def test_rows_are_streamed_up_to_the_limit(install: Install) -> None:
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def load(*arguments: Any, **options: Any) -> Iterator[dict[str, Any]]:
        asked.append((arguments, options))
        for number in range(10):
            if number == 4:
                raise AssertionError("a row beyond the limit was fetched")
            yield {"story": f"number {number}" if number else " ", "id": number}

    install(load)
    corpus = HubCorpus.open("a/b:c@d", "story")
    assert list(corpus.documents(4)) == ["number 1", "number 2", "number 3"]
    options = {"revision": "d", "split": "train", "streaming": True}
    assert asked == [(("a/b", "c"), options)]


def test_foreign_errors_become_one_line(install: Install) -> None:
    def load(*arguments: Any, **options: Any) -> Iterator[dict[str, Any]]:
        raise RuntimeError("Config name is missing.\nPlease pick one")

    install(load)
    with pytest.raises(BadCorpus, match=r"'a/b' cannot be read: Config name is missing\.$"):
        next(HubCorpus.open("a/b").documents())


def test_missing_column_is_named(install: Install) -> None:
    install(lambda *arguments, **options: iter([{"story": "x"}]))
    with pytest.raises(BadCorpus, match=r"row 0 has no field 'text'; its fields: 'story'"):
        next(HubCorpus.open("a/b").documents())


def test_reachable_hub_gives_the_fingerprint(install: Install) -> None:
    install(lambda *arguments, **options: iter(()))
    assert corpus_fingerprint("a/b") == HubCorpus.open("a/b").fingerprint
    assert corpus_fingerprint("simple:a/b") != corpus_fingerprint("a/b")


def test_unreachable_hub_is_a_bad_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for look in (corpus_fingerprint, lambda name: next(HubCorpus.open(name).documents())):
        with pytest.raises(BadCorpus, match="nobody/no-such-dataset"):
            look("nobody/no-such-dataset")  # type: ignore[operator]
