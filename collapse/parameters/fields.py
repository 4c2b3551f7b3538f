"""A parameter: a dataclass field with a help line, a check, and what it means to identity."""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What a value must be.

    Attributes:
        check: true for a value in range.
        right: what would be right, to end the sentence "must be ...".
    """

    check: Callable[[Any], bool]
    right: str


ANYTHING = Rule(lambda _: True, "anything")


@dataclass(frozen=True)
class About:
    """What a field tells beside its type and default.

    Attributes:
        help: one line, lower case, with the unit.
        rule: what its value must be.
        setting: True where a study file may set it; such a parameter may also be given as
            ``study``, which means "as the study says".
        identity: False where the value does not change what a stage computes.
    """

    help: str
    rule: Rule
    setting: bool
    identity: bool


def setting(default: Any, help: str, rule: Rule = ANYTHING, *, identity: bool = True) -> Any:
    """A parameter that a study file may set."""
    about = About(help, rule, setting=True, identity=identity)
    return field(default=default, metadata={"about": about})


def option(default: Any, help: str, rule: Rule = ANYTHING, *, identity: bool = False) -> Any:
    """A parameter of one call, which a study file does not set."""
    about = About(help, rule, setting=False, identity=identity)
    return field(default=default, metadata={"about": about})


def about(one: Field) -> About:
    """The metadata of a field made by `setting` or `option`."""
    return one.metadata["about"]


def parameter_fields(door: type) -> dict[str, Field]:
    """The parameters of a door by name: those of one call first, then the settings."""
    known = [one for one in fields(door) if "about" in one.metadata]
    return {one.name: one for one in sorted(known, key=lambda one: about(one).setting)}


def identity_of(parameters: Any) -> dict[str, object]:
    """The parameters of a stage that change what it computes: those of its own groups."""
    door = type(parameters)
    own = {name for group in door.OWN for name in parameter_fields(group)}
    bases = [base for base in door.__mro__[1:] if is_dataclass(base)]
    inherited = {name for base in bases for name in parameter_fields(base)}
    return {
        name: getattr(parameters, name)
        for name, one in parameter_fields(door).items()
        if about(one).identity and (name in own or name not in inherited)
    }


def settings_of(parameters: Any) -> dict[str, object]:
    """Every parameter of a door that changes some result, whatever stage computes it."""
    fields = parameter_fields(type(parameters))
    return {name: getattr(parameters, name) for name, one in fields.items() if about(one).identity}


def default_of(one: Field) -> Any:
    """The default of a parameter; every parameter has one."""
    if one.default is MISSING:
        raise TypeError(f"parameter {one.name} has no default")
    return one.default


POSITIVE = Rule(lambda value: value > 0, "above 0")
NOT_NEGATIVE = Rule(lambda value: value >= 0, "0 or more")
LEAST_TEMPERATURE = 1e-6
"""Logits over less leave the range of float32; such a draw would be the likeliest token anyway."""
TEMPERATURE = Rule(
    lambda value: value == 0 or value >= LEAST_TEMPERATURE,
    f"0 or more, and if it is more at least {LEAST_TEMPERATURE:g}",
)
FRACTION = Rule(lambda value: 0 <= value <= 1, "from 0 to 1")
SHARE = Rule(lambda value: 0 < value <= 1, "above 0 and at most 1")
SEEDS = Rule(lambda value: 1 <= value <= 40, "from 1 to 40")
LAST_GENERATION = 1000
"""Of a chain at most: each generation is a run, and a plan lists them all beforehand."""
GENERATIONS = Rule(lambda value: 0 <= value <= LAST_GENERATION, f"from 0 to {LAST_GENERATION}")
ODD_OR_NONE = Rule(
    lambda value: value == 0 or (value >= 5 and value % 2 == 1), "odd and 5 or more, or 0 for none"
)


def up_to(most: int) -> Rule:
    """A number from 1 on, of what is made or held in memory all at once."""
    return Rule(lambda value: 1 <= value <= most, f"from 1 to {most}")


def at_least(least: int) -> Rule:
    """A number from `least` on."""
    return Rule(lambda value: value >= least, f"{least} or more")


def one_of(*names: str) -> Rule:
    """A choice among names."""
    return Rule(lambda value: value in names, "one of " + ", ".join(names))


def is_name(value: str) -> bool:
    """True for a name that may stand in an experiment, a registered model and a path."""
    return bool(value) and all(c.isalnum() or c in "-_" for c in value)


def _is_line(value: str) -> bool:
    return bool(value.strip()) and value.isprintable() and _is_of_a_known_user(value)


def _is_of_a_known_user(path: str) -> bool:
    try:
        Path(path).expanduser()
    except RuntimeError:
        return False
    return True


def _is_study(value: str) -> bool:
    return bool(value) and (Path(value).suffix in {".yaml", ".yml"} or is_name(value))


def numbers(text: str) -> list[float]:
    """The numbers of a list separated by commas; none for an empty one.

    Raises:
        ValueError: something in it is no number.
    """
    return [float(word) for word in text.split(",")] if text else []


def _rising(least: float, most: float) -> Callable[[str], bool]:
    """True for a list of numbers in a range, each larger than the one before."""

    def check(text: str) -> bool:
        try:
            found = numbers(text)
        except ValueError:
            return False
        in_range = all(least <= number <= most for number in found)
        return in_range and all(a < b for a, b in pairwise(found))

    return check


def _are_percents(text: str) -> bool:
    """True for rising percentages, one of which prunes something."""
    return bool(text) and _rising(0, 90)(text) and numbers(text)[-1] > 0


def _are_names(text: str) -> bool:
    names = text.split(",")
    return all(map(is_name, names)) and len(set(names)) == len(names)


def _are_strategies(value: str) -> bool:
    return value == "auto" or set(value.split(",")) <= {"svd", "gamma", "random"}


def _are_parts_of_names(value: str) -> bool:
    return not value or all(word.replace(".", "_").isidentifier() for word in value.split(","))


def ways_of_decoding(text: str) -> list[tuple[float, int, float]]:
    """Temperature, top-k and top-p of each of a list ``T/K/P,...``; none for an empty one.

    Raises:
        ValueError: something in it is not so.
    """
    found = []
    for word in text.split(",") if text else []:
        temperature, top_k, top_p = word.split("/")
        found.append((float(temperature), int(top_k), float(top_p)))
    return found


def _are_decodings(text: str) -> bool:
    try:
        found = ways_of_decoding(text)
    except ValueError:
        return False
    return all(LEAST_TEMPERATURE <= t < 100 and k >= 0 and 0 < p <= 1 for t, k, p in found)


NAME = Rule(is_name, "letters, digits, - and _")
NAMES = Rule(_are_names, "names separated by commas, none of them twice")
LINE = Rule(_is_line, "a name or a path, of a user who is known here where it begins with ~")
TOKEN_COUNTS = Rule(_rising(0, 1e15), "rising numbers of tokens separated by commas")
PERCENTS = Rule(
    _are_percents, "rising percentages from 0 to 90 separated by commas, one above 0 at least"
)
STRATEGIES = Rule(_are_strategies, "auto, or some of svd, gamma, random separated by commas")
DECODINGS = Rule(
    _are_decodings, "TEMPERATURE/TOP_K/TOP_P, such as 0.8/50/1, several separated by commas"
)
FREEZE = Rule(_are_parts_of_names, "parts of parameter names separated by commas")
STUDY = Rule(_is_study, "letters, digits, - and _, or a path that ends in .yaml")
