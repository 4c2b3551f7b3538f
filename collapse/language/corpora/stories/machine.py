"""A grammar compiled into an acyclic machine: states are choice points, edges are options.

A state is what remains of the grammar together with those earlier choices on which a later
branch still depends. Choices that only fill ``{field}`` holes (a name, a pronoun) do not multiply
the states; they are filled in at the end. So the machine stays small, a story is one walk through
it, and entropies and counts are sums over its states. Edges lead to lower-numbered states only.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from string import Formatter

from collapse.language.corpora.stories.grammar import Case, Choice, Node, Sequence

END = -1
WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


class MalformedGrammarError(ValueError):
    """A grammar that has no meaning; a mistake of who wrote it, not of who uses it."""


def holes(template: str) -> tuple[str, ...]:
    """The fields a template refers to, in order, each as often as it occurs."""
    return tuple(field for _, field, _, _ in Formatter().parse(template) if field)


@dataclass(frozen=True)
class Edge:
    """An option: the text up to the next choice point, the fields it sets, and where it leads."""

    text: str
    fields: Mapping[str, str]
    target: int


@dataclass(frozen=True)
class State:
    """A choice point in its context."""

    name: str
    probabilities: tuple[float, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def entropy_nats(self) -> float:
        """Entropy of this one choice."""
        return -math.fsum(p * math.log(p) for p in self.probabilities)


@dataclass(frozen=True)
class Machine:
    """All states, targets before sources; the walk begins at the last one, after ``prefix``."""

    prefix: str
    states: tuple[State, ...]

    @property
    def start(self) -> int:
        """Index of the first choice point (END where the grammar has no choice at all)."""
        return len(self.states) - 1

    @cached_property
    def cumulative(self) -> tuple[tuple[float, ...], ...]:
        """For each state the inner bounds of its options in [0, 1), for inversion."""
        return tuple(tuple(accumulate(state.probabilities))[:-1] for state in self.states)

    @cached_property
    def reach(self) -> tuple[float, ...]:
        """Probability that a story passes each state (each at most once, as there is no cycle)."""
        reach = [0.0] * len(self.states)
        if reach:
            reach[self.start] = 1.0
        for index in range(self.start, -1, -1):
            state = self.states[index]
            for probability, edge in zip(state.probabilities, state.edges, strict=True):
                if edge.target != END:
                    reach[edge.target] += reach[index] * probability
        return tuple(reach)

    def entropy_nats(self) -> float:
        """Exact entropy of a derivation: by the chain rule, each choice's own times its reach."""
        return math.fsum(
            reach * state.entropy_nats for reach, state in zip(self.reach, self.states, strict=True)
        )

    def derivation_count(self) -> int:
        """Exact number of derivations; of texts, where the grammar is unambiguous."""
        counts: list[int] = []
        for state in self.states:
            counts.append(sum(1 if e.target == END else counts[e.target] for e in state.edges))
        return counts[-1] if counts else 1

    def option_probabilities(self) -> dict[tuple[str, int], float]:
        """For each (choice point, option) the exact probability that a derivation contains it."""
        found: dict[tuple[str, int], float] = {}
        for reach, state in zip(self.reach, self.states, strict=True):
            for option, probability in enumerate(state.probabilities):
                key = (state.name, option)
                found[key] = found.get(key, 0.0) + reach * probability
        return found

    def vocabulary(self) -> frozenset[str]:
        """All words that a story can contain, in lower case."""
        values: dict[str, set[str]] = {}
        for state in self.states:
            for edge in state.edges:
                for field, value in edge.fields.items():
                    values.setdefault(field, set()).add(value)
        words: set[str] = set()
        for template in {self.prefix, *(e.text for s in self.states for e in s.edges)}:
            fields = set(holes(template))
            filler = {field: min(values[field]) for field in fields}
            words.update(WORD.findall(template.format_map(filler).lower()))
            for field in fields:
                for value in values[field]:
                    text = template.format_map({**filler, field: value})
                    words.update(WORD.findall(text.lower()))
        return frozenset(words)

    def fingerprint(self) -> str:
        """SHA-256 over every state, option, weight, text and field."""
        content = [
            [state.name, *([repr(p), e.text, sorted(e.fields.items()), e.target] for p, e in pairs)]
            for state in self.states
            for pairs in [zip(state.probabilities, state.edges, strict=True)]
        ]
        return hashlib.sha256(json.dumps([self.prefix, content]).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class _Rest:
    """What remains to be said: a node, then another rest; and the fields its branches ask for."""

    node: Node
    after: "_Rest | None"
    asks: frozenset[str]


class _Compiler:
    """Turns rests of the grammar into states, each (rest, relevant earlier choices) once."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self._numbers: dict[tuple[int, tuple[tuple[str, str], ...]], int] = {}
        self._rests: dict[tuple[int, int], _Rest] = {}
        self._asks: dict[int, frozenset[str]] = {}
        self._choices: dict[str, Choice] = {}

    def asks(self, node: Node) -> frozenset[str]:
        """Fields on which some branch within the node depends."""
        if isinstance(node, str):
            return frozenset()
        if id(node) not in self._asks:
            if isinstance(node, Sequence):
                inner, own = node.parts, frozenset[str]()
            elif isinstance(node, Choice):
                inner, own = tuple(option.node for option in node.options), frozenset()
            else:
                inner, own = tuple(node.branches.values()), frozenset([node.field])
            self._asks[id(node)] = own.union(*map(self.asks, inner))
        return self._asks[id(node)]

    def then(self, node: Node, after: _Rest | None) -> _Rest:
        """The rest that says the node first; one object for one meaning, so that states meet."""
        key = (id(node), id(after))
        if key not in self._rests:
            later = after.asks if after else frozenset[str]()
            self._rests[key] = _Rest(node, after, self.asks(node) | later)
        return self._rests[key]

    def advance(self, rest: _Rest | None, context: Mapping[str, str]) -> tuple[str, _Rest | None]:
        """The text up to the next choice point, and the rest that begins with it."""
        texts: list[str] = []
        while rest is not None and not isinstance(rest.node, Choice):
            node, rest = rest.node, rest.after
            if isinstance(node, str):
                texts.append(node)
            elif isinstance(node, Case):
                rest = self.then(_branch(node, context), rest)
            else:
                for part in reversed(node.parts):
                    rest = self.then(part, rest)
        return "".join(texts), rest

    def number(self, rest: _Rest | None, context: Mapping[str, str]) -> int:
        """The number of the state for this rest in this context; built if it is new."""
        if rest is None:
            return END
        known = tuple(sorted((f, context[f]) for f in rest.asks if f in context))
        key = (id(rest), known)
        if key not in self._numbers:
            state = self.build(rest, dict(known))
            self._numbers[key] = len(self.states)
            self.states.append(state)
        return self._numbers[key]

    def build(self, rest: _Rest, context: Mapping[str, str]) -> State:
        """The state of a rest that begins with a choice."""
        node = rest.node
        assert isinstance(node, Choice)
        if self._choices.setdefault(node.name, node) is not node:
            raise MalformedGrammarError(f"two different choice points are named {node.name!r}")
        edges = []
        for option in node.options:
            inner = {**context, **option.fields}
            text, following = self.advance(self.then(option.node, rest.after), inner)
            # A field that the option sets itself is filled in here, once, not in every story.
            own = {field: option.fields.get(field, "{" + field + "}") for field in holes(text)}
            edges.append(Edge(text.format_map(own), option.fields, self.number(following, inner)))
        return State(node.name, tuple(o.probability for o in node.options), tuple(edges))


def _branch(node: Case, context: Mapping[str, str]) -> Node:
    value = context.get(node.field)
    if value is None or value not in node.branches:
        raise MalformedGrammarError(f"no branch for {node.field} = {value!r}")
    return node.branches[value]


def _check_walks(machine: Machine) -> None:
    """Every hole is filled, and no choice point or field comes twice, on every walk."""
    met: list[set[str] | None] = [None] * len(machine.states)  # on some walk to the state
    filled: list[set[str] | None] = [None] * len(machine.states)  # on every walk to it
    if holes(machine.prefix):
        raise MalformedGrammarError(f"nothing sets a field of {machine.prefix!r}")
    for index in range(machine.start, -1, -1):
        state = machine.states[index]
        before, sure = met[index] or set(), filled[index] or set()
        for edge in state.edges:
            fresh = {"choice " + state.name, *edge.fields}
            if again := before & fresh:
                raise MalformedGrammarError(f"set twice in one story: {sorted(again)}")
            if unset := set(holes(edge.text)) - sure:
                raise MalformedGrammarError(f"nothing sets {sorted(unset)} in {edge.text!r}")
            if edge.target != END:
                met[edge.target] = (met[edge.target] or set()) | before | fresh
                known = filled[edge.target]
                now = sure | set(edge.fields)
                filled[edge.target] = now if known is None else known & now


def compile_grammar(root: Node) -> Machine:
    """Compiles a grammar.

    Args:
        root: the node that says a whole story.

    Returns:
        The machine that makes exactly the same derivations.

    Raises:
        MalformedGrammarError: a hole or a branch asks for a field that may be unset, one story
            could pass a choice point or set a field twice, or two choice points share a name.
    """
    compiler = _Compiler()
    prefix, rest = compiler.advance(compiler.then(root, None), {})
    compiler.number(rest, {})
    machine = Machine(prefix, tuple(compiler.states))
    _check_walks(machine)
    return machine
