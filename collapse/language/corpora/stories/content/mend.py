"""A plot about a small mistake: told, forgiven and mended."""

from collapse.language.corpora.stories.content.people import HELPER, START
from collapse.language.corpora.stories.grammar import choice, seq

_TELL = choice(
    "mend.tell",
    seq(" {He} wanted to hide it, but {he} went to ", HELPER, '{helper} and said, "I am sorry."'),
    seq(" ", HELPER, '"I am so sorry," {he} told {helper}.'),
    seq(" ", HELPER, '"Was it you?" asked {helper}. {He} nodded.'),
    seq(
        " {He} told ",
        HELPER,
        "{helper} that the cat did it. But the cat was asleep, and {helper} smiled.",
    ),
    slope=1.1,
)
_KIND = choice(
    "mend.kind",
    ' "Thank you for telling me."',
    ' "We can put it right," was the answer.',
    ' "Oh dear, oh dear! Come here and give me a hug."',
    ' {helper} was not angry. "That happens to me too."',
    slope=1.1,
)

MEND = seq(
    choice(
        "mend.scene",
        seq(
            START,
            choice(
                "mend.milk",
                " ran too fast and",
                " told a joke and",
                " played pirates and",
                " did a dance and",
            ),
            " spilled the milk.",
            _TELL,
            _KIND,
            choice(
                "mend.milk.how",
                " They wiped the floor with a big cloth.",
                " They wiped the floor, and the cat helped.",
                " The cat drank it all before they found a cloth.",
            ),
        ),
        seq(
            START,
            " broke a ",
            choice("mend.dish", "blue", "white", "yellow", "tiny", "very old", slope=1.5),
            " cup.",
            _TELL,
            _KIND,
            choice(
                "mend.dish.how",
                " They put the cup together with glue.",
                " They planted a flower in what was left of the cup.",
                " They glued the cup, and now it had two handles.",
            ),
        ),
        seq(
            START,
            " tore a page of a book.",
            _TELL,
            _KIND,
            choice(
                "mend.book.how",
                " They mended the page with tape.",
                " They drew a new page, with a dragon on it.",
                " They taped the page and read the book together.",
            ),
        ),
        seq(
            START,
            " painted a ",
            choice("mend.paint", "sun", "horse", "big fish", "green king", "whale", slope=1.5),
            " on the wall.",
            _TELL,
            _KIND,
            choice(
                "mend.paint.how",
                " They washed the wall with soap and water.",
                " They washed the wall and hung up paper to paint on.",
                " They hung a frame around it and left it there.",
            ),
        ),
        seq(
            START,
            " stepped on the flowers.",
            _TELL,
            _KIND,
            choice(
                "mend.flower.how",
                " They planted new flowers in a row.",
                " They tied the flowers to little sticks.",
                " They put the flowers in a glass on the table.",
            ),
        ),
        seq(
            START,
            " left the gate open, and the hens ran out.",
            _TELL,
            _KIND,
            choice(
                "mend.hens.how",
                " They called the hens home with a pot of corn.",
                " They ran after the hens until all were home again.",
                " They sat down to wait, and the hens came home for supper.",
            ),
        ),
    ),
    choice(
        "mend.end",
        " {He} felt much better.",
        " After that, {he} was more careful.",
        " {He} was careful for a whole day.",
        " They laughed about it for a long time.",
        " It was not as good as new. It was better.",
        ' "Shall we do it again?" {he} asked.',
        slope=1.1,
    ),
)
