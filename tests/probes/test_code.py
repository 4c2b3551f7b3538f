import ast
import bisect
import builtins
import heapq
import inspect
import keyword
import warnings
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collapse.errors import BadParameter
from collapse.probes.code import (
    human_openings,
    identifier_diversity,
    identifiers,
    measure_code,
    parse_completion,
    parses,
)


@pytest.mark.parametrize(
    ("prompt", "completion", "whole", "kept"),
    [
        # Good text that is cut in the middle of a line or a bracket.
        ("def f(x):", "\n    y = x\n    return y +", False, "\n    y = x\n"),
        ("def f(x):", "\n    y = x\n    return (y,\n        ", False, "\n    y = x\n"),
        ("def f(x):", "\n    return x\n", True, "\n    return x\n"),
        # What stands parses, but its last line is not known to be whole.
        ("def f(x):", "\n    return x", True, ""),
        ("def f(x):\n    a = 1", " + x\n    return a\n\ndef", False, " + x\n    return a\n\n"),
        ("x = [n for n in", " range(3)]\ny = (", False, " range(3)]\n"),
        # The published failures.
        ("def add(a, b):", "):):):):):):", False, ""),
        ("class Stack:", "::::::::", False, ""),
        ("import asyncio", "ioioioioio", True, ""),
        ("@property", "propertyproperty", False, ""),
        # Nothing of its own: a finished prompt and blank lines or comments.
        ("import os", "\n\n        ", True, ""),
        ("import os", "\n# # # #\n# #\n\n", True, ""),
        ("import os", "", True, ""),
        ("import os", "\n# first\nx = 1\n# last\n", True, "\n# first\nx = 1\n# last\n"),
        # A comment or a string goes on in the completion.
        ("x = 1  # one", " more\ny = 2\nz z\n", False, " more\ny = 2\n"),
        ('"""Some', ' words.\n"""\nx = 1\n', True, ' words.\n"""\nx = 1\n'),
        ('def f():\n    """Some', " words\n    and more\n", False, ""),
        # Drivel after the good lines, drivel before them.
        ("import os", "\nx = 1\nx x x x\nx = 2\n", False, "\nx = 1\n"),
        ("import os", " os os\nx = 1\n", False, ""),
        # Grammar is all that is asked.
        ("def f():", "\n    return undefined\nreturn 1\n", True, None),
    ],
)
def test_parsing_by_hand(prompt: str, completion: str, whole: bool, kept: str | None) -> None:
    parsed = parse_completion(prompt, completion)
    assert parsed.parses_whole is whole
    assert parsed.kept == (completion if kept is None else kept)
    assert parsed.parses_to_a_line is bool(parsed.kept)
    assert parsed.kept_share == (len(parsed.kept) / len(completion) if completion else 0.0)


@pytest.mark.parametrize(
    "source",
    [
        "(" * 30_000,
        "(" * 150 + ")" * 150,
        "[" * 20_000 + "]" * 20_000,
        "-" * 60_000 + "1",
        "not " * 20_000 + "x",
        "x = " + "1 + " * 20_000 + "1",
        "a" + ".b" * 30_000,
        "a" + "()" * 30_000,
        "x if y else " * 20_000 + "z",
        "lambda: " * 20_000 + "z",
        "x = " + "9" * 30_000,
        "x = 1e" + "9" * 30_000,
        "x = '\0'",
        "\0",
        "x = '\ud800'",
        "\ufeffx = 1",
        "x = \\",
        "'''",
        "\x0c",
        "x = 1\x1a",
        "if x:\n" + "".join(" " * k + "if x:\n" for k in range(1, 200)),
        "f'{f\"{x!z}\"}'",
        "\r",
        "x = 1\ry = 2\r",
        "\xa0x = 1",
        "match x:\n case {**_}: pass",
    ],
    ids=range(26),
)
def test_nothing_a_model_writes_breaks_it(source: str) -> None:
    assert parses(source) in (True, False)
    parse_completion("x = 1\n", source[:5000] + "\n")
    identifiers("x = 1\n", source)


@given(st.text(alphabet="ab1(){}[]:=,.\"'#\\ \n\t\r\x0c\0é@", max_size=40), st.integers(0, 40))
def test_any_text_is_read(text: str, cut: int) -> None:
    prompt, completion = text[:cut], text[cut:]
    parsed = parse_completion(prompt, completion)
    assert completion.startswith(parsed.kept)
    assert parsed.kept == "" or (parses(prompt + parsed.kept) and parsed.kept.endswith("\n"))
    assert 0 <= parsed.kept_share <= 1
    assert all(name.isidentifier() for name in identifiers(prompt, completion))


