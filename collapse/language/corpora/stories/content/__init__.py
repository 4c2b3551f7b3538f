"""What the stories tell: the words, the plots, and how often each is told."""

from collapse.language.corpora.stories.content.hearts import FEAR, SHARE
from collapse.language.corpora.stories.content.loss import LOST, REACH
from collapse.language.corpora.stories.content.mend import MEND
from collapse.language.corpora.stories.content.pet import PET
from collapse.language.corpora.stories.content.play import GAME, LEARN
from collapse.language.corpora.stories.content.work import GROW, MAKE
from collapse.language.corpora.stories.grammar import choice, maybe, seq

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

STORY = seq(
    choice("plot", FEAR, LOST, PET, GAME, MAKE, LEARN, SHARE, MEND, REACH, GROW, slope=0.7), _CODA
)
