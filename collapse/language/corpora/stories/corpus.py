"""The stories as a corpus: draw from it, recognise its texts, and know its numbers exactly."""

from collections.abc import Iterable
from functools import cache

import numpy as np

from collapse.errors import BadParameter
from collapse.language.corpora.stories.content import STORY
from collapse.language.corpora.stories.derivation import Derivation, Recogniser, Sampler
from collapse.language.corpora.stories.machine import Machine, compile_grammar
from collapse.language.corpora.stories.tail import (
    RARE_BELOW,
    RareChoice,
    coverage,
    observed_shares,
    rare_choices,
)


@cache
def machine() -> Machine:
    """The compiled grammar of the stories."""
    return compile_grammar(STORY)


@cache
def _sampler() -> Sampler:
    return Sampler(machine())


@cache
def _recogniser() -> Recogniser:
    return Recogniser(machine())


def _checked(count: int) -> int:
    if count < 0:
        raise BadParameter(f"cannot draw {count} stories; ask for 0 or more")
    return count


def sample(count: int, rng: np.random.Generator) -> list[str]:
    """Independent stories.

    Args:
        count: how many.
        rng: drawn from in blocks, so that afterwards it has moved on by more than was used.

    Raises:
        BadParameter: ``count`` is negative.
    """
    return _sampler().texts(_checked(count), rng)


def sample_derivations(count: int, rng: np.random.Generator) -> list[Derivation]:
    """The stories that `sample` draws from the same generator, with choices and probability.

    Raises:
        BadParameter: ``count`` is negative.
    """
    return _sampler().derivations(_checked(count), rng)


def recognise(text: str) -> Derivation | None:
    """The one derivation of the text, or None where it is no story of this grammar.

    Every character counts: a blank too many makes it no story.
    """
    return _recogniser()(text)


def entropy_nats() -> float:
    """Exact entropy of a story, in nats."""
    return machine().entropy_nats()


def story_count() -> int:
    """Exact number of different stories."""
    return machine().derivation_count()


def vocabulary() -> frozenset[str]:
    """All words that stories contain, in lower case."""
    return machine().vocabulary()


def fingerprint() -> str:
    """SHA-256 of the whole grammar: any other word, weight or order gives another."""
    return machine().fingerprint()


@cache
def tail(threshold: float = RARE_BELOW) -> tuple[RareChoice, ...]:
    """The choices that fewer than this share of the stories contain, the most frequent first.

    Raises:
        BadParameter: the threshold is no probability, or no choice is as rare.
    """
    return rare_choices(machine(), threshold)


def rare_shares(
    derivations: Iterable[Derivation], count: int, threshold: float = RARE_BELOW
) -> dict[RareChoice, float]:
    """For each rare choice the share of the texts that contain it.

    Args:
        derivations: of those sampled texts that are stories.
        count: number of all sampled texts, with those that are no stories.
        threshold: what is rare.

    Raises:
        BadParameter: ``count`` is below 1 or below the number of derivations, or the threshold is
            no probability.
    """
    return observed_shares(tail(threshold), derivations, count)


def tail_coverage(
    derivations: Iterable[Derivation], count: int, threshold: float = RARE_BELOW
) -> float:
    """Rare choices observed over those expected of as many true stories; 1 means none is lost.

    Args and errors are those of `rare_shares`.
    """
    return coverage(tail(threshold), derivations, count)
