"""What the stories tell: the words, the plots, and how often each is told."""

from collapse.language.corpora.stories.content.hearts import FEAR, PET, SHARE
from collapse.language.corpora.stories.content.play import GAME, LEARN
from collapse.language.corpora.stories.content.things import LOST, MEND, REACH
from collapse.language.corpora.stories.content.work import GROW, MAKE
from collapse.language.corpora.stories.grammar import choice

STORY = choice("plot", LOST, FEAR, PET, SHARE, REACH, MEND, MAKE, GAME, LEARN, GROW, slope=0.5)
