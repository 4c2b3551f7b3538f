"""Human text: a corpus is split once, and chains draw their training text from it."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from collapse.errors import BadCorpus, BadParameter
from collapse.language.corpora.preparation import prepare_corpus
from collapse.language.corpora.prepared import (
    CorpusCard,
    iterate_texts,
    read_card,
    read_texts,
    texts_file,
)
from collapse.language.corpora.source import StoriesSource
from collapse.language.corpora.splits import HELDOUT_SPLITS, split_of, text_hash

__all__ = ["CorpusCard", "HumanText", "prepare_corpus"]

_DRAWN_AT_ONCE = 256
_FRUITLESS_DRAWS = 20_000
"""Draws in a row without a new text after which a grammar is taken to have no more."""


@dataclass(frozen=True)
class HumanText:
    """A prepared corpus.

    Attributes:
        folder: its files.
        card: what is known of it.
    """

    folder: Path
    card: CorpusCard
    _source: StoriesSource = field(default_factory=StoriesSource, repr=False)

    @classmethod
    def open(cls, folder: Path) -> "HumanText":
        """Open what ``prepare_corpus`` wrote.

        Raises:
            BadCorpus: nothing complete is there, or it was made by another grammar of stories.
        """
        text = cls(folder, read_card(folder))
        if text.card.is_generative and text.card.fingerprint != text._source.fingerprint:
            raise BadCorpus(
                f"{folder} was prepared with another version of {text.card.name!r} "
                f"({text.card.fingerprint[:12]}); prepare it again"
            )
        return text

    def heldout(self, split: str) -> list[str]:
        """The documents of a held-out split, in random order.

        Raises:
            BadParameter: ``split`` is not one of ``HELDOUT_SPLITS``.
            BadCorpus: its file is missing or damaged.
        """
        if split not in HELDOUT_SPLITS:
            raise BadParameter(f"split {split!r} is none of {', '.join(HELDOUT_SPLITS)}")
        return read_texts(texts_file(self.folder, split)).to_pylist()

    def fresh(
        self, seed: int, generation: int, *, exclude: AbstractSet[int] = frozenset()
    ) -> Iterator[str]:
        """Yield distinct training documents for a generation; take as many as are needed.

        From a grammar they are drawn anew for (seed, generation), without end. Of a finite corpus
        they come in one random order a seed, whatever the generation: with the hashes of what
        earlier generations took in ``exclude``, generations are disjoint and follow each other
        through that order.

        Args:
            seed: the chain's.
            generation: 0, 1, ...
            exclude: ``text_hash`` of documents not to yield.

        Raises:
            BadCorpus: when asked for one more document than there is.
        """
        is_endless = self.card.is_generative
        documents = self._drawn(seed, generation) if is_endless else self._permuted(seed)
        taken: set[int] = set()
        rejected_in_a_row = 0
        for text in documents:
            name = text_hash(text)
            if name not in taken and name not in exclude:
                rejected_in_a_row = 0
                taken.add(name)
                yield text
            else:
                rejected_in_a_row += 1
                if is_endless and rejected_in_a_row == _FRUITLESS_DRAWS:
                    break
        raise BadCorpus(self._exhausted(generation, len(taken)))

    def _drawn(self, seed: int, generation: int) -> Iterator[str]:
        from collapse.numerics.streams import numpy_stream

        rng = numpy_stream(seed, "human", generation)
        while True:
            for text in self._source.draw(_DRAWN_AT_ONCE, rng):
                if split_of(text) == "train":
                    yield text

    def _permuted(self, seed: int) -> Iterator[str]:
        from collapse.numerics.streams import numpy_stream

        texts = read_texts(texts_file(self.folder, "train"))
        order = numpy_stream(seed, "human").permutation(len(texts))
        yield from iterate_texts(texts, order.tolist())

    def _exhausted(self, generation: int, taken: int) -> str:
        total = self.card.documents.get("train")
        known = "its" if total is None else f"of its {total} training documents the"
        return (
            f"corpus {self.card.name!r} is used up in generation {generation}: {known} {taken} "
            "that earlier generations had not used are all taken; lower the tokens a generation "
            "or the number of generations, or take a larger corpus"
        )
