import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations, pairwise, product, takewhile
from string import Formatter

import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.language.corpora.stories import RARE_BELOW, Derivation, world
from collapse.language.corpora.stories.content import story
from collapse.language.corpora.stories.derivation import Recogniser, Sampler
from collapse.language.corpora.stories.grammar import (
    Case,
    Choice,
    Node,
    Sequence,
    bind,
    choice,
    maybe,
    seq,
    setting,
)
from collapse.language.corpora.stories.machine import (
    END,
    Edge,
    Machine,
    MalformedGrammarError,
    compile_grammar,
)

STORIES = world("stories")
STORY = story()

WHO = bind("who", "who she", ("Ann", "she"), ("Bob", "he"), ("Cy", "he"), slope=1.3)
TINY = seq(
    "So ",
    WHO,
    choice(
        "did",
        setting(seq("{who} ran", maybe("far", 0.3, " far")), deed="run"),
        setting("{who} sat", deed="sit"),
        slope=0.7,
    ),
    ". ",
    Case("deed", {"run": choice("end.run", "{who} won.", "{she} fell."), "sit": "{she} slept."}),
)
AMBIGUOUS = seq("A", choice("first", " big", " big red"), choice("second", " red cat.", " cat."))


def parses(
    node: Node, text: str, at: int, known: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, str], float]]:
    """All ways to read a beginning of text[at:] as the node: (end, fields, probability).

    Reads the grammar itself, and knows nothing of the compiled machine.
    """
    if isinstance(node, str):
        said = node.format_map(known)
        if text.startswith(said, at):
            yield at + len(said), dict(known), 1.0
    elif isinstance(node, Case):
        yield from parses(node.branches[known[node.field]], text, at, known)
    elif isinstance(node, Choice):
        for option in node.options:
            for end, after, p in parses(option.node, text, at, {**known, **option.fields}):
                yield end, after, p * option.probability
    else:
        yield from parts(node.parts, text, at, known)


def parts(
    nodes: tuple[Node, ...], text: str, at: int, known: Mapping[str, str]
) -> Iterator[tuple[int, dict[str, str], float]]:
    if not nodes:
        yield at, dict(known), 1.0
        return
    for middle, between, p in parses(nodes[0], text, at, known):
        for end, after, q in parts(nodes[1:], text, middle, between):
            yield end, after, p * q


def readings(node: Node, text: str) -> list[float]:
    """The probability of each derivation of the whole text."""
    return [p for end, _, p in parses(node, text, 0, {}) if end == len(text)]


def tellings(node: Node, known: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str], float]]:
    """All derivations of the node, by expanding the grammar: (text, fields, probability)."""
    if isinstance(node, str):
        yield node.format_map(known), dict(known), 1.0
    elif isinstance(node, Case):
        yield from tellings(node.branches[known[node.field]], known)
    elif isinstance(node, Choice):
        for option in node.options:
            for text, after, p in tellings(option.node, {**known, **option.fields}):
                yield text, after, p * option.probability
    elif not node.parts:
        yield "", dict(known), 1.0
    else:
        for text, between, p in tellings(node.parts[0], known):
            for more, after, q in tellings(Sequence(node.parts[1:]), between):
                yield text + more, after, p * q


@dataclass(frozen=True)
class Walk:
    """What a walk has said beyond the other, where it is, and the fields in which it differs."""

    said: tuple[str, ...]
    target: int
    fields: frozenset[tuple[str, str]]


def ambiguous_pair(compiled: Machine) -> tuple[str, int, int] | None:
    """A choice point and two of its options that may lead to one text; None: there is no such text.

    Walks both options side by side through all pairs of states, as far as what one says is a
    beginning of what the other says. A field that both walks hold alike is compared by name; where
    it meets other words, any of its values counts. So None is a proof for the whole grammar.
    """
    rows = [
        dict(pairs)
        for pairs in {
            tuple(sorted(edge.fields.items())) for state in compiled.states for edge in state.edges
        }
    ]
    for state in compiled.states:
        for i, j in combinations(range(len(state.edges)), 2):
            if may_meet(compiled, rows, (state.edges[i], state.edges[j])):
                return state.name, i, j
    return None


