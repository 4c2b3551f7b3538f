"""A plot about a small animal that needs help."""

from collapse.language.corpora.stories.content.people import START
from collapse.language.corpora.stories.grammar import choice, seq, setting

_NOTICE = choice("pet.notice", " found ", " saw ", " met ", " heard a noise and found ", slope=1.1)
_PITY = choice(
    "pet.pity",
    ' "Poor {pet}!" {he} said.',
    ' "Do not be afraid," {he} said.',
    " {He} knelt down beside it.",
    ' "I will help you, little {pet}," {he} said.',
    " {He} could not just walk on.",
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
            seq(
                "a snail in the middle of the road.",
                _PITY,
                " {He} carried the snail to the other side.",
            ),
            pet="snail",
        ),
    ),
    choice(
        "pet.end",
        " The {pet} came back every day to say hello.",
        " The {pet} looked at {him} as if to say thank you.",
        " {He} waved until the {pet} was gone.",
        " And that is how they became friends.",
        " {He} was happy all day.",
        " {He} never told anybody. It was a secret between {him} and the {pet}.",
        slope=1.1,
    ),
)
