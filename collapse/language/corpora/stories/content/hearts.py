"""Plots about feelings: being afraid, and sharing."""

from collapse.language.corpora.stories.content.people import FRIEND, HELPER, PORTRAIT, START
from collapse.language.corpora.stories.grammar import bind, choice, maybe, seq

_COMFORT = choice(
    "fear.comfort",
    seq(" ", HELPER, '"I am here," said {helper}.'),
    seq(" ", HELPER, "{helper} took {his} hand."),
    seq(" ", HELPER, '"I was afraid of that too," said {helper}.'),
    seq(" ", HELPER, '"Let us be brave together," said {helper}.'),
    slope=1.1,
)
_TREMBLE = maybe(
    "fear.tremble",
    0.4,
    choice(
        "fear.tremble.how",
        " {His} knees shook.",
        " {He} hid under a blanket.",
        " {He} held on to {his} teddy bear.",
        " {He} shut {his} eyes.",
        " {His} ears went cold.",
    ),
)

FEAR = seq(
    PORTRAIT,
    " was afraid of ",
    choice(
        "fear.scene",
        seq(
            "the dark. At night the shadows looked like ",
            choice(
                "fear.shadow", "wolves", "giants", "monsters", "dragons", "witches", "big teeth"
            ),
            ".",
            _TREMBLE,
            _COMFORT,
            choice(
                "fear.dark.how",
                " They put a little lamp by the bed, and the shadows went away.",
                " They turned on the light. The shadow was only a coat on a chair!",
                " They made a shadow rabbit on the wall, and then a shadow duck.",
                " They looked out at the stars, which only come out in the dark.",
            ),
        ),
        seq(
            "thunder. One night there was a big storm.",
            _TREMBLE,
            _COMFORT,
            choice(
                "fear.thunder.how",
                " They sang a song, louder than the thunder.",
                " They counted from the flash to the boom, until the storm was far away.",
                " They banged on pots and made a storm of their own.",
            ),
        ),
        seq(
            "the big dog next door. Its bark was so loud!",
            _TREMBLE,
            _COMFORT,
            choice(
                "fear.dog.how",
                " They let the dog smell their hands. The dog wagged its tail.",
                " They threw a stick, and the dog brought it back.",
                " The dog rolled over and wanted to be patted.",
            ),
        ),
        seq(
            "the deep water in the lake.",
            _TREMBLE,
            _COMFORT,
            choice(
                "fear.water.how",
                " They went in one small step at a time.",
                " They put one toe in, then two, then ten.",
                " They held on to a log and kicked like frogs.",
            ),
        ),
        seq(
            "the thing under the bed. It made a noise!",
            _TREMBLE,
            _COMFORT,
            choice(
                "fear.bed.how",
                " They looked with a lamp. It was only the cat!",
                " They looked under the bed and found one old sock.",
                " They looked under the bed. It was a mouse, and it was afraid of them.",
            ),
        ),
        seq(
            "the high slide in the park.",
            _TREMBLE,
            _COMFORT,
            choice(
                "fear.slide.how",
                " They went down together, and it was over in a second.",
                " They went down the small slide first, and then the high one.",
                " They sent the teddy bear down first, and it liked it.",
            ),
        ),
        seq(
            "a spider in the bath.",
            _TREMBLE,
            _COMFORT,
            choice(
                "fear.spider.how",
                " They put a glass over the spider and carried it to the garden.",
                " They gave the spider a name, and then it was not so bad.",
            ),
        ),
        seq(
            "the first day at school.",
            _TREMBLE,
            _COMFORT,
            choice(
                "fear.school.how",
                " They walked to school side by side, and a girl said hello.",
                " They drew a heart on {his} hand, to look at when {he} felt alone.",
            ),
        ),
    ),
    choice(
        "fear.end",
        " Now {he} was not afraid any more.",
        " {He} began to laugh.",
        ' "It is not so bad," {he} said.',
        ' "Can we do it again?" {he} asked.',
        ' "I was very brave," {he} said. So was the teddy bear.',
        " From then on, {he} was only a little afraid.",
        " They were both a little proud.",
        slope=1.1,
    ),
)

_FOOD = bind(
    "share.food",
    "food",
    ("cookie",),
    ("cake",),
    ("sandwich",),
    ("apple",),
    ("pear",),
    ("banana",),
    ("muffin",),
    ("pancake",),
    ("melon",),
)

SHARE = seq(
    START,
    " had a ",
    choice("share.size", "big", "sweet", "lovely", "huge", "round", slope=1.5),
    " ",
    _FOOD,
    "{food}.",
    choice(
        "share.want",
        " {He} wanted to eat it all.",
        " {He} had waited for it all day.",
        " It smelled so good.",
        " {He} was just about to take a bite.",
        slope=1.1,
    ),
    choice(
        "share.meet",
        seq(" Then {he} saw ", FRIEND, "{friend}, who had no {food}."),
        seq(" But ", FRIEND, "{friend} sat next to {him} and had no {food}."),
        seq(" But {his} friend ", FRIEND, "{friend} had dropped {f_his} own {food} in the mud."),
        seq(" But a goat had just eaten the {food} of {his} friend ", FRIEND, "{friend}."),
        slope=1.1,
    ),
    maybe(
        "share.doubt",
        0.4,
        choice(
            "share.doubt.how",
            " {He} thought for a while.",
            " {He} looked at the {food} for a long time.",
            " It was not easy.",
            ' "But it is mine," {he} thought.',
        ),
    ),
    choice(
        "share.give",
        " {He} broke the {food} in two, one half for each.",
        ' "We can share," {he} said, and broke the {food} in two.',
        " {He} gave away the bigger half of the {food}.",
        ' "Here," {he} said. "You bite first."',
        slope=1.1,
    ),
    choice(
        "share.end",
        " It tasted even better with a friend.",
        " They sat in the sun and ate until nothing was left.",
        " Since then they have been best friends.",
        " The birds got the last crumbs.",
        ' "Thank you!" said {friend}, and they both laughed.',
        " The next day, {friend} brought two buns.",
        ' "Now we are both half full," {he} said.',
        slope=1.1,
    ),
)