@cache
def spell(template: str, fields: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    """Single letters, and holes as "{field}" where the walks do not differ in the field."""
    known, letters = dict(fields), list[str]()
    for literal, field, _, _ in Formatter().parse(template):
        letters.extend(literal)
        if field:
            letters.extend(known[field] if field in known else ["{" + field + "}"])
    return tuple(letters)


def unsaid(
    a: tuple[str, ...], b: tuple[str, ...], rows: list[dict[str, str]]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What is left of each after their common beginning; None where they cannot agree."""
    at = 0
    while at < len(a) and at < len(b) and a[at] == b[at]:
        at += 1
    a, b = a[at:], b[at:]
    if not a or not b:
        return a, b
    if is_letter(a[0]) and is_letter(b[0]):
        return None
    for known in settings({sign[1:-1] for sign in (a[0], b[0]) if not is_letter(sign)}, rows):
        one, two = beginning(a, known), beginning(b, known)
        if one.startswith(two) or two.startswith(one):
            raise Undecided(f"{a} or {b}")
    return None


def settings(fields: set[str], rows: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """All values these fields can have at once: those of one row, or any of each."""
    together = [row for row in rows if fields <= row.keys()]
    each = [[{f: row[f]} for row in rows if f in row] for f in sorted(fields)]
    yield from together or (
        {k: v for one in ones for k, v in one.items()} for ones in product(*each)
    )


def beginning(signs: tuple[str, ...], known: dict[str, str]) -> str:
    """The first sign, spelt out, and the letters that follow it."""
    first = signs[0] if is_letter(signs[0]) else known[signs[0][1:-1]]
    return first + "".join(takewhile(is_letter, signs[1:]))


class Undecided(Exception):
    pass


def is_letter(sign: str) -> bool:
    return len(sign) == 1


def may_meet(compiled: Machine, rows: list[dict[str, str]], edges: tuple[Edge, Edge]) -> bool:
    nothing = Walk((), END, frozenset())
    seen = {level(follow(nothing, edges[0]), follow(nothing, edges[1]), rows)}
    stack = [pair for pair in seen if pair is not None]
    while stack:
        one, two = stack.pop()
        if one.target == two.target == END and one.said == two.said:
            return True
        for pair in onward(compiled, one, two):
            levelled = level(*pair, rows)
            if levelled is not None and levelled not in seen:
                seen.add(levelled)
                stack.append(levelled)
    return False


def follow(walk: Walk, edge: Edge) -> Walk:
    said = walk.said + spell(edge.text, walk.fields)
    return Walk(said, edge.target, walk.fields | frozenset(edge.fields.items()))


def onward(compiled: Machine, one: Walk, two: Walk) -> Iterator[tuple[Walk, Walk]]:
    """One step of the walk that has said less; of two that are level, of the one behind."""
    if not one.said and one.target != END and (two.said or one.target >= two.target):
        yield from ((follow(one, edge), two) for edge in compiled.states[one.target].edges)
    elif not two.said and two.target != END:
        yield from ((one, follow(two, edge)) for edge in compiled.states[two.target].edges)


def level(one: Walk, two: Walk, rows: list[dict[str, str]]) -> tuple[Walk, Walk] | None:
    """The walks without what they have in common; None where they have said different things."""
    left = unsaid(one.said, two.said, rows)
    if left is None:
        return None
    common = one.fields & two.fields
    return (
        Walk(left[0], one.target, one.fields - common),
        Walk(left[1], two.target, two.fields - common),
    )


@pytest.fixture(scope="module")
def derivations() -> list[Derivation]:
    return STORIES.sample_derivations(10_000, np.random.default_rng(20))


# --- the engine, on grammars small enough to expand ---------------------------------------------


def test_tiny_grammar_by_hand() -> None:
    # P("So Bob sat. he slept.") = P(second of three at slope 1.3) * P(second of two at slope 0.7)
    bob = 2**-1.3 / (1 + 2**-1.3 + 3**-1.3)
    sat = 2**-0.7 / (1 + 2**-0.7)
    found = Recogniser(compile_grammar(TINY))("So Bob sat. he slept.")
    assert found is not None
    assert found.choices == (("who", 1), ("did", 1))
    assert found.log_probability_nats == pytest.approx(math.log(bob * sat), abs=1e-12)


def test_tiny_grammar_against_expansion() -> None:
    compiled = compile_grammar(TINY)
    told = {text: p for text, _, p in tellings(TINY, {})}
    assert len(told) == 3 * (2 * 2 + 1) == compiled.derivation_count()
    assert math.fsum(told.values()) == pytest.approx(1, abs=1e-12)
    entropy = -math.fsum(p * math.log(p) for p in told.values())
    assert compiled.entropy_nats() == pytest.approx(entropy, abs=1e-12)
    recogniser = Recogniser(compiled)
    for text, p in told.items():
        found = recogniser(text)
        assert found is not None
        assert found.log_probability_nats == pytest.approx(math.log(p), abs=1e-12)
    words = {word.strip(".").lower() for text in told for word in text.split()}
    assert compiled.vocabulary() == words


def test_tiny_grammar_option_probabilities() -> None:
    compiled = compile_grammar(TINY)
    recogniser = Recogniser(compiled)
    expected: dict[tuple[str, int], float] = {}
    for text, _, p in tellings(TINY, {}):
        found = recogniser(text)
        assert found is not None
        for pair in found.choices:
            expected[pair] = expected.get(pair, 0.0) + p
    assert compiled.option_probabilities() == pytest.approx(expected, abs=1e-12)


def test_tiny_grammar_is_sampled_with_its_probabilities() -> None:
    draws = 50_000
    texts = Sampler(compile_grammar(TINY)).texts(draws, np.random.default_rng(3))
    for text, _, p in tellings(TINY, {}):
        assert texts.count(text) / draws == pytest.approx(p, abs=5 * math.sqrt(p / draws))


def test_ambiguity_is_found() -> None:
    compiled = compile_grammar(AMBIGUOUS)
    assert len(readings(AMBIGUOUS, "A big red cat.")) == 2
    assert compiled.derivation_count() == 4
    assert len({text for text, _, _ in tellings(AMBIGUOUS, {})}) == 3
    assert ambiguous_pair(compiled) == ("first", 0, 1)
    same_name = bind("who", "who", ("Ann",), ("Bob",), ("Ann",))
    assert ambiguous_pair(compile_grammar(seq(same_name, "{who} ran."))) == ("who", 0, 2)
    assert ambiguous_pair(compile_grammar(seq(same_name, choice("x", "One ", "Two "), "{who}.")))
    assert ambiguous_pair(compile_grammar(TINY)) is None
    # "{who} ran" is "Ann ran" where Ann was chosen: a hole may spell what another option says.
    hidden = seq(
        bind("who", "who", ("Ann",), ("Bob",)), "{who}: ", choice("x", "{who}", "Ann"), "!"
    )
    assert len(readings(hidden, "Ann: Ann!")) == 2
    with pytest.raises(Undecided):
        ambiguous_pair(compile_grammar(hidden))


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        (seq(choice("a", "x", "y"), "{who}"), "nothing sets"),
        (seq(choice("a", "x", setting("y", who="Ann")), choice("b", "{who}", "z")), "nothing sets"),
        (seq(choice("a", "x", "y"), choice("a", "p", "q")), "two different"),
        (seq(WHO, "{who}", WHO), "set twice"),
        (seq(choice("a", "x", "y"), Case("who", {"Ann": "z"})), "no branch"),
    ],
)
def test_malformed_grammars_are_refused(grammar: Node, message: str) -> None:
    with pytest.raises(MalformedGrammarError, match=message):
        compile_grammar(grammar)


# --- the stories --------------------------------------------------------------------------------


def test_entropy_is_the_mean_surprise(derivations: list[Derivation]) -> None:
    surprise = np.array([-found.log_probability_nats for found in derivations])
    standard_error = surprise.std(ddof=1) / math.sqrt(len(surprise))
    assert standard_error < 0.05
    assert abs(surprise.mean() - STORIES.entropy_nats()) < 2 * standard_error


def test_recognise_returns_what_was_drawn(derivations: list[Derivation]) -> None:
    for drawn in derivations:
        assert STORIES.recognise(drawn.text) == drawn


def test_sample_draws_the_texts_of_the_derivations() -> None:
    texts = STORIES.sample(500, np.random.default_rng(8))
    drawn = STORIES.sample_derivations(500, np.random.default_rng(8))
    assert texts == [found.text for found in drawn]
    assert texts != STORIES.sample(500, np.random.default_rng(9))
    assert texts[:100] == STORIES.sample(100, np.random.default_rng(8))


def test_one_derivation_by_a_parser_of_its_own(derivations: list[Derivation]) -> None:
    for drawn in derivations[:300]:
        found = readings(STORY, drawn.text)
        assert len(found) == 1
        assert math.log(found[0]) == pytest.approx(drawn.log_probability_nats, abs=1e-9)


def test_no_text_has_two_derivations_at_all() -> None:
    assert ambiguous_pair(STORIES.machine) is None


def test_each_choice_is_drawn_as_often_as_computed(derivations: list[Derivation]) -> None:
    counts: dict[tuple[str, int], int] = {}
    for drawn in derivations:
        assert len(set(drawn.choices)) == len(drawn.choices)
        for pair in drawn.choices:
            counts[pair] = counts.get(pair, 0) + 1
    probabilities = STORIES.machine.option_probabilities()
    expected = np.array(list(probabilities.values())) * len(derivations)
    observed = np.array([counts.get(pair, 0) for pair in probabilities])
    assert set(counts) <= set(probabilities)
    # Under the truth each term has mean 1 - p; 5 standard deviations of the largest of hundreds.
    assert np.abs((observed - expected) / np.sqrt(expected)).max() < 5
    assert np.mean((observed - expected) ** 2 / expected) == pytest.approx(1, abs=0.35)


def test_a_swapped_word_never_keeps_the_derivation(derivations: list[Derivation]) -> None:
    rng = np.random.default_rng(5)
    words = sorted(STORIES.vocabulary())
    refused = 0
    for drawn in derivations[:3000]:
        tokens = drawn.text.split(" ")
        at = int(rng.integers(len(tokens)))
        word = words[int(rng.integers(len(words)))]
        if word == tokens[at]:
            continue
        changed = " ".join([*tokens[:at], word, *tokens[at + 1 :]])
        found = STORIES.recognise(changed)
        assert (found is not None) == bool(readings(STORY, changed) if found else False)
        assert found is None or (found.text == changed and found.choices != drawn.choices)
        refused += found is None
    assert refused > 2900


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text + " ",
        lambda text: " " + text,
        lambda text: text[:-1],
        lambda text: text + text,
        lambda text: text.replace(" ", "  ", 1),
        lambda text: text.upper(),
        lambda text: text + "{hero}",
        lambda text: "",
    ],
)
def test_almost_stories_are_refused(
    damage: Callable[[str], str], derivations: list[Derivation]
) -> None:
    for drawn in derivations[:200]:
        assert STORIES.recognise(damage(drawn.text)) is None


def test_a_wrong_pronoun_or_name_is_refused() -> None:
    assert STORIES.recognise("Lily lost her ball.") is None
    told = next(
        text
        for text in STORIES.sample(5000, np.random.default_rng(0))
        if text.startswith("One day, Lily lost her ")
    )
    assert STORIES.recognise(told) is not None
    assert STORIES.recognise(told.replace(" her ", " his ", 1)) is None
    assert STORIES.recognise(told.replace("Lily", "Tom", 1)) is None


def test_size() -> None:
    assert STORIES.story_count() > 10**12
    assert len(STORIES.vocabulary()) > 300
    texts = STORIES.sample(2000, np.random.default_rng(4))
    assert len(set(texts)) > 1980
    assert 40 < np.mean([len(text.split()) for text in texts]) < 60
    assert max(len(text.split()) for text in texts) < 90


def test_english_of_the_surface(derivations: list[Derivation]) -> None:
    for drawn in derivations:
        text = drawn.text
        assert "  " not in text
        assert text[-1] in '.!?"'
        assert text[0].isupper() or text[0] == '"'
        assert text.count('"') % 2 == 0
        assert text.isascii()
        words = text.replace('"', "").split()
        for article, word in pairwise(words):
            if article in {"a", "A"}:
                assert word[0] not in "aeiou" or word.startswith(("one", "use"))
            if article in {"an", "An"}:
                assert word[0] in "aeiou"


def test_words_of_the_vocabulary_are_the_words_of_the_stories() -> None:
    texts = STORIES.sample(60_000, np.random.default_rng(6))
    seen = {word.strip('.,!?":') for text in texts for word in text.lower().split()}
    assert seen == STORIES.vocabulary()


# --- the tail -----------------------------------------------------------------------------------


def test_tail_is_worth_watching() -> None:
    rare = STORIES.tail()
    assert len(rare) >= 60
    assert all(0.0002 < choice.probability < RARE_BELOW for choice in rare)
    assert len(STORIES.tail(0.02)) > len(rare)


def test_tail_coverage_is_one_under_the_truth() -> None:
    coverages = [
        STORIES.tail_coverage(STORIES.sample_derivations(1000, np.random.default_rng(k)), 1000)
        for k in range(40)
    ]
    assert np.mean(coverages) == pytest.approx(1, abs=0.05)


def test_tail_coverage_of_the_most_frequent_half(derivations: list[Derivation]) -> None:
    by_frequency = sorted(derivations, key=lambda found: -found.log_probability_nats)
    frequent = by_frequency[: len(by_frequency) // 2]
    rng = np.random.default_rng(0)
    chosen = [frequent[k] for k in rng.choice(len(frequent), 2000, replace=False)]
    assert STORIES.tail_coverage(chosen, 2000) < 0.8


def test_tail_coverage_and_shares_by_hand() -> None:
    rare = STORIES.tail()
    one = Derivation("", ((rare[0].name, rare[0].option), ("hero", 0)), 0.0)
    shares = STORIES.rare_shares([one, one], 4)
    assert shares[rare[0]] == 0.5
    assert sum(shares.values()) == 0.5
    expected = sum(1 - (1 - choice.probability) ** 4 for choice in rare)
    assert STORIES.tail_coverage([one, one], 4) == pytest.approx(1 / expected)
    assert STORIES.tail_coverage([], 4) == 0


def test_bad_numbers_are_named() -> None:
    with pytest.raises(BadParameter, match="-3"):
        STORIES.sample(-3, np.random.default_rng(0))
    with pytest.raises(BadParameter, match="0 texts"):
        STORIES.tail_coverage([], 0)
    with pytest.raises(BadParameter, match="1 texts cannot hold 2"):
        STORIES.rare_shares(STORIES.sample_derivations(2, np.random.default_rng(0)), 1)
    with pytest.raises(BadParameter, match=r"1\.5"):
        STORIES.tail(1.5)
    with pytest.raises(BadParameter, match="no choice"):
        STORIES.tail(1e-9)


# --- the fingerprint ----------------------------------------------------------------------------


def test_fingerprint_sees_every_change() -> None:
    base = compile_grammar(choice("a", "x", "y", "z")).fingerprint()
    others: list[Node] = [
        choice("a", "x", "y", "w"),
        choice("a", "y", "x", "z"),
        choice("b", "x", "y", "z"),
        choice("a", "x", "y", "z", slope=1.01),
        choice("a", "x", "y", setting("z", who="Ann")),
        seq("A", choice("a", "x", "y", "z")),
    ]
    prints = [compile_grammar(grammar).fingerprint() for grammar in others]
    assert len({base, *prints}) == 1 + len(others)
    assert compile_grammar(choice("a", "x", "y", "z")).fingerprint() == base
    assert STORIES.fingerprint() == compile_grammar(story()).fingerprint()
