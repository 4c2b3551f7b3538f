"""Plots about trying: learning something hard, and making a game of a rainy day."""

from collapse.language.corpora.stories.content.people import FRIEND, HERO, START
from collapse.language.corpora.stories.grammar import Node, Setting, choice, seq, setting

_TEACHER = choice(
    "learn.teacher",
    seq(" ", FRIEND, '{friend} said, "'),
    seq(" ", FRIEND, '"I know how," said {friend}. "'),
    seq(" Then ", FRIEND, '{friend} told {him} a secret: "'),
    slope=1.1,
)


def _lesson(name: str, skill: str, failures: tuple[str, ...], hints: tuple[str, ...]) -> Node:
    return seq(
        f" wanted to {skill}.",
        choice(f"learn.{name}.failure", *failures),
        _TEACHER,
        choice(f"learn.{name}.hint", *hints),
        '"',
    )


LEARN = seq(
    START,
    choice(
        "learn.scene",
        _lesson(
            "bike",
            "ride a bike",
            (" {He} fell off.", " {He} rode into a bush.", " The bike went without {him}."),
            ("Do not look at your feet.", "I will run beside you.", "Go fast. Slow is harder."),
        ),
        _lesson(
            "swim",
            "swim",
            (" {He} sank like a stone.", " {He} drank half the lake."),
            ("Kick like a frog.", "Lie on your back and look at the sky.", "I will hold you."),
        ),
        _lesson(
            "whistle",
            "whistle",
            (" Only air came out.", " It sounded like a kettle.", " {He} blew until {he} was red."),
            ("Make your mouth small and round.", "Do not blow so hard.", "Think of a bird."),
        ),
        _lesson(
            "shoes",
            "tie {his} shoes",
            (" {He} tied them to each other.", " The knot would not hold."),
            ("Make two ears like a rabbit.", "Pull both ends at the same time."),
        ),
        _lesson(
            "catch",
            "catch a ball",
            (" The ball hit {his} nose.", " The ball always fell down."),
            ("Keep your eyes open.", "Hold your hands like a cup."),
        ),
        _lesson(
            "leg",
            "stand on one leg",
            (" {He} fell over.", " {He} fell on the cat."),
            ("Look at a tree. Trees never fall over.", "Lift the other leg first."),
        ),
        _lesson(
            "name",
            "write {his} name",
            (" The letters fell over.", " It came out backwards."),
            ("Write one letter a day.", "Draw it in the sand first."),
        ),
    ),
    choice(
        "learn.again",
        " {He} tried again, and it worked!",
        " {He} tried ten times, and then it worked.",
        " The next day {he} could do it.",
        " It did not help, but {he} tried until it worked.",
        slope=1.1,
    ),
    choice(
        "learn.end",
        ' "Look at me!" {he} shouted.',
        " Then {he} showed everybody, even the cat.",
        ' "Now teach me something hard," {he} said.',
        " {He} was so proud that {he} could not sleep.",
        " They did it together all day long.",
        ' "I knew it," said {friend}.',
        slope=1.1,
    ),
)

_READY = choice(
    "game.ready",
    " Soon it was ready.",
    " They both climbed in.",
    " It took all morning.",
    " {He} was the captain.",
    slope=1.1,
)


def _game(game: str, parts: tuple[str, ...], sights: tuple[str, ...]) -> Setting:
    says = seq(
        f"{game} out of ",
        choice(f"game.{game}.parts", *parts),
        '!" said {friend}.',
        _READY,
        choice(f"game.{game}.sight", *sights),
    )
    return setting(says, game=game)


GAME = seq(
    choice(
        "game.begin",
        seq("It rained, and ", HERO, "{hero} could not go out."),
        seq(HERO, '"What shall we play?" asked {hero}.'),
        seq("It was a grey day. ", HERO, '"There is nothing to do," said {hero}.'),
        seq(HERO, "{hero} had to stay in bed with a cold."),
        slope=1.1,
    ),
    " ",
    FRIEND,
    '"Let us make a ',
    choice(
        "game.scene",
        _game(
            "ship",
            ("chairs", "the bed", "boxes", "the bath"),
            (
                " They sailed the sea and saw a whale.",
                " They found an island with gold on it.",
                " A storm came, but the ship was strong.",
            ),
        ),
        _game(
            "train",
            ("chairs", "boxes", "shoes"),
            (
                " They went over the mountains to the sea.",
                " The train stopped only for cookies.",
                " The cat had no ticket, but it came too.",
            ),
        ),
        _game(
            "rocket",
            ("boxes", "pillows", "a basket"),
            (
                " They flew to the moon. It was made of cheese.",
                " They flew past all the stars and waved.",
            ),
        ),
        _game(
            "cave",
            ("blankets", "pillows", "coats"),
            (
                " A bear lived in it. The bear was the dog.",
                " They told stories with a lamp until it was late.",
            ),
        ),
        _game(
            "castle",
            ("pillows", "books", "the table"),
            (
                " A dragon came, but it only wanted some tea.",
                " They were both king, one after the other.",
            ),
        ),
    ),
    choice(
        "game.end",
        " When it was time to eat, they ate in the {game}.",
        " It was the best day of the week.",
        " Then the sun came out, but nobody saw it.",
        ' "I hope it rains tomorrow," {he} said.',
        ' "Who will clean this up?" asked Mom. The {game} was very quiet.',
        " That night {he} was still in the {game}, asleep.",
        slope=1.1,
    ),
)
