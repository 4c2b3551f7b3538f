"""Who the stories are about, how they begin, and what is said in more than one plot."""

from collapse.language.corpora.stories.grammar import bind, choice, maybe, seq

_SHE = ("she", "She", "her", "her", "Her")
_HE = ("he", "He", "him", "his", "His")

HERO = bind(
    "hero",
    "hero kind he He him his His",
    ("Lily", "girl", *_SHE),
    ("Tom", "boy", *_HE),
    ("Mia", "girl", *_SHE),
    ("Ben", "boy", *_HE),
    ("Anna", "girl", *_SHE),
    ("Max", "boy", *_HE),
    ("Pip", "mouse", *_HE),
    ("Rosie", "girl", *_SHE),
    ("Sam", "boy", *_HE),
    ("Bella", "rabbit", *_SHE),
    ("Lucy", "girl", *_SHE),
    ("Leo", "boy", *_HE),
    ("Bruno", "bear", *_HE),
    ("Ella", "girl", *_SHE),
    ("Jack", "boy", *_HE),
    ("Nora", "girl", *_SHE),
    ("Hazel", "squirrel", *_SHE),
    ("Finn", "boy", *_HE),
    ("Felix", "fox", *_HE),
    ("Ivy", "girl", *_SHE),
    ("Hugo", "boy", *_HE),
    ("Dot", "hen", *_SHE),
    slope=1.2,
)

HELPER = bind(
    "helper",
    "helper She_or_he",
    ("Mom", "She"),
    ("Grandpa", "He"),
    ("Dad", "He"),
    ("Grandma", "She"),
    ("Aunt May", "She"),
    ("Uncle Bob", "He"),
    ("Cousin Jill", "She"),
    ("Mr. Hill", "He"),
    slope=1.5,
)

FRIEND = bind(
    "friend",
    "friend f_he F_he f_him f_his",
    ("Zoe", "she", "She", "her", "her"),
    ("Dan", "he", "He", "him", "his"),
    ("Kate", "she", "She", "her", "her"),
    ("Noah", "he", "He", "him", "his"),
    ("Ruby", "she", "She", "her", "her"),
    ("Will", "he", "He", "him", "his"),
    slope=1.3,
)

_WEATHER = choice(
    "weather",
    "sunny",
    "windy",
    "bright",
    "warm",
    "quiet",
    "cool",
    "cloudy",
    "fresh",
    "lovely",
    "misty",
    "golden",
    "sleepy",
    slope=1.5,
)
_MANNER = choice(
    "manner",
    "little",
    "small",
    "cheerful",
    "shy",
    "brave",
    "clever",
    "curious",
    "gentle",
    "dreamy",
    "noisy",
    slope=1.5,
)
_HOUR = choice("hour", "breakfast", "lunch", "school", "a nap", "supper", "a bath", slope=1.5)
_SEASON = choice("season", "spring", "summer", "Sunday", "autumn", "a holiday", slope=1.5)

# Ends where a verb in the past tense goes on: "One day, Lily".
START = choice(
    "start",
    seq("One ", _WEATHER, " day, ", HERO, "{hero}"),
    seq("Once there was a ", _MANNER, " ", HERO, "{kind} called {hero}. One day, {he}"),
    seq("One day, ", HERO, "{hero}"),
    seq(HERO, "{hero}"),
    seq("After ", _HOUR, ", ", HERO, "{hero}"),
    seq("It was ", _SEASON, ", and ", HERO, "{hero}"),
    seq("A long time ago, a ", HERO, "{kind} called {hero}"),
    seq("Early one morning, ", HERO, "{hero}"),
    seq(HERO, "On {his} birthday, {hero}"),
    seq("In a town by the sea, a ", HERO, "{kind} called {hero}"),
    slope=1.1,
)

# Who it is, in a sentence of its own: for plots that go on with what always was so.
PORTRAIT = choice(
    "portrait",
    seq(HERO, "{hero}"),
    seq("There was once a ", _MANNER, " ", HERO, "{kind} called {hero}. {He}"),
    seq("A ", _MANNER, " ", HERO, "{kind} called {hero}"),
    seq("Nobody knew it, but ", HERO, "{hero}"),
    seq("Everybody knew that ", HERO, "{hero}"),
    slope=1.1,
)

SORROW = maybe(
    "sorrow",
    0.35,
    choice(
        "sorrow.how",
        " {He} was very sad.",
        " {He} began to cry.",
        " A big tear ran down {his} cheek.",
        " {He} did not know what to do.",
        " {His} lip began to shake.",
        " {He} sat down on the floor and sighed.",
        " {He} was too sad to eat.",
        slope=1.5,
    ),
)

ARRIVAL = choice(
    "arrival",
    seq(" ", HELPER, '"I can help," said {helper}.'),
    seq(" ", HELPER, "{helper} came to see what was wrong."),
    seq(" Soon ", HELPER, "{helper} came by."),
    seq(" ", HELPER, '"Do not worry," said {helper}. "I have an idea."'),
    seq(" {He} ran to ask ", HELPER, "{helper} for help."),
    seq(' "Help!" {he} called, and ', HELPER, "{helper} came running."),
    seq(" ", HELPER, "{helper} put down the newspaper and came to look."),
    slope=1.1,
)

THANKS = choice(
    "thanks",
    ' "Thank you!" {he} said.',
    " {He} laughed and clapped {his} hands.",
    " {He} was happy again.",
    ' "Hooray!" {he} shouted, so loud that the cat woke up.',
    " {He} danced all around the room.",
    " {He} drew a picture to say thank you.",
    " {He} gave {helper} a big hug.",
    slope=1.1,
)
