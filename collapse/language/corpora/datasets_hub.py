"""Corpora on the Hugging Face Hub, streamed."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import ClassVar

from collapse.errors import BadCorpus
from collapse.language.corpora.files import checked_text

_NAME = re.compile(
    r"(?P<dataset>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)"
    r"(?::(?P<configuration>[\w.-]+))?"
    r"(?:@(?P<revision>[\w./-]+))?"
)


@dataclass(frozen=True)
class HubCorpus:
    """The training split of a dataset on the Hugging Face Hub, in its own order.

    Attributes:
        name: the corpus as the user wrote it: ``owner/dataset``, with ``:configuration`` and
            ``@revision`` where wanted, as in ``HuggingFaceTB/cosmopedia:stories``.
        dataset: ``owner/dataset``.
        configuration: the dataset's configuration; None for its only or default one.
        revision: a branch, tag or commit; None for the default branch.
        text_column: the column that holds the text.
    """

    name: str
    dataset: str
    configuration: str | None
    revision: str | None
    text_column: str = "text"
    is_generative: ClassVar[bool] = False

    @classmethod
    def open(cls, name: str, text_column: str = "text") -> "HubCorpus":
        """Read the name; nothing is fetched.

        Raises:
            BadCorpus: the name has not the form ``owner/dataset``.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise BadCorpus(f"corpus {name!r} has not the form owner/dataset[:configuration]")
        return cls(name, match["dataset"], match["configuration"], match["revision"], text_column)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the names and the revision asked for, not of the content.

        Knowing the content would mean fetching it. So a dataset that changes under a branch keeps
        its fingerprint: name a commit (``owner/dataset@commit``) where that matters.
        """
        parts = (self.dataset, self.configuration or "", self.revision or "", self.text_column)
        return hashlib.sha256("\x1f".join(("hub", *parts)).encode()).hexdigest()

    def require_access(self) -> None:
        """Raise BadCorpus, within two seconds, where the Hub cannot be reached."""
        from collapse.language.hub import require_hub_access

        require_hub_access(self.dataset, kind="dataset")

    def documents(self, limit: int | None = None) -> Iterator[str]:
        """Stream the documents; at most ``limit`` rows are fetched.

        Raises:
            BadCorpus: the Hub cannot be reached, has no such dataset, or a row holds no text.
        """
        self.require_access()
        rows = islice(self._rows(), limit)
        for number, row in enumerate(rows):
            text = checked_text(row, self.text_column, f"dataset {self.name!r} row {number}")
            if text.strip():
                yield text

    def _rows(self) -> Iterator[dict[str, object]]:
        import datasets

        try:
            yield from datasets.load_dataset(
                self.dataset,
                self.configuration,
                revision=self.revision,
                split="train",
                streaming=True,
            )
        # The library raises errors of a dozen unrelated classes (its own, the hub's, httpx's).
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise BadCorpus(f"dataset {self.name!r} cannot be read: {reason}") from error


def has_hub_form(name: str) -> bool:
    """Whether a name has the form ``owner/dataset``."""
    return _NAME.fullmatch(name) is not None
