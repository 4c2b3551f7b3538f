"""Plots about things: one is lost, one is out of reach, one is broken and mended."""

from collapse.language.corpora.stories.content.people import (
    ARRIVAL,
    HELPER,
    PORTRAIT,
    SORROW,
    START,
    THANKS,
)
from collapse.language.corpora.stories.grammar import bind, choice, maybe, seq, setting

_THING = bind(
    "lost.thing",
    "thing",
    ("ball",),
    ("teddy bear",),
    ("hat",),
    ("toy car",),
    ("doll",),
    ("book",),
    ("drum",),
    ("shoe",),
    ("scarf",),
    ("whistle",),
    ("shell",),
    ("spoon",),
    ("magic wand",),
)
_NEAR = choice(
    "lost.near",
    "under the bed",
    "in the kitchen",
    "behind the door",
    "under the table",
    "in the bath",
    "on the stairs",
    "behind the clock",
    slope=1.2,
)
_FAR = choice(
    "lost.far",
    "in the garden",
    "behind the sofa",
    "in the toy box",
    "in the shed",
    "under the bridge",
    "in the flower pots",
    slope=1.2,
)
_PLACE = choice(
    "lost.place",
    seq(" in the dog's basket.", maybe("lost.dog", 0.7, " The dog was sleeping on it!")),
    seq(" in {his} own bag.", maybe("lost.bag", 0.6, " It had been there all the time.")),
    seq(" on top of the shelf.", maybe("lost.shelf", 0.5, " It was full of dust.")),
    seq(" under a pile of leaves.", maybe("lost.leaves", 0.6, " A snail was sitting on it.")),
    seq(" in the washing.", maybe("lost.washing", 0.6, " Now it was very clean.")),
    seq(" up in a nest.", maybe("lost.nest", 0.7, " A bird had made it into a bed!")),
    seq(" inside the piano.", maybe("lost.piano", 0.6, " So that was why it sounded so funny!")),
    seq(" in the fridge.", maybe("lost.fridge", 0.7, " It was as cold as ice!")),
    seq(" inside a pumpkin.", maybe("lost.pumpkin", 0.7, " Nobody ever found out why.")),
)

LOST = seq(
    choice(
        "lost.begin",
        seq(START, " could not find {his} ", _THING, "{thing}."),
        seq(PORTRAIT, " loved {his} ", _THING, "{thing} very much. But one day the {thing} was gone."),
        seq(START, " lost {his} ", _THING, "{thing}."),
        seq(PORTRAIT, " took {his} ", _THING, "{thing} everywhere, even to bed. Then it got lost."),
        slope=0.7,
    ),
    SORROW,
    choice(
        "lost.search",
        seq(" {He} looked ", _NEAR, " and ", _FAR, ", but the {thing} was not there."),
        seq(" {He} looked ", _NEAR, ". No {thing}! {He} looked ", _FAR, ". No {thing}!"),
        seq(" {He} looked ", _NEAR, ", but it was not there."),
        slope=1.0,
    ),
    choice(
        "lost.help",
        seq(" ", HELPER, '"Let us look together," said {helper}.'),
        seq(" Then ", HELPER, "{helper} came to help."),
        seq(" ", HELPER, '"When did you last have it?" asked {helper}. {He} thought hard.'),
        seq(" ", HELPER, "{helper} put on {hers} glasses and helped {him} look."),
        slope=0.8,
    ),
    choice(
        "lost.found",
        seq(" At last they found the {thing}", _PLACE),
        seq(" And there was the {thing},", _PLACE),
        seq(" {helper} saw the {thing}", _PLACE),
        slope=0.8,
    ),
    choice(
        "lost.end",
        THANKS,
        " {He} hugged the {thing} and would not let it go.",
        " That night {he} slept with the {thing} by {his} side.",
        " From that day on, {he} always put the {thing} away.",
        ' "Next time I will tie it to my foot," {he} said.',
        slope=0.8,
    ),
)

