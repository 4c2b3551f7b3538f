"""What a grammar is written in: texts, sequences, choices, and branches on what was chosen before.

A node is one of

    str       literal text; ``{field}`` stands for a field that an earlier choice has set
    Sequence  its parts, one after another
    Choice    a named choice point: one option is drawn, sets its fields, and goes on as its node
    Case      no choice: goes on as the branch that belongs to a field set before

Fields stay set from the choice to the end of the story, so that a name, a pronoun or an object
chosen in the first sentence is at hand in the last. The content lives elsewhere; `machine`
compiles a grammar into tables from which everything else is computed.
"""

from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Sequence:
    """Parts that follow each other in the text."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, eq=False)
class Option:
    """One way out of a choice point: its probability, the fields it sets, and what it says."""

    probability: float
    fields: Mapping[str, str]
    node: "Node"


@dataclass(frozen=True, eq=False)
class Choice:
    """A named choice point; the probabilities of its options sum to one."""

    name: str
    options: tuple[Option, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """The branch that belongs to the value of a field; consumes no randomness."""

    field: str
    branches: Mapping[str, "Node"]


Node: TypeAlias = str | Sequence | Choice | Case


def zipf_probabilities(count: int, slope: float) -> tuple[float, ...]:
    """Zipf's law over ranks 1 to ``count``: probabilities proportional to rank ** -slope."""
    weights = [rank**-slope for rank in range(1, count + 1)]
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def seq(*parts: Node) -> Sequence:
    """Parts that follow each other."""
    return Sequence(parts)


def choice(name: str, *nodes: "Node | Setting", slope: float = 1.3) -> Choice:
    """A choice between nodes, the most frequent first, by Zipf's law with this slope."""
    options = [node if isinstance(node, Setting) else Setting(NO_FIELDS, node) for node in nodes]
    probabilities = zipf_probabilities(len(nodes), slope)
    return Choice(
        name,
        tuple(
            Option(p, option.fields, option.node)
            for p, option in zip(probabilities, options, strict=True)
        ),
    )


@dataclass(frozen=True, eq=False)
class Setting:
    """A node that, as an option of a choice, sets fields too."""

    fields: Mapping[str, str]
    node: "Node"


def setting(node: "Node", **fields: str) -> Setting:
    """An option that sets these fields and goes on as the node."""
    return Setting(fields, node)


def maybe(name: str, probability: float, node: Node) -> Choice:
    """The node with this probability (option 0), nothing otherwise (option 1)."""
    return Choice(
        name, (Option(probability, NO_FIELDS, node), Option(1 - probability, NO_FIELDS, ""))
    )


def bind(name: str, header: str, *rows: SequenceOf[str], slope: float = 1.3) -> Choice:
    """A choice of a row that sets fields and says nothing by itself.

    Args:
        name: of the choice point.
        header: the fields' names, separated by spaces.
        *rows: the fields' values, one row an option, the most frequent first.
        slope: of Zipf's law over the rows.

    Returns:
        The choice point; the text that follows it uses the fields as ``{field}``.
    """
    names = header.split()
    probabilities = zipf_probabilities(len(rows), slope)
    fields = [dict(zip(names, row, strict=True)) for row in rows]
    return Choice(name, tuple(map(Option, probabilities, fields, [""] * len(rows))))
