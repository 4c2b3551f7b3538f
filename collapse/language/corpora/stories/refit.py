"""The grammar with its probabilities learnt again from stories: what a finite sample could teach.

Whoever knows the whole grammar but its probabilities, and reads n stories, counts the options that
were taken. That learner makes up nothing and forgets no rule: what it is still wrong about, the
sample itself did not say.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collapse.language.corpora.stories.derivation import Derivation
from collapse.language.corpora.stories.machine import Machine

SMOOTHING = 0.5
"""What every option is counted before it is seen (Krichevsky and Trofimov, 1981).

An option that the sample never took stays possible, so that a held-out story that takes it has a
finite log-probability.
"""


@dataclass(frozen=True)
class Refit:
    """A grammar whose probabilities were counted in stories.

    Attributes:
        option_log_p_nats: by choice point, the log-probability of each of its options.
        stories: how many were counted.
    """

    option_log_p_nats: Mapping[str, tuple[float, ...]]
    stories: int

    @property
    def free_parameters(self) -> int:
        """Probabilities that can be chosen, as those of a choice point add up to one."""
        return sum(len(options) - 1 for options in self.option_log_p_nats.values())

    def log_probability_nats(self, derivation: Derivation) -> float:
        """Log of the probability that the refitted grammar tells this story."""
        return math.fsum(self.option_log_p_nats[name][k] for name, k in derivation.choices)


def refit(machine: Machine, derivations: Iterable[Derivation]) -> Refit:
    """Count the options of every choice point, whatever state it is met in.

    The grammar is written with one set of probabilities a choice point, though its machine meets
    most of them in several states; counted by state, it would have nine times as many numbers to
    learn. Of a true sample of n stories the refitted grammar is about
    ``free_parameters / (2 n)`` nats a story from the truth (half a nat a parameter over all n; the
    same count as in the minimum description length of Rissanen, 1978) once no option is rare.

    Args:
        machine: the grammar.
        derivations: stories of it, each as often as it was read.
    """
    seen = Counter[tuple[str, int]]()
    stories = 0
    for derivation in derivations:
        seen.update(derivation.choices)
        stories += 1
    options = {state.name: len(state.edges) for state in machine.states}
    shares = {name: _log_shares(seen, name, count) for name, count in options.items()}
    return Refit(shares, stories)


def _log_shares(seen: Counter[tuple[str, int]], name: str, options: int) -> tuple[float, ...]:
    counts = [seen[name, option] + SMOOTHING for option in range(options)]
    total = math.log(math.fsum(counts))
    return tuple(math.log(count) - total for count in counts)
