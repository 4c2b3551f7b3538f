"""How the stories are cut for the tasks with answers to choose from."""

import re

from collapse.language.story_tasks.contrast import Cut, Family
from collapse.language.story_tasks.tales import Tale

_FEAR, _LOST, _PET, _GAME, _MAKE, _LEARN, _SHARE, _MEND, _REACH, _GROW = range(10)  # of "plot"

_SENTENCE = re.compile(r'[^.!?]*[.!?]"?')
_DEEDS = (
    *("dark.how", "thunder.how", "dog.how", "water.how", "bed.how", "slide.how", "spider.how"),
    *("school.how", "milk.how", "dish.how", "book.how", "paint.how", "flower.how", "hens.how"),
    ".sight",
)
_OF_MANY_THINGS = ("boxes", "chairs", "pillows")
_FEELINGS = {
    "hid under a blanket.": "afraid",
    "shut her eyes.": "afraid",
    "shut his eyes.": "afraid",
    "was very sad.": "sad",
    "began to cry.": "sad",
    "was too sad to eat.": "sad",
    "was so proud that she could not sleep.": "proud",
    "was so proud that he could not sleep.": "proud",
    "was happy again.": "glad",
    "danced all around the room.": "glad",
    "was happy all day.": "glad",
    "felt much better.": "forgiven",
    "was careful for a whole day.": "forgiven",
}


def _after(tale: Tale, point: str | None, stem: str) -> Cut | None:
    """The story cut behind the words with which a choice begins; the answer ends the sentence."""
    if point is None or not tale.since(point).startswith(f" {stem} "):
        return None
    rest = tale.since(point).removeprefix(f" {stem} ")
    sentence = _SENTENCE.match(rest)
    assert sentence is not None
    return Cut(point, f"{tale.before(point)} {stem}", sentence.group())


def _deed(tale: Tale) -> Cut | None:
    """What they did about it: "They" and the rest of the sentence."""
    return _after(tale, tale.first(*_DEEDS), "They")


def _verb(tale: Tale) -> Cut | None:
    """What they did about it, in the one word after "They"."""
    cut = _deed(tale)
    return None if cut is None else Cut(cut.kind, cut.context, cut.answer.split(" ", 1)[0])


def _lesson(tale: Tale) -> Cut | None:
    """What the friend said to who could not do it yet."""
    point = tale.first(".hint")
    stem = f" {tale.fields['friend']}"
    assert point is not None
    context, _, said = tale.before(point).rpartition(f"{stem} ")
    if not context:
        return None
    hint, quote, _ = tale.since(point).partition('"')
    return Cut(point, context + stem, said + hint + quote)


def _lack(tale: Tale) -> Cut | None:
    """What was missing from the thing that was made."""
    context, _, rest = tale.text.partition(" It had no ")
    part = _SENTENCE.match(rest)
    assert part is not None
    return Cut(tale.fields["work"], f"{context} It", f"had no {part.group()}")


def _gift(tale: Tale) -> Cut | None:
    """What the friend brought for what was missing."""
    point = tale.first(".roof", ".sail", ".soup", ".flag", ".candle", ".eyes", ".head")
    assert point is not None
    return Cut(point, tale.before(point).rstrip(), tale.since(point).partition(" for the ")[0])


def _tool(tale: Tale) -> Cut | None:
    """What the helper took to get the thing down, or out of the water."""
    cut = _after(tale, tale.first("reach.down", "reach.out"), tale.fields["She_or_he"])
    if cut is None:
        return None
    tool = re.split(r", | and | to ", cut.answer, maxsplit=1)[0]
    return None if tale.fields["thing"] in tool else Cut(cut.kind, cut.context, tool)


def _material(tale: Tale) -> Cut | None:
    """What a thing was made out of."""
    context, _, rest = tale.text.partition(" out of ")
    material = re.split(r"[.!]", rest)[0]
    if not rest or material in _OF_MANY_THINGS:
        return None
    kind = f"{tale.options['plot']} {context.rsplit(' ', 1)[-1]}"
    return Cut(kind, f"{context} out of", material)


def _feeling(tale: Tale) -> Cut | None:
    """How the hero felt after it."""
    for point in tale.starts:
        cut = _after(tale, point, tale.fields["He"])
        if cut is not None and cut.answer in _FEELINGS:
            return Cut(_FEELINGS[cut.answer], cut.context, cut.answer)
    return None


def _next(tale: Tale) -> Cut | None:
    """What the hero did next."""
    point = tale.first(
        ".failure", "how", "share.want", "grow.wait", "lost.search", "reach.high", "reach.away"
    )
    return _after(tale, point, tale.fields["He"])


HELLASWAG = (
    Family(_deed, (_FEAR,), ("fear.comfort",)),
    Family(_lesson, (_LEARN,), ("learn.teacher",)),
    Family(_deed, (_GAME,), ("game.ready",)),
    Family(_lack, (_MAKE,), ("make.lack",)),
)
PIQA = (
    Family(_tool, (_REACH,), ("arrival",)),
    Family(_gift, (_MAKE,), ("make.given",)),
)
SIQA = (Family(_feeling, (_FEAR, _LOST, _PET, _LEARN, _MEND, _REACH)),)
SENTENCE_COMPLETION = (Family(_deed, (_FEAR, _GAME, _MEND)),)
WORD_ASSOCIATION = (Family(_verb, (_FEAR, _GAME, _MEND)), Family(_material, (_GAME, _MAKE, _PET)))
SIMPLE_QA = (Family(_next, (_LEARN, _PET, _SHARE, _GROW, _LOST, _REACH)),)
