"""Is it Python, and how varied are its names? Completions are read, never executed.

**Does it parse?** A completion of 64 tokens mostly breaks off in the middle of a line or a bracket,
so asking whether prompt and completion parse as they stand fails good text for being cut. Two
questions are asked instead:

- *parses whole*: prompt + completion, to the last character. Strict; a floor.
- *parses up to a line*: there is a longest prefix of the completion, made of whole lines, that
  parses together with the prompt and has code in it. A line is whole where its newline is part of
  the completion; the first one finishes the prompt's last line. Comments and white space are no
  code, so blank lines after a finished prompt count for nothing. Lenient: one good line and then
  drivel passes, and so *kept share* says how much of the completion the prefix is.

None of the three has 100 % for its best value, and human code does not reach it either: so they
are compared with :func:`human_openings` of the same corpus, continued by their own author and cut
at as many tokens.

What counts as Python is the grammar of the interpreter that runs this. ``ast.parse`` knows
grammar only: ``return`` outside a function, or a name that does not exist, passes.
"""

import ast
import io
import keyword
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from collapse.errors import BadParameter
from collapse.numerics.diversity import distinct_n, vocabulary_diversity

_WORD = re.compile(r"[^\W\d]\w*")
_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True)
class ParsedCompletion:
    """What the parser says of one completion.

    Attributes:
        parses_whole: prompt + completion parse.
        kept: the longest prefix of whole lines that parses with the prompt and has code in it;
            empty where there is none.
        kept_share: characters of ``kept`` over those of the completion; 0 for an empty one.
    """

    parses_whole: bool
    kept: str
    kept_share: float

    @property
    def parses_to_a_line(self) -> bool:
        """Whether any prefix is kept."""
        return bool(self.kept)


@dataclass(frozen=True)
class IdentifierDiversity:
    """How varied the names in some completions are.

    Attributes:
        identifiers: all of them, repeats included.
        distinct: different ones.
        distinct_share: different ones over all; None where there are none. It falls with the amount
            of text: compare only as many completions of as many tokens.
        guiraud: different ones over the square root of all; None where there are none.
    """

    identifiers: int
    distinct: int
    distinct_share: float | None
    guiraud: float | None


@dataclass(frozen=True)
class CodeMeasures:
    """Measures of some completions as code.

    Attributes:
        parsed: one a completion, in order.
        whole_rate: share that parse whole.
        line_rate: share that parse up to a line.
        mean_kept_share: mean share of a completion that its kept prefix is.
        names: of the completions alone, prompts left out.
    """

    parsed: tuple[ParsedCompletion, ...]
    whole_rate: float
    line_rate: float
    mean_kept_share: float
    names: IdentifierDiversity


def measure_code(prompts: Sequence[str], completions: Sequence[str]) -> CodeMeasures:
    """Measure completions as Python.

    Args:
        prompts: at least one.
        completions: one a prompt, without it.

    Raises:
        BadParameter: there are none, or their numbers differ.
    """
    if not prompts or len(prompts) != len(completions):
        raise BadParameter(
            f"{len(prompts)} prompts and {len(completions)} completions: one of each is needed"
        )
    pairs = list(zip(prompts, completions, strict=True))
    parsed = tuple(parse_completion(*pair) for pair in pairs)
    return CodeMeasures(
        parsed=parsed,
        whole_rate=float(np.mean([one.parses_whole for one in parsed])),
        line_rate=float(np.mean([one.parses_to_a_line for one in parsed])),
        mean_kept_share=float(np.mean([one.kept_share for one in parsed])),
        names=identifier_diversity([identifiers(*pair) for pair in pairs]),
    )


def parse_completion(prompt: str, completion: str) -> ParsedCompletion:
    """Ask the parser about one completion; see the module for what is asked."""
    kept = next(_parsing_prefixes(prompt, completion), "")
    share = len(kept) / len(completion) if completion else 0.0
    return ParsedCompletion(parses(prompt + completion), kept, share)


def parses(source: str) -> bool:
    """Whether a source is Python by grammar; nothing of it is executed.

    Whatever the parser cannot take is no Python: too many brackets or digits, null bytes and half
    surrogate pairs too. What it would only warn of, such as an odd escape, is silently taken.
    """
    return _tree(source) is not None


