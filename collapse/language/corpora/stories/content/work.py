"""Plots about making something: with a friend who brings what is missing, or with patience."""

from collapse.language.corpora.stories.content.people import FRIEND, START
from collapse.language.corpora.stories.grammar import Setting, bind, choice, maybe, seq, setting

_LACK = choice(
    "make.lack",
    " But something was missing.",
    " It was nearly done, but it did not look right.",
    " Then {he} stopped. Something was missing.",
    slope=1.1,
)

_GIVEN = choice(
    "make.given",
    seq(" ", FRIEND, "{friend} came with "),
    seq(" ", FRIEND, "{friend} gave {him} "),
    seq(" Then ", FRIEND, "{friend} found "),
    seq(" ", FRIEND, '"Wait!" said {friend}, and ran home to get '),
    slope=1.1,
)


def _piece(work: str, begins: str, lacks: str, part: str, gifts: tuple[str, ...]) -> Setting:
    says = seq(
        begins,
        _LACK,
        f" It had no {lacks}!",
        _GIVEN,
        choice(f"make.{part}", *gifts),
        f" for the {part}.",
    )
    return setting(says, work=work)


MAKE = seq(
    START,
    choice(
        "make.scene",
        _piece(
            "house",
            " built a house out of blocks.",
            "roof",
            "roof",
            ("a big red book", "an umbrella", "a piece of wood", "a hat"),
        ),
        _piece(
            "boat",
            " made a boat out of a box.",
            "sail",
            "sail",
            ("a white sheet", "an old shirt", "a towel", "a kite"),
        ),
        _piece(
            "soup",
            " cooked a pot of soup.",
            "taste",
            "soup",
            ("a little salt", "a carrot", "an onion", "a lemon", "some green leaves"),
        ),
        _piece(
            "castle",
            " made a castle out of sand.",
            "flag",
            "flag",
            ("a feather", "a green leaf", "a red ribbon", "a sock on a stick"),
        ),
        _piece(
            "cake",
            " baked a birthday cake.",
            "candle",
            "candle",
            ("a carrot", "a yellow flower", "a lamp", "a red pencil"),
        ),
        _piece(
            "puppet",
            " made a puppet out of a sock.",
            "eyes",
            "eyes",
            ("two buttons", "two peas", "two shells", "three buttons"),
        ),
        _piece(
            "robot",
            " made a robot out of boxes.",
            "head",
            "head",
            ("a pot", "a pumpkin", "a bucket", "an old clock"),
        ),
    ),
    choice(
        "make.end",
        ' "Now it is perfect," {he} said.',
        ' "We made it together," they said.',
        " It was the best {work} in the whole town.",
        " They were so proud of the {work} that they sang a song.",
        " A bird came and sat on the {work}, and they laughed.",
        " The {work} fell over, so they made it again, even bigger.",
        slope=1.1,
    ),
)

_PLANT = bind(
    "grow.plant",
    "plant",
    ("sunflower",),
    ("bean",),
    ("pumpkin",),
    ("tomato",),
    ("strawberry",),
    ("carrot",),
    ("melon",),
    ("rose",),
)

GROW = seq(
    START,
    " planted a ",
    _PLANT,
    "{plant} seed.",
    choice(
        "grow.wait",
        " The next day there was nothing to see.",
        " {He} looked every hour, but nothing came up.",
        ' "Grow!" {he} said. The seed did not grow.',
        " {He} waited one day, two days, three days. Nothing!",
        slope=1.1,
    ),
    choice(
        "grow.advice",
        seq(" ", FRIEND, '"Seeds are slow," said {friend}.'),
        seq(" ", FRIEND, '"Give it time," said {friend}.'),
        seq(" ", FRIEND, '"Maybe it is asleep," said {friend}.'),
        slope=1.1,
    ),
    " So {he} gave the {plant} ",
    choice("grow.drink", "water", "a little water", "warm water", "rain water", slope=1.5),
    " every ",
    choice("grow.when", "day", "morning", "evening", slope=1.5),
    choice(
        "grow.care",
        ".",
        " and sang to it.",
        " and told it stories.",
        " and kept the birds away.",
        " and told it jokes.",
        " and read it the newspaper.",
        slope=1.1,
    ),
    maybe(
        "grow.leaf",
        0.5,
        choice("grow.leaf.how", " A small leaf came up.", " One green leaf came, then two."),
    ),
    choice(
        "grow.result",
        " At last there was a big {plant}!",
        " When summer came, there was a {plant}, as big as {his} head!",
        " And one day there was one tiny {plant}.",
        slope=1.1,
    ),
    choice(
        "grow.end",
        " They danced around it.",
        ' "It was only asleep," {he} said.',
        " {He} gave it to {his} mother.",
        " {He} kept one seed for the next year.",
        ' "I knew you could do it," {he} told the plant.',
        slope=1.1,
    ),
)