def test_warnings_are_neither_shown_nor_failures() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parses("x = '\\d'\n")
        assert parses("x = 1if y else 2\n")
        assert parses("assert (x, 'always true')\nx is 1\n")


def test_nothing_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(builtins, "reached", lambda: ran.append("ran"), raising=False)
    completion = "\nreached()\n@reached\nclass A:\n    reached()\n"
    measured = measure_code(["import this_does_not_exist"], [completion])
    assert measured.line_rate == 1.0
    assert not ran


@pytest.mark.parametrize(
    ("prompt", "completion", "names"),
    [
        ("def f(x):", "\n    y = g(x)\n    return True", ["y", "g", "x"]),
        # Comments and strings hold no names, closed or open.
        ("", 'x = \'not a name\'  # nor this\n"""nor\nthese', ["x"]),
        ('"""A prompt that', ' goes on"""\nafter = 1\n', ["after"]),
        ("x = [1,", " two, (three", ["two", "three"]),
        # A name that the prompt begins is the completion's, and only its end is there.
        ("import num", "py as np\n", ["numpy", "np"]),
        ("import numpy", " as np\n", ["np"]),
        ("class A:\n    def f(self", "):\n        self.x = 1\n    def g", ["self", "x", "g"]),
        ("match value", ":\n    case 1: pass\n", ["case"]),
        # Indentation that cannot be followed: words from there on.
        ("if x:", "\n        a = 1\n    b = c\n  while d", ["a", "b", "c", "d"]),
        ("if x:\n        a\n    b", "b = c", ["b", "c"]),
        ("größe =", " länge * 2", ["länge"]),
        ("x = 1", "", []),
        ("x", "):):):", []),
    ],
)
def test_identifiers_by_hand(prompt: str, completion: str, names: list[str]) -> None:
    assert identifiers(prompt, completion) == names


@pytest.mark.parametrize("module", [heapq, bisect, keyword])
def test_identifiers_agree_with_the_tree(module: ModuleType) -> None:
    """Every name, attribute, argument, module and definition of the syntax tree."""
    source = inspect.getsource(module)
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            value = getattr(node, field, None)
            found += value.split(".") if isinstance(value, str) else []
    assert set(identifiers("", source)) == set(found) - {"*"}


def test_diversity_by_hand() -> None:
    measured = identifier_diversity([["a", "b", "a"], [], ["c"]])
    assert (measured.identifiers, measured.distinct) == (4, 3)
    assert measured.distinct_share == 3 / 4
    assert measured.guiraud == 3 / 2
    nothing = identifier_diversity([[], []])
    assert (nothing.identifiers, nothing.distinct) == (0, 0)
    assert nothing.distinct_share is None
    assert nothing.guiraud is None


def test_means_over_completions() -> None:
    measured = measure_code(
        ["def f(x):", "import os", "x ="], ["\n    return x\n", "\nos.x\n(", " y"]
    )
    assert [one.parses_whole for one in measured.parsed] == [True, False, True]
    assert measured.whole_rate == pytest.approx(2 / 3)
    assert measured.line_rate == pytest.approx(2 / 3)
    assert measured.mean_kept_share == pytest.approx((1 + 6 / 7 + 0) / 3)
    assert measured.names == identifier_diversity([["x"], ["os", "x"], ["y"]])
    for prompts, completions in ([], []), (["a"], ["b", "c"]):
        with pytest.raises(BadParameter, match="one of each"):
            measure_code(prompts, completions)


DOCUMENT = """'''About.'''
import a
import b
import c

@one
@two(
    3)
def f():
    return 1
x = {
    1: 2,
}
if x: pass
"""


def test_openings_are_first_lines_with_all_that_follows() -> None:
    found = human_openings([DOCUMENT] * 800, 400, np.random.default_rng(0))
    assert len(found) == 400
    lines = DOCUMENT.split("\n")
    for prompt, continuation in found:
        assert DOCUMENT.endswith(prompt + continuation)
        assert continuation.startswith("\n")
        assert parse_completion(prompt, continuation).kept == continuation
    kinds = [prompt.split()[0] for prompt, _ in found]
    # The last statement has no continuation; of the others each kind is as likely.
    assert set(kinds) == {lines[0], "import", "@one", "x"}
    assert all(60 < kinds.count(kind) < 140 for kind in set(kinds))
    assert {prompt for prompt, _ in found} >= {"import a", "import b", "import c"}


def test_openings_of_what_is_no_python() -> None:
    rng = np.random.default_rng(0)
    documents = ["print 'old'\n", "# only words\n", "x = 1\r\ny = 2\r\n", "x = 1\n", ""]
    drawn = {opening for _ in range(30) for opening in human_openings(documents, 9, rng)}
    assert drawn == {("x = 1", "\ny = 2\n")}
    assert human_openings(documents, 0, rng) == []
