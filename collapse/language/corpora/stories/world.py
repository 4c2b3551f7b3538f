"""The stories as a corpus: draw from it, recognise its texts, and know its numbers exactly."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property

import numpy as np

from collapse.errors import BadCorpus, BadParameter
from collapse.language.corpora.stories.content import PLOT_SLOPE, PLOTS, story
from collapse.language.corpora.stories.derivation import Derivation, Recogniser, Sampler
from collapse.language.corpora.stories.grammar import zipf_probabilities
from collapse.language.corpora.stories.machine import Machine, compile_grammar
from collapse.language.corpora.stories.tail import (
    RARE_BELOW,
    RareChoice,
    coverage,
    observed_shares,
    rare_choices,
)

WHOLE = "stories"


@dataclass(frozen=True)
class World:
    """The stories of some plots, and what is known of them.

    Attributes:
        plots: names of :data:`PLOTS`, the most frequent first.
    """

    plots: tuple[str, ...] = tuple(PLOTS)

    @cached_property
    def machine(self) -> Machine:
        """The compiled grammar."""
        return compile_grammar(story(self.plots))

    @cached_property
    def _sampler(self) -> Sampler:
        return Sampler(self.machine)

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser(self.machine)

    def sample(self, count: int, rng: np.random.Generator) -> list[str]:
        """Independent stories.

        Args:
            count: how many.
            rng: drawn from in blocks, so that afterwards it has moved on by more than was used.

        Raises:
            BadParameter: ``count`` is negative.
        """
        return self._sampler.texts(_checked(count), rng)

    def sample_derivations(self, count: int, rng: np.random.Generator) -> list[Derivation]:
        """The stories that `sample` draws from the same generator, with choices and probability.

        Raises:
            BadParameter: ``count`` is negative.
        """
        return self._sampler.derivations(_checked(count), rng)

    def recognise(self, text: str) -> Derivation | None:
        """The one derivation of the text, or None where it is no story of this grammar.

        Every character counts: a blank too many makes it no story.
        """
        return self._recogniser(text)

    def entropy_nats(self) -> float:
        """Exact entropy of a story, in nats."""
        return self.machine.entropy_nats()

    def story_count(self) -> int:
        """Exact number of different stories."""
        return self.machine.derivation_count()

    def vocabulary(self) -> frozenset[str]:
        """All words that stories contain, in lower case."""
        return self.machine.vocabulary()

    @cached_property
    def _fingerprint(self) -> str:
        return self.machine.fingerprint()

    def fingerprint(self) -> str:
        """SHA-256 of the whole grammar: any other word, weight or order gives another."""
        return self._fingerprint

    @property
    def rare_below(self) -> float:
        """What is rare: as few stories as in the whole, where these are a part of all."""
        chances = dict(zip(PLOTS, zipf_probabilities(len(PLOTS), PLOT_SLOPE), strict=True))
        return RARE_BELOW / sum(chances[plot] for plot in self.plots)

    def tail(self, threshold: float | None = None) -> tuple[RareChoice, ...]:
        """The choices that fewer than this share of the stories contain, the most frequent first.

        Args:
            threshold: the share; None: :attr:`rare_below`.

        Raises:
            BadParameter: the threshold is no probability, or no choice is as rare.
        """
        return _tail(self, self.rare_below if threshold is None else threshold)

    def rare_shares(
        self, derivations: Iterable[Derivation], count: int, threshold: float | None = None
    ) -> dict[RareChoice, float]:
        """For each rare choice the share of the texts that contain it.

        Args:
            derivations: of those sampled texts that are stories.
            count: number of all sampled texts, with those that are no stories.
            threshold: as of `tail`.

        Raises:
            BadParameter: ``count`` is below 1 or below the number of derivations, or the threshold
                is no probability.
        """
        return observed_shares(self.tail(threshold), derivations, count)

    def tail_coverage(
        self, derivations: Iterable[Derivation], count: int, threshold: float | None = None
    ) -> float:
        """Rare choices observed over those expected of as many true stories; 1: none is lost.

        Args and errors are those of `rare_shares`.
        """
        return coverage(self.tail(threshold), derivations, count)


@cache
def _tail(world: World, threshold: float) -> tuple[RareChoice, ...]:
    return rare_choices(world.machine, threshold)


@cache
def world(name: str) -> World:
    """The stories that a corpus name means: ``stories``, or those of some plots.

    Args:
        name: such as ``stories:lost`` or ``stories:lost,share``. A world of one plot is learnt by
            a small model in seconds.

    Raises:
        BadCorpus: there is no such plot, or one is named twice.
    """
    if name == WHOLE:
        return World()
    listed = name.removeprefix(f"{WHOLE}:")
    plots = tuple(part.strip() for part in listed.split(","))
    for plot in plots:
        if plot not in PLOTS:
            near = get_close_matches(plot, PLOTS, n=1)
            hint = f"did you mean {near[0]}?" if near else "there are " + ", ".join(PLOTS)
            raise BadCorpus(f"corpus {name!r}: no story has the plot {plot!r}: {hint}")
    if len(set(plots)) < len(plots):
        raise BadCorpus(f"corpus {name!r} names a plot twice")
    return World(plots)


def _checked(count: int) -> int:
    if count < 0:
        raise BadParameter(f"cannot draw {count} stories; ask for 0 or more")
    return count
