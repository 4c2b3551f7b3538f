"""From the words of a command line, and a study file beneath them, to a door's dataclass."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import Field
from typing import Any, TypeVar

from collapse.errors import BadParameter
from collapse.parameters.fields import about, default_of, parameter_fields
from collapse.parameters.yaml_text import LONGEST_SHOWN, shown

Door = TypeVar("Door")

AS_THE_STUDY_SAYS = "study"
"""Given for a setting, this word means: what the study file says, or else the default."""
MOST_LISTED = 20
"""Known names that fit into one clear line."""


def read_arguments(door: type, words: Sequence[str]) -> dict[str, str]:
    """The parameters given on a command line, as text.

    Args:
        door: dataclass of the door.
        words: ``--key value`` or ``--key=value``; MLflow passes both.

    Returns:
        Parameter name to text, without those left "as the study says".

    Raises:
        BadParameter: an unknown key, a key without a value or given twice, or a word that is no
            key.
    """
    known = parameter_fields(door)
    given: dict[str, str] = {}
    seen: set[str] = set()
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise BadParameter(f"unexpected word {shown(word)}: write --parameter value")
        key, equals, text = word[2:].partition("=")
        key = key.replace("-", "_")
        require_known(key, known)
        if key in seen:
            raise BadParameter(f"--{key} is given twice: give it once")
        seen.add(key)
        if not equals:
            if not rest:
                raise BadParameter(f"--{key} has no value: write --{key} VALUE")
            text = rest.pop(0)
        if not (about(known[key]).setting and text == AS_THE_STUDY_SAYS):
            given[key] = text
    return given


def require_known(key: str, known: Mapping[str, Field]) -> None:
    """Raise BadParameter, with the nearest known name, for a key that is not known."""
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        some = ", ".join(known) if len(known) <= MOST_LISTED else "those that --help lists"
        hint = f"did you mean {near[0]}?" if near else f"known are {some}"
        raise BadParameter(f"unknown parameter {shown(key)}: {hint}")


def value_of(one: Field, given: object) -> Any:
    """The checked value of a parameter from text, or from what a YAML file holds.

    Raises:
        BadParameter: not of the parameter's type, or out of its range.
    """
    if given is None or isinstance(given, list | dict):
        what = "empty" if given is None else shown(given)
        raise BadParameter(f"{one.name} is {what}: write one value")
    value = _convert(one, given)
    if not about(one).rule.check(value):
        wrong = "not allowed" if isinstance(value, str) else "out of range"
        raise BadParameter(f"{_named(one, given)} is {wrong}: must be {about(one).rule.right}")
    return value


def _named(one: Field, given: object) -> str:
    """``name=value`` as it may stand in one line."""
    text = str(given)
    is_plain = text.isprintable() and text.strip() and len(text) <= LONGEST_SHOWN
    return f"{one.name}={text if is_plain else shown(text)}"


def _convert(one: Field, given: object) -> Any:
    kind = type(default_of(one))
    text = str(given).strip()
    if kind is bool:
        if text.lower() not in {"true", "false", "1", "0", "yes", "no"}:
            raise BadParameter(f"{one.name}={shown(given)} is not true or false")
        return text.lower() in {"true", "1", "yes"}
    if kind is str:
        return text
    words = {int: "a whole number", float: "a number"}
    try:
        return int(text) if kind is int else _finite(text)
    except ValueError:
        pass
    try:  # 100.0 and 1e5 are whole numbers too
        if kind is int and _finite(text).is_integer():
            return int(float(text))
    except ValueError:
        pass
    raise BadParameter(f"{one.name}={shown(given)} is not {words[kind]}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def build(door: type[Door], *layers: Mapping[str, object]) -> Door:
    """A door's dataclass from layers of values, the later ones on top of the earlier ones.

    Keys that the door does not have are passed over: a study file speaks to all doors.

    Raises:
        BadParameter: a value of the wrong type or out of range.
    """
    merged: dict[str, object] = {}
    for layer in layers:
        merged |= layer
    known = parameter_fields(door)
    return door(**{k: value_of(known[k], v) for k, v in merged.items() if k in known})
