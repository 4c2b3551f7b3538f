"""The embedded corpus: small stories from a probabilistic grammar whose numbers are all known.

Every story is told by exactly one sequence of choices, so that its log-probability, the entropy of
the corpus and the probability of each rare choice are exact.

    grammar      what a grammar is written in
    content      the words and plots
    machine      the grammar compiled; entropy, counts and probabilities are sums over it
    derivation   choices to text (sampling) and text to choices (recognising)
    tail         the rare choices, and how many of them a sample still shows
    world        all of that for the stories, or those of some plots
"""

from collapse.language.corpora.stories.derivation import Derivation
from collapse.language.corpora.stories.tail import RARE_BELOW, RareChoice
from collapse.language.corpora.stories.world import World, world

__all__ = ["RARE_BELOW", "Derivation", "RareChoice", "World", "world"]
