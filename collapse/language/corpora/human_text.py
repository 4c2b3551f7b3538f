"""Human text: a corpus is split once, and chains draw their training text from it."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from collapse.errors import BadCorpus, BadParameter
from collapse.language.corpora.complexity import BY_SCORE, ComplexityScale
from collapse.language.corpora.parts import EVERY_TEXT
from collapse.language.corpora.preparation import prepare_corpus
from collapse.language.corpora.prepared import (
    CorpusCard,
    iterate_texts,
    read_card,
    read_texts,
    scale_file,
    texts_file,
)
from collapse.language.corpora.source import StoriesSource, require_choice
from collapse.language.corpora.splits import HELDOUT_SPLITS, split_of, text_hash

if TYPE_CHECKING:
    from collapse.language.corpora.stories import World

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

    @cached_property
    def stories(self) -> "World | None":
        """The stories that the corpus is drawn from; None of one with a last document."""
        return StoriesSource(self.card.name).world if self.card.is_generative else None

    @classmethod
    def open(cls, folder: Path) -> "HumanText":
        """Open what ``prepare_corpus`` wrote.

        Raises:
            BadCorpus: nothing complete is there, or it was made by another grammar of stories.
        """
        text = cls(folder, read_card(folder))
        if text.stories and text.card.fingerprint != text.stories.fingerprint():
            raise BadCorpus(
                f"{folder} was prepared with another version of {text.card.name!r} "
                f"({text.card.fingerprint[:12]}); prepare it again"
            )
        return text

    @cached_property
    def scale(self) -> ComplexityScale:
        """How complex the corpus's training texts are: the one scale of a study.

        Raises:
            BadCorpus: its file is missing or damaged.
        """
        return ComplexityScale.read(scale_file(self.folder))

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
        self,
        seed: int,
        generation: int,
        *,
        exclude: AbstractSet[int] = frozenset(),
        choice: str = EVERY_TEXT,
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

        Where only some of the text is chosen, those documents come in the same order, and the
        others are left out.

        Args:
            seed: the chain's.
            generation: 0, 1, ...
            exclude: ``text_hash`` of documents not to yield of a finite corpus.
            choice: ``all``; the name of a part of the corpus; or, where no part is called so,
                ``simple`` (what scores below the median of ``scale``) or ``complex`` (the others).

        Raises:
            BadParameter: the corpus has no such part.
            BadCorpus: when asked for one more document than a finite corpus has, or where no text
                scores below the median.
        """
        require_choice(self.card.name, list(self.card.parts), choice)
        is_chosen = self._by_score(choice)
        if self.stories:
            yield from filter(is_chosen, self._drawn(self.stories, seed, generation))
            return
        taken: set[int] = set()
        for text in filter(is_chosen, self._permuted(seed, choice)):
            name = text_hash(text)
            if name not in taken and name not in exclude:
                taken.add(name)
                yield text
        raise BadCorpus(self._exhausted(generation, len(taken), choice))

    def _by_score(self, choice: str) -> Callable[[str], bool]:
        if choice not in BY_SCORE or choice in self.card.parts:
            return lambda _text: True
        if not self.scale.simple_share:
            raise BadCorpus(
                f"training_text={choice}: the documents of corpus {self.card.name!r} do not differ "
                "enough to be cut at their median"
            )
        return lambda text: self.scale.is_simple(text) == (choice == "simple")

    @staticmethod
    def _drawn(stories: "World", seed: int, generation: int) -> Iterator[str]:
        from collapse.numerics.streams import numpy_stream

        rng = numpy_stream(seed, "human", generation)
        while True:
            for text in stories.sample(_DRAWN_AT_ONCE, rng):
                if split_of(text) == "train":
                    yield text

    def _permuted(self, seed: int, choice: str) -> Iterator[str]:
        from collapse.numerics.streams import numpy_stream

        path = texts_file(self.folder, "train")
        texts = read_texts(path)
        order = numpy_stream(seed, "human").permutation(len(texts)).tolist()
        if choice in self.card.parts:
            parts = read_texts(path, "part").to_pylist()
            order = [index for index in order if parts[index] == choice]
        yield from iterate_texts(texts, order)

    def _exhausted(self, generation: int, taken: int, choice: str) -> str:
        total = self.card.documents["train"]
        chosen = "" if choice == EVERY_TEXT else f" of training_text={choice}"
        return (
            f"corpus {self.card.name!r} is used up in generation {generation}: of its {total} "
            f"training documents the {taken}{chosen} that earlier generations had not used are all "
            "taken; lower baseline_documents, documents or generations, or take a larger corpus"
        )