def identifiers(prompt: str, completion: str) -> list[str]:
    """The names in a completion, in order, repeats included; keywords, strings, comments left out.

    The prompt is read with it, so that it is known whether a string is open; a name that the prompt
    begins and the completion ends is the completion's. ``match``, ``case``, ``type`` and ``_`` are
    names, as they are keywords in few places. Words that cannot be told from names are taken for
    some: those after a quote that its line never closes, and all words from the line on where the
    indentation cannot be followed.
    """
    tokens, unread = _tokens_beyond(prompt, completion)
    found = [token.string for token in tokens if token.type == tokenize.NAME]
    return [name for name in found + _WORD.findall(unread) if not keyword.iskeyword(name)]


def identifier_diversity(names: Sequence[Sequence[str]]) -> IdentifierDiversity:
    """How varied names are over all completions together.

    Args:
        names: the :func:`identifiers` of each.
    """
    return IdentifierDiversity(
        identifiers=sum(len(one) for one in names),
        distinct=len({name for one in names for name in one}),
        distinct_share=distinct_n(names, 1),
        guiraud=vocabulary_diversity(names),
    )


def human_openings(
    documents: Sequence[str], count: int, rng: np.random.Generator
) -> list[tuple[str, str]]:
    """Openings of human code with what their authors wrote next: the ceiling of the measures.

    An opening is the first line of a statement at the left margin of a document that parses; the
    continuation is all that follows, from the end of that line on. A document gives one opening at
    most: the kind of statement is drawn evenly among those the document has, then one of that kind;
    evenly, because imports would else be nearly all, and they are the easiest to go on with.

    Args:
        documents: Python sources, held out from training.
        count: openings wanted.
        rng: draws documents and statements.

    Returns:
        (opening, continuation), no more than ``count``, fewer where the documents have not as many.
    """
    found: list[tuple[str, str]] = []
    for index in rng.permutation(len(documents)):
        if len(found) == count:
            break
        opening = _draw_opening(documents[index], rng)
        if opening is not None:
            found.append(opening)
    return found


def _draw_opening(document: str, rng: np.random.Generator) -> tuple[str, str] | None:
    document = document.replace("\r\n", "\n").replace("\r", "\n")  # as the parser counts lines
    tree = _tree(document)
    rows: dict[str, list[int]] = {}
    for statement in tree.body if tree is not None else ():
        decorators = getattr(statement, "decorator_list", [])
        row = min([statement.lineno, *(one.lineno for one in decorators)])
        rows.setdefault(type(statement).__name__, []).append(row)
    lines = document.split("\n")
    if not rows:
        return None  # no Python, or a file of comments
    kind = sorted(rows)[rng.integers(len(rows))]
    row = rows[kind][rng.integers(len(rows[kind]))]
    continuation = "".join("\n" + line for line in lines[row:])
    return (lines[row - 1], continuation) if continuation.strip() else None


def _parsing_prefixes(prompt: str, completion: str) -> Iterator[str]:
    """The prefixes of whole lines that parse and have code, the longest first."""
    end = len(completion)
    while (end := completion.rfind("\n", 0, end)) >= 0:
        prefix = completion[: end + 1]
        if parses(prompt + prefix) and _has_code(prompt, prefix):
            yield prefix


def _has_code(prompt: str, addition: str) -> bool:
    """Whether what follows a prompt, in a source that parses, is more than comments and space."""
    tokens, unread = _tokens_beyond(prompt, addition)
    return any(token.type not in _NO_CODE for token in tokens) or bool(unread.strip())


def _tokens_beyond(prompt: str, completion: str) -> tuple[list[tokenize.TokenInfo], str]:
    """The tokens of prompt + completion that end in the completion, and what could not be read."""
    source = prompt + completion
    lines = prompt.split("\n")
    boundary = (len(lines), len(lines[-1]))
    found = []
    row = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            row = token.end[0]
            if token.end > boundary:
                found.append(token)
    except tokenize.TokenError:
        pass  # a bracket or a string is open at the end, and all before it was read
    except SyntaxError:  # indentation; raised before anything of the line is read
        unread = "\n".join(source.split("\n")[row:])
        return found, unread[max(0, len(unread) - len(completion)) :]
    return found, ""


def _tree(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        # ValueError: null bytes, half surrogate pairs; the last two: nested too deeply.
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
