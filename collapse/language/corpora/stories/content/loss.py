"""Plots about things: one is lost and found, one is out of reach."""

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
    slope=1.5,
)
_FAR = choice(
    "lost.far",
    "in the garden",
    "behind the sofa",
    "in the toy box",
    "in the shed",
    "under the bridge",
    "in the flower pots",
    slope=1.5,
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
        seq(
            PORTRAIT,
            " loved {his} ",
            _THING,
            "{thing} very much. But one day the {thing} was gone.",
        ),
        seq(START, " lost {his} ", _THING, "{thing}."),
        seq(PORTRAIT, " took {his} ", _THING, "{thing} everywhere, even to bed. Then it got lost."),
        slope=0.9,
    ),
    SORROW,
    choice(
        "lost.search",
        seq(" {He} looked ", _NEAR, " and ", _FAR, ", but the {thing} was not there."),
        seq(" {He} looked ", _NEAR, ". No {thing}! {He} looked ", _FAR, ". No {thing}!"),
        seq(" {He} looked ", _NEAR, ", but it was not there."),
        slope=1.1,
    ),
    choice(
        "lost.help",
        seq(" ", HELPER, '"Let us look together," said {helper}.'),
        seq(" Then ", HELPER, "{helper} came to help."),
        seq(" ", HELPER, '"When did you last have it?" asked {helper}. {He} thought hard.'),
        seq(" ", HELPER, "{helper} put on two pairs of glasses and helped {him} look."),
        slope=1.1,
    ),
    choice(
        "lost.found",
        seq(" At last they found the {thing}", _PLACE),
        seq(" And there was the {thing},", _PLACE),
        seq(" Then {he} saw the {thing}", _PLACE),
        slope=1.1,
    ),
    choice(
        "lost.end",
        THANKS,
        " {He} hugged the {thing} and would not let it go.",
        " That night {he} slept with the {thing} by {his} side.",
        " From that day on, {he} always put the {thing} away.",
        ' "Next time I will tie it to my foot," {he} said.',
        slope=1.1,
    ),
)

_HIGH = choice(
    "reach.high",
    " {He} jumped and jumped, but it was too high.",
    " {He} stood on {his} toes, but {he} was too small.",
    " {He} climbed on a box, but it was still too high.",
    " {He} shouted at it, but that did not help.",
    slope=1.1,
)
_AWAY = choice(
    "reach.away",
    " {He} stretched out {his} arm, but it was too far away.",
    " {He} asked it nicely to come back. It did not.",
    " {He} tried with a stick, but the stick was too short.",
    slope=1.1,
)
_DOWN = choice(
    "reach.down",
    " {She_or_he} got a ladder and brought the {thing} down.",
    " {She_or_he} lifted {him} up, and {he} could just reach the {thing}.",
    " {She_or_he} got a broom and pushed until the {thing} fell down.",
    " {She_or_he} threw a shoe at the {thing}. Now the shoe was stuck too, so they got a ladder.",
    slope=1.1,
)
_OUT = choice(
    "reach.out",
    " {She_or_he} took a long net and pulled the {thing} out.",
    " {She_or_he} walked right in, shoes and all, and got the {thing}.",
    " {She_or_he} threw small stones, and the waves brought the {thing} back.",
    " {She_or_he} asked a duck to push the {thing}, and the duck really did!",
    slope=1.1,
)

REACH = seq(
    choice(
        "reach.scene",
        setting(
            seq(
                START,
                " played with a kite. The wind blew the kite into a tree.",
                _HIGH,
                ARRIVAL,
                _DOWN,
            ),
            thing="kite",
        ),
        setting(
            seq(START, " sailed a toy boat on the pond. The boat got stuck.", _AWAY, ARRIVAL, _OUT),
            thing="boat",
        ),
        setting(
            seq(
                START,
                " kicked a ball so hard that the ball flew onto the roof.",
                _HIGH,
                ARRIVAL,
                _DOWN,
            ),
            thing="ball",
        ),
        setting(
            seq(START, " saw a big red apple at the top of a tree.", _HIGH, ARRIVAL, _DOWN),
            thing="apple",
        ),
        setting(
            seq(
                START,
                " stood on the bridge when {his} hat fell into the river.",
                _AWAY,
                ARRIVAL,
                _OUT,
            ),
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
            seq(
                START,
                " let go of a balloon, and the balloon flew up to the ceiling.",
                _HIGH,
                ARRIVAL,
                _DOWN,
            ),
            thing="balloon",
        ),
    ),
    choice(
        "reach.end",
        THANKS,
        " {He} held the {thing} tight all the way home.",
        ' "Again!" {he} said. "No!" was the answer.',
        " Then they had some cake, because it had been hard work.",
        slope=1.1,
    ),
)