_HIGH = choice(
    "reach.high",
    " {He} jumped and jumped, but it was too high.",
    " {He} stood on {his} toes, but {he} was too small.",
    " {He} climbed on a box, but it was still too high.",
    " {He} shouted at it, but that did not help.",
    slope=1.0,
)
_AWAY = choice(
    "reach.away",
    " {He} stretched out {his} arm, but it was too far away.",
    " {He} asked it nicely to come back. It did not.",
    " {He} tried with a stick, but the stick was too short.",
    slope=1.0,
)
_DOWN = choice(
    "reach.down",
    " {She_or_he} got a ladder and brought the {thing} down.",
    " {She_or_he} lifted {him} up, and {he} could just reach the {thing}.",
    " {She_or_he} got a broom and pushed until the {thing} fell down.",
    " {She_or_he} threw a shoe at the {thing}. Now the shoe was stuck too, so they got a ladder.",
    slope=1.0,
)
_OUT = choice(
    "reach.out",
    " {She_or_he} took a long net and pulled the {thing} out.",
    " {She_or_he} rolled up {hers} trousers, walked in, and got the {thing}.",
    " {She_or_he} threw small stones, and the waves brought the {thing} back.",
    " {She_or_he} asked a duck to push the {thing}, and the duck really did!",
    slope=1.0,
)

REACH = seq(
    choice(
        "reach.scene",
        setting(
            seq(START, " played with a kite. The wind blew the kite into a tree.", _HIGH, ARRIVAL, _DOWN),
            thing="kite",
        ),
        setting(
            seq(START, " sailed a toy boat on the pond. The boat got stuck.", _AWAY, ARRIVAL, _OUT),
            thing="boat",
        ),
        setting(
            seq(START, " kicked a ball so hard that the ball flew onto the roof.", _HIGH, ARRIVAL, _DOWN),
            thing="ball",
        ),
        setting(
            seq(START, " saw a big red apple at the top of a tree.", _HIGH, ARRIVAL, _DOWN),
            thing="apple",
        ),
        setting(
            seq(START, " stood on the bridge when {his} hat fell into the river.", _AWAY, ARRIVAL, _OUT),
            thing="hat",
        ),
        setting(
            seq(
                START,
                " wanted a cookie, but the jar was on the top shelf.",
                _HIGH,
                ARRIVAL,
                choice(
                    "reach.jar",
                    " {She_or_he} gave {him} the jar, and they had two cookies each.",
                    " {She_or_he} gave {him} an apple. It was not the same.",
                    " {She_or_he} opened the jar. It was full of buttons!",
                ),
            ),
            thing="jar",
        ),
        setting(
            seq(START, " let go of a balloon, and the balloon flew up to the ceiling.", _HIGH, ARRIVAL, _DOWN),
            thing="balloon",
        ),
    ),
    choice(
        "reach.end",
        THANKS,
        " {He} held the {thing} tight all the way home.",
        ' "Again!" {he} said. "No," said {helper}.',
        ' "It was nothing," said {helper}, and went back to sleep.',
        " Then they had some cake, because it had been hard work.",
        slope=0.9,
    ),
)

_TELL = choice(
    "mend.tell",
    seq(" {He} wanted to hide it, but {he} went to ", HELPER, '{helper} and said, "I am sorry."'),
    seq(" ", HELPER, '"I am so sorry," {he} told {helper}.'),
    seq(" ", HELPER, '"Was it you?" asked {helper}. {He} nodded.'),
    seq(" {He} told ", HELPER, "{helper} that the cat did it. But the cat was asleep, and {helper} smiled."),
    slope=0.8,
)
_KIND = choice(
    "mend.kind",
    ' {helper} was not angry. "We can put it right."',
    ' "Thank you for telling me."',
    ' "That happens to me too," said {helper}.',
    " {She_or_he} took a deep breath and gave {him} a hug.",
    slope=0.8,
)

MEND = seq(
    choice(
        "mend.scene",
        seq(
            START,
            choice("mend.milk", " ran too fast and", " told a joke and", " played pirates and", " did a dance and"),
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
            choice("mend.dish", "blue", "white", "yellow", "tiny", "very old", slope=1.2),
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
            choice("mend.paint", "sun", "horse", "big fish", "green king", "whale", slope=1.2),
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
        " After that, {hero} was more careful.",
        " {He} was careful for a whole day.",
        " They laughed about it for a long time.",
        " It was not as good as new. It was better.",
        ' "Shall we do it again?" {he} asked.',
        slope=0.9,
    ),
)
