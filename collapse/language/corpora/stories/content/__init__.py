"""What the stories tell: the words, the plots, and how often each is told."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from collapse.language.corpora.stories.content.hearts import FEAR, SHARE
from collapse.language.corpora.stories.content.loss import LOST, REACH
from collapse.language.corpora.stories.content.mend import MEND
from collapse.language.corpora.stories.content.pet import PET
from collapse.language.corpora.stories.content.play import GAME, LEARN
from collapse.language.corpora.stories.content.work import GROW, MAKE
from collapse.language.corpora.stories.grammar import Node, choice, maybe, seq

_CODA = maybe(
    "coda",
    0.25,
    choice(
        "coda.how",
        " It was a good day.",
        " Then it was time for supper.",
        " In bed, {he} thought about it and smiled.",
        " And the cat saw it all.",
        " {He} told the moon all about it.",
        " And this is a true story.",
        " {He} still likes to tell this story.",
        " Then they all went home.",
        " Even the sun seemed to smile.",
        " Nobody laughed more than the cat.",
        slope=1.2,
    ),
)

PLOT_SLOPE = 0.7
PLOTS: Mapping[str, Node] = MappingProxyType(
    {
        "fear": FEAR,
        "lost": LOST,
        "pet": PET,
        "game": GAME,
        "make": MAKE,
        "learn": LEARN,
        "share": SHARE,
        "mend": MEND,
        "reach": REACH,
        "grow": GROW,
    }
)
"""The most frequent first."""


def story(plots: Iterable[str] = PLOTS) -> Node:
    """The grammar of the stories that tell one of these plots."""
    return seq(choice("plot", *(PLOTS[name] for name in plots), slope=PLOT_SLOPE), _CODA)
