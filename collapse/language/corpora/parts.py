"""One corpus of several named ones: its documents know which part they come from."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import ClassVar, Protocol

from collapse.errors import BadCorpus

EVERY_TEXT = "all"
"""What stands for the text of all parts, and so is no name of one."""

_PART = re.compile(r"(?P<part>[\w-]+)=(?P<name>[^=].*)", re.DOTALL)
_BETWEEN = re.compile(r"\+(?=[\w-]+=)")


class _Part(Protocol):
    """What is needed of a corpus that is part of one."""

    @property
    def fingerprint(self) -> str: ...

    def documents(self, limit: int | None = None) -> Iterator[str]: ...


@dataclass(frozen=True)
class PartedCorpus:
    """Several finite corpora under names, as one: ``simple=stories.jsonl+complex=abstracts.jsonl``.

    Attributes:
        name: the corpus as the user wrote it.
        parts: names and corpora, in the order they were written.
    """

    name: str
    parts: tuple[tuple[str, _Part], ...]
    is_generative: ClassVar[bool] = False

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the parts' names and fingerprints, in their order."""
        words = [word for part, corpus in self.parts for word in (part, corpus.fingerprint)]
        return hashlib.sha256("\x1f".join(["parts", *words]).encode()).hexdigest()

    def documents(self, limit: int | None = None) -> Iterator[str]:
        """Yield the documents of all parts, at most ``limit``."""
        for _, text in self.named_documents(limit):
            yield text

    def named_documents(self, limit: int | None = None) -> Iterator[tuple[str, str]]:
        """Yield (part, document), one of each part in turn, so that a limit cuts none short."""
        return islice(self._in_turn(), limit)

    def _in_turn(self) -> Iterator[tuple[str, str]]:
        waiting = {part: corpus.documents() for part, corpus in self.parts}
        while waiting:
            for part in tuple(waiting):
                text = next(waiting[part], None)
                if text is None:
                    del waiting[part]
                else:
                    yield part, text


def split_parts(name: str) -> list[tuple[str, str]]:
    """The parts that a corpus's name lists, as (part, corpus); none where it lists none.

    Raises:
        BadCorpus: fewer than two parts, two of one name, or a part called ``all``.
    """
    found = [_PART.fullmatch(word) for word in _BETWEEN.split(name)]
    pairs = [(match["part"], match["name"]) for match in found if match]
    if not pairs or len(pairs) < len(found):
        return []
    parts = [part for part, _ in pairs]
    if len(parts) < 2:
        raise BadCorpus(f"corpus {name!r} has one part: give two or more, NAME=PATH+NAME=PATH")
    for part in parts:
        if part == EVERY_TEXT or parts.count(part) > 1:
            why = "means all of them" if part == EVERY_TEXT else "comes twice"
            raise BadCorpus(f"corpus {name!r}: no part can be called {part!r}, which {why}")
    return pairs
