"""The rare choices of a grammar, and how many of them a set of texts still shows."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from collapse.errors import BadParameter
from collapse.language.corpora.stories.derivation import Derivation
from collapse.language.corpora.stories.machine import Machine

RARE_BELOW = 0.002
"""A choice is rare when fewer than one story in five hundred contains it.

At a thousand to four thousand texts a generation, such a choice is expected a few times at most:
the truth still shows most of them, and a model that forgets its tail loses them first.
"""


@dataclass(frozen=True)
class RareChoice:
    """An option of a choice point that few stories contain.

    Attributes:
        name: of the choice point.
        option: index of the option.
        probability: that a story contains it; exact, and it contains it at most once.
    """

    name: str
    option: int
    probability: float


def rare_choices(machine: Machine, threshold: float = RARE_BELOW) -> tuple[RareChoice, ...]:
    """All choices with a probability below the threshold, the most frequent first.

    Raises:
        BadParameter: the threshold is not between 0 and 1, or no choice is below it.
    """
    if not 0 < threshold <= 1:
        raise BadParameter(f"tail threshold {threshold} is no probability above 0 and up to 1")
    found = [
        RareChoice(name, option, probability)
        for (name, option), probability in machine.option_probabilities().items()
        if probability < threshold
    ]
    if not found:
        raise BadParameter(f"no choice is rarer than {threshold}; take a larger tail threshold")
    return tuple(sorted(found, key=lambda rare: (-rare.probability, rare.name, rare.option)))


def observed_shares(
    rare: Iterable[RareChoice], derivations: Iterable[Derivation], count: int
) -> dict[RareChoice, float]:
    """For each rare choice the share of ``count`` texts that contain it.

    Args:
        rare: the choices to look for.
        derivations: of those texts that are stories.
        count: number of all texts, with those that are no stories.

    Raises:
        BadParameter: ``count`` is below 1, or below the number of derivations.
    """
    derivations = list(derivations)
    if count < max(1, len(derivations)):
        raise BadParameter(
            f"{count} texts cannot hold {len(derivations)} stories; count all texts, at least 1"
        )
    seen = Counter(pair for derivation in derivations for pair in derivation.choices)
    return {choice: seen[choice.name, choice.option] / count for choice in rare}


def coverage(rare: Iterable[RareChoice], derivations: Iterable[Derivation], count: int) -> float:
    """Rare choices seen at least once, over the number expected of as many true stories.

    Of ``count`` independent stories one expects sum_i 1 - (1 - p_i) ** count distinct rare choices,
    so that the mean over true samples is exactly 1; a single sample may lie a little above it.

    Args and errors are those of `observed_shares`.
    """
    rare = tuple(rare)
    shares = observed_shares(rare, derivations, count)
    observed = sum(share > 0 for share in shares.values())
    return observed / math.fsum(1 - (1 - choice.probability) ** count for choice in rare)
