"""What a corpus is before it is split: a name becomes a source of documents."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, cast

from collapse.errors import BadCorpus, BadParameter
from collapse.language.corpora.complexity import BY_SCORE, HalfCorpus
from collapse.language.corpora.datasets_hub import HubCorpus, has_hub_form
from collapse.language.corpora.files import FILE_SUFFIXES, FileCorpus
from collapse.language.corpora.parts import EVERY_TEXT, PartedCorpus, split_parts
from collapse.language.corpora.python_source import PythonCorpus
from collapse.language.corpora.splits import HELDOUT_SHARE, JUDGE, SPLITS, split_of, text_hash

if TYPE_CHECKING:
    import numpy as np

    from collapse.language.corpora.stories import World

_CHECKED_CHARACTERS = 32_000_000
"""How much text the check before a study reads: all of a small corpus, within a second."""


class FiniteSource(Protocol):
    """A corpus with a last document."""

    @property
    def name(self) -> str:
        """The corpus as the user wrote it."""

    @property
    def fingerprint(self) -> str:
        """A hash that changes when the documents change."""

    @property
    def is_generative(self) -> bool:
        """False."""

    def documents(self, limit: int | None = None) -> Iterator[str]:
        """Yield non-empty documents, always in one order, reading at most ``limit``."""


@dataclass(frozen=True)
class StoriesSource:
    """The embedded grammar of stories: text without end, from a known distribution.

    Raises:
        BadCorpus: the name asks for a plot that there is not.
    """

    name: str = "stories"
    is_generative: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _ = self.world

    @cached_property
    def world(self) -> "World":
        """The stories, with all that is known of them."""
        from collapse.language.corpora.stories import world

        return world(self.name)

    @property
    def fingerprint(self) -> str:
        """The grammar's own fingerprint."""
        return self.world.fingerprint()

    def entropy_nats(self) -> float:
        """Entropy of the grammar in nats a story, end included."""
        return self.world.entropy_nats()

    def draw(self, count: int, rng: "np.random.Generator") -> list[str]:
        """Draw independent stories from the grammar."""
        return self.world.sample(count, rng)


Source = FiniteSource | StoriesSource


def open_source(name: str, *, text_column: str = "text") -> Source:
    """Find the corpus that a name means; little is read yet.

    Names are tried in this order:

    - ``NAME=CORPUS+NAME=CORPUS``: finite corpora as parts of one. (Unless a file is called so.)
    - ``stories``: the embedded grammar; ``stories:lost,share``: only these plots. (A folder of that
      name is ``./stories``.)
    - ``python``, ``python:torch``, ``python:stdlib,numpy==2.4.6``: source of installed packages.
    - ``simple:NAME`` and ``complex:NAME``: a half of the finite corpus NAME, by complexity.
    - a path to a ``.txt``, ``.jsonl`` or ``.parquet`` file, or to a folder of them.
    - ``owner/dataset``, ``owner/dataset:configuration@revision``: the Hugging Face Hub.

    Args:
        name: the corpus.
        text_column: field or column with the text in .jsonl, .parquet and hub rows.

    Raises:
        BadCorpus: the name means nothing, or what it means is missing, empty or of another format.
    """
    scheme, _, rest = name.partition(":")
    if pairs := _parts(name):
        return _open_parts(name, pairs, text_column)
    if name == "stories" or (scheme == "stories" and rest):
        return StoriesSource(name)
    if scheme == "python":
        return PythonCorpus.open(name)
    if scheme in ("simple", "complex") and rest:
        return _open_half(name, cast(Literal["simple", "complex"], scheme), rest, text_column)
    if _is_path(name):
        return FileCorpus.open(name, text_column)
    if has_hub_form(name):
        return HubCorpus.open(name, text_column)
    raise BadCorpus(
        f"corpus {name!r} is unknown: it is no file or folder here, and neither 'stories', "
        "'python', 'python:PACKAGE,...' nor a hub name of the form owner/dataset"
    )


def corpus_fingerprint(name: str, *, text_column: str = "text", limit: int | None = None) -> str:
    """Look at a corpus before anything is run, and return its fingerprint.

    For files, packages and the grammar the fingerprint follows the content. For a hub name it is a
    hash of the name and the revision asked for, because the content would have to be fetched.

    The first 32 million characters are read and checked, so a small corpus wholly; a fault further
    on is found when the corpus is prepared. Of a hub name it is only checked that the hub answers.
    Neither torch, transformers nor datasets is imported.

    Args:
        name: see ``open_source``.
        text_column: field or column with the text in .jsonl, .parquet and hub rows.
        limit: documents that will be read of it, None for all.

    Raises:
        BadCorpus: the corpus cannot be used; one line says why.
    """
    source = open_source(name, text_column=text_column)
    if isinstance(source, StoriesSource):
        return source.fingerprint
    wholes = whole_corpora(source)
    for one in wholes:
        if isinstance(one, HubCorpus):
            one.require_access()
    if isinstance(source, HalfCorpus) or len(wholes) > 1:
        # A half would have to be cut first; parts are all needed.
        for one in wholes:
            if not isinstance(one, HubCorpus):
                _check_documents(one.name, one.documents())
    elif not isinstance(source, HubCorpus):
        _check_documents(name, source.documents(limit), every_split=True)
    return source.fingerprint


