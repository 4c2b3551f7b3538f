"""Where sentences end, by a rule for stories and ordinary prose."""

import re
from collections.abc import Sequence

import numpy as np

_END = re.compile(
    r"""(?<!\S)(?P<word>\S*?)        # what the marks stand at
        (?P<marks>[.!?…]+)
        (?P<closing>["'”’»)\]]*)
        (?=\s+(?P<next>\S))         # the last sentence ends with its text""",
    re.VERBOSE,
)
_PARAGRAPH = re.compile(r"\n\s*\n")
_OPENING = "\"'“‘«(["
_TITLES = ("mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "rev", "capt", "col", "gen", "lt")
_OTHERS = ("vs", "etc", "eg", "e.g", "ie", "i.e", "cf", "al", "vol", "approx", "inc", "ltd", "co")
_DOTTED = ("u.s", "u.k", "a.m", "p.m", "ph.d")
_ABBREVIATIONS = frozenset((*_TITLES, *_OTHERS, *_DOTTED))
_FOREIGN_TO_PROSE = re.compile(r"[^\w\s.,;:!?'\"“”‘’«»()—–…\-]|_")
_MOST_FOREIGN = 0.03


def split_sentences(text: str) -> list[str]:
    """Sentences of a text, in order, without the blanks around them.

    A sentence ends at a blank line, and at ``.``, ``!``, ``?`` or ``…``, with the closing quotes
    and brackets that follow, before white space; but not

    - at a full stop after a common abbreviation (``Mr.``, ``e.g.``) or a single capital other than
      I (an initial);
    - before a small letter where a quotation closes (``"Where?" asked Tom.``), or after an ellipsis
      (``well... maybe``).

    A single line break ends nothing, as prose may be wrapped. Pieces without a letter or digit are
    left out. Text without any of these marks is one sentence, however long.
    """
    pieces: list[str] = []
    for paragraph in _PARAGRAPH.split(text):
        begin = 0
        for found in _END.finditer(paragraph):
            if _is_end(found):
                pieces.append(paragraph[begin : found.end()])
                begin = found.end()
        pieces.append(paragraph[begin:])
    return [piece.strip() for piece in pieces if any(map(str.isalnum, piece))]


def shuffle_sentences(
    texts: Sequence[Sequence[str]], generator: np.random.Generator
) -> list[list[str]]:
    """The same sentences, as many in each text as before, but any of them anywhere."""
    pool = [sentence for text in texts for sentence in text]
    drawn = iter(generator.permutation(len(pool)).tolist())
    return [[pool[next(drawn)] for _ in text] for text in texts]


def _is_end(found: re.Match[str]) -> bool:
    marks, follows = found["marks"], found["next"]
    word = found["word"].lstrip(_OPENING)
    if follows.islower() and (found["closing"] or "…" in marks or marks.startswith("..")):
        return False
    if marks != "." or found["closing"]:
        return True
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    return not (is_initial or word.lower() in _ABBREVIATIONS)


def reads_as_prose(texts: Sequence[str]) -> bool:
    """Whether sentences can be told apart in these texts by the rule above.

    Decided for a corpus by its human text, so that all generations are measured or none: no more
    than 3 % of the characters are other than letters, digits, white space and the punctuation of
    prose. Source code and tables have far more.
    """
    characters = sum(map(len, texts))
    foreign = sum(len(_FOREIGN_TO_PROSE.findall(text)) for text in texts)
    return characters > 0 and foreign <= _MOST_FOREIGN * characters
