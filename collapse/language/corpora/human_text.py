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
        """Yield training documents for a generation; take as many as are needed.

        From a grammar they are independent draws from a stream of (seed, generation), without end.
        Repeats stay and ``exclude`` is not looked at: to drop a text because it was drawn before
        is to drop the common ones, and the rest is a sample of a distribution without its head.
        Generations are disjoint as draws, not as sets of texts; from the held-out splits they are
        disjoint as sets, because a text's own hash says which split it belongs to.

        Of a finite corpus they are distinct and come in one random order a seed, whatever the
        generation: with the hashes of what earlier generations took in ``exclude``, generations are
        disjoint and follow each other through that order.

        Args:
            seed: the chain's.
            generation: 0, 1, ...
            exclude: ``text_hash`` of documents not to yield of a finite corpus.

        Raises:
            BadCorpus: when asked for one more document than a finite corpus has.
        """
        if self.card.is_generative:
            yield from self._drawn(seed, generation)
            return
        taken: set[int] = set()
        for text in self._permuted(seed):
            name = text_hash(text)
            if name not in taken and name not in exclude:
                taken.add(name)
                yield text
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
        total = self.card.documents["train"]
        return (
            f"corpus {self.card.name!r} is used up in generation {generation}: of its {total} "
            f"training documents the {taken} that earlier generations had not used are all taken; "
            "lower the tokens a generation or the number of generations, or take a larger corpus"
        )