def require_every_split(name: str, counts: Mapping[str, int]) -> None:
    """See that a finite corpus has documents for every split that is needed.

    Args:
        name: of the corpus.
        counts: distinct documents of every split.

    Raises:
        BadCorpus: it has not, and is too small.
    """
    # Without text for a judge, what it would have told is not measured.
    missing = [split for split in SPLITS if not counts.get(split) and split != JUDGE]
    if missing:
        kept = sum(counts.values())
        raise BadCorpus(
            f"corpus {name!r} is too small: its {kept} distinct documents leave the split "
            f"{missing[0]!r} empty; about {round(5 / HELDOUT_SHARE)} are needed to fill all six "
            "(cut long documents into shorter ones, or take a larger corpus)"
        )


def check_training_text(name: str, training_text: str) -> None:
    """See that a corpus has the text that is to be trained on.

    Args:
        name: see ``open_source``.
        training_text: ``all``, ``simple``, ``complex``, or the name of a part.

    Raises:
        BadParameter: it is none of these; the parts are listed.
    """
    require_choice(name, [part for part, _ in _parts(name)], training_text)


def require_choice(name: str, parts: Sequence[str], choice: str) -> None:
    """Raise BadParameter unless a corpus of these parts has what is chosen of it."""
    if choice in {EVERY_TEXT, *BY_SCORE, *parts}:
        return
    has = f"parts {', '.join(parts)}" if parts else "no parts (NAME=PATH+NAME=PATH would have)"
    raise BadParameter(
        f"training_text={choice}: corpus {name!r} has {has}; besides, there are all, simple and "
        "complex"
    )


def whole_corpora(source: FiniteSource) -> list[FiniteSource]:
    """The corpora that a finite one is put together from, or is a half of; else itself."""
    if isinstance(source, HalfCorpus):
        return whole_corpora(cast(FiniteSource, source.whole))
    if isinstance(source, PartedCorpus):
        parts = (cast(FiniteSource, corpus) for _, corpus in source.parts)
        return [whole for part in parts for whole in whole_corpora(part)]
    return [source]


def _parts(name: str) -> list[tuple[str, str]]:
    return [] if _exists(name) else split_parts(name)


def _open_parts(name: str, pairs: list[tuple[str, str]], text_column: str) -> PartedCorpus:
    parts = []
    for part, inner in pairs:
        source = open_source(inner, text_column=text_column)
        if isinstance(source, StoriesSource):
            raise BadCorpus(f"corpus {name!r}: {inner!r} has no end, and cannot be part {part!r}")
        parts.append((part, source))
    return PartedCorpus(name, tuple(parts))


def _open_half(
    name: str, half: Literal["simple", "complex"], whole_name: str, text_column: str
) -> HalfCorpus:
    whole = open_source(whole_name, text_column=text_column)
    if isinstance(whole, StoriesSource | HalfCorpus | PartedCorpus):
        raise BadCorpus(f"corpus {name!r}: only a file, folder, python or hub corpus has halves")
    return HalfCorpus(name, whole, half)


def _is_path(name: str) -> bool:
    if name.startswith((".", "/", "~")) or name.lower().endswith(FILE_SUFFIXES):
        return True
    return _exists(name)


def _exists(name: str) -> bool:
    try:
        return bool(name) and Path(name).exists()
    except (OSError, ValueError):  # too long for a path, or with a null byte
        return False


def _check_documents(name: str, documents: Iterator[str], *, every_split: bool = False) -> None:
    """Read some of a corpus: all of a small one, and on until every split has a document."""
    characters = 0
    distinct: dict[str, set[int]] = {split: set() for split in SPLITS}
    for document in documents:
        characters += len(document)
        if every_split:
            distinct[split_of(document)].add(text_hash(document))
        if characters > _CHECKED_CHARACTERS and (all(distinct.values()) or not every_split):
            return
    if not characters:
        raise BadCorpus(f"corpus {name!r} holds no text: give one of about 125 documents or more")
    if every_split:
        require_every_split(name, {split: len(names) for split, names in distinct.items()})
