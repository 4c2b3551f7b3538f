"""Plots about feelings: being afraid, sharing, and helping a small animal."""

from collapse.language.corpora.stories.content.people import FRIEND, HELPER, PORTRAIT, START
from collapse.language.corpora.stories.grammar import bind, choice, maybe, seq, setting

_COMFORT = choice(
    "fear.comfort",
    seq(" ", HELPER, '"I am here," said {helper}.'),
    seq(" ", HELPER, "{helper} took {his} hand."),
    seq(" ", HELPER, '"I was afraid of that too," said {helper}.'),
    seq(" ", HELPER, '"Let us be brave together," said {helper}.'),
    slope=0.8,
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
            choice("fear.shadow", "wolves", "giants", "monsters", "dragons", "witches", "big teeth"),
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
        " {hero} began to laugh.",
        ' "It is not so bad," {he} said.',
        ' "Can we do it again?" {he} asked.',
        ' "I was very brave," {he} said. "So was I," said {helper}.',
        " From then on, {he} was only a little afraid.",
        " And {helper} was a little less afraid, too.",
        slope=0.9,
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
    ("honey bun",),
    ("pancake",),
    ("melon",),
)

SHARE = seq(
    START,
    " had a ",
    choice("share.size", "big", "sweet", "lovely", "huge", "round", slope=1.2),
    " ",
    _FOOD,
    "{food}.",
    choice(
        "share.want",
        " {He} wanted to eat it all.",
        " {He} had waited for it all day.",
        " It smelled so good.",
        " {He} was just about to take a bite.",
        slope=0.8,
    ),
    choice(
        "share.meet",
        seq(" Then {he} saw ", FRIEND, "{friend}, who had nothing to eat."),
        seq(" But ", FRIEND, "{friend} sat next to {him} and looked hungry."),
        seq(" But {his} friend ", FRIEND, "{friend} had dropped {f_his} lunch in the mud."),
        seq(" But a goat had eaten the lunch of {his} friend ", FRIEND, "{friend}."),
        slope=0.8,
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
        " {hero} gave {friend} the bigger half of the {food}.",
        ' "Here," said {hero}. "You bite first."',
        slope=0.8,
    ),
    choice(
        "share.end",
        " It tasted even better with a friend.",
        ' "Thank you!" said {friend}, and they both laughed.',
        " The next day, {friend} brought two buns.",
        " They sat in the sun and ate until nothing was left.",
        " Since then they have been best friends.",
        " The birds got the last crumbs.",
        ' "Now we are both half full," {he} said.',
        slope=0.9,
    ),
)

_NOTICE = choice("pet.notice", " found ", " saw ", " met ", " heard a noise and found ", slope=0.8)
_PITY = choice(
    "pet.pity",
    ' "Poor {pet}!" {he} said.',
    ' "Do not be afraid," {he} said.',
    " {He} knelt down beside it.",
    ' "I will help you, little {pet}," {he} said.',
    " {hero} could not just walk on.",
)

PET = seq(
    START,
    _NOTICE,
    choice(
        "pet.scene",
        setting(
            seq(
                "a bird with a hurt wing.",
                _PITY,
                choice(
                    "pet.bird.how",
                    " {He} made a soft nest in a box, and soon the bird could fly again.",
                    " {He} fed the bird every day until its wing was well.",
                    " {He} carried the bird home in {his} hat and kept it warm.",
                ),
            ),
            pet="bird",
        ),
        setting(
            seq(
                "a kitten that was wet and cold.",
                _PITY,
                choice(
                    "pet.kitten.how",
                    " {He} dried the kitten with a towel and gave it warm milk.",
                    " {He} put the kitten inside {his} coat until it was warm.",
                    " {He} let the kitten sleep in {his} own bed.",
                ),
            ),
            pet="kitten",
        ),
        setting(
            seq(
                "a duck that had lost its mother.",
                _PITY,
                choice(
                    "pet.duck.how",
                    " {He} walked to the pond, and the duck ran after {him} to its mother.",
                    " {He} called like a duck, and the mother came out of the grass.",
                ),
            ),
            pet="duck",
        ),
        setting(
            seq(
                "a puppy that could not find its way home.",
                _PITY,
                choice(
                    "pet.puppy.how",
                    " {He} knocked at every door until somebody knew the puppy.",
                    " {He} followed its footprints in the mud, all the way to its home.",
                ),
            ),
            pet="puppy",
        ),
        setting(
            seq(
                "a turtle that lay on its back.",
                _PITY,
                choice(
                    "pet.turtle.how",
                    " {He} turned the turtle over, very slowly.",
                    " {He} pushed and pushed until the turtle stood on its feet.",
                ),
            ),
            pet="turtle",
        ),
        setting(
            seq(
                "a frog in a deep hole.",
                _PITY,
                choice(
                    "pet.frog.how",
                    " {He} put a branch into the hole, and the frog climbed out.",
                    " {He} filled the hole with water, and the frog swam up.",
                ),
            ),
            pet="frog",
        ),
        setting(
            seq(
                "a bee that was too tired to fly.",
                _PITY,
                choice(
                    "pet.bee.how",
                    " {He} gave the bee a drop of honey on a spoon.",
                    " {He} put the bee on a flower and waited.",
                ),
            ),
            pet="bee",
        ),
        setting(
            seq("a snail in the middle of the road.", _PITY, " {He} carried the snail to the other side."),
            pet="snail",
        ),
    ),
    choice(
        "pet.end",
        " The {pet} came back every day to say hello.",
        " The {pet} looked at {him} as if to say thank you.",
        " {He} waved until the {pet} was gone.",
        " {hero} was happy all day.",
        " And that is how they became friends.",
        " {He} never told anybody. It was a secret between {him} and the {pet}.",
        slope=0.9,
    ),
)

