"""From the words of a command line, and a study file beneath them, to a door's dataclass."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import Field
from typing import Any, TypeVar

from collapse.errors import BadParameter
from collapse.parameters.fields import about, default_of, parameter_fields

Door = TypeVar("Door")

AS_THE_STUDY_SAYS = "study"
"""Given for a setting, this word means: what the study file says, or else the default."""


def read_arguments(door: type, words: Sequence[str]) -> dict[str, str]:
    """The parameters given on a command line, as text.

    Args:
        door: dataclass of the door.
        words: ``--key value`` or ``--key=value``; MLflow passes both.

    Returns:
        Parameter name to text, without those left "as the study says".

    Raises:
        BadParameter: an unknown key, a key without a value, or a word that is no key.
    """
    known = parameter_fields(door)
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise BadParameter(f"unexpected word {word!r}: write --parameter value")
        key, equals, text = word[2:].partition("=")
        key = key.replace("-", "_")
        require_known(key, known)
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
        hint = f"did you mean {near[0]}?" if near else "known are " + ", ".join(known)
        raise BadParameter(f"unknown parameter {key!r}: {hint}")


def value_of(one: Field, given: object) -> Any:
    """The checked value of a parameter from text, or from what a YAML file holds.

    Raises:
        BadParameter: not of the parameter's type, or out of its range.
    """
    value = _convert(one, given)
    if not about(one).rule.check(value):
        raise BadParameter(f"{one.name}={given} is out of range: must be {about(one).rule.right}")
    return value


def _convert(one: Field, given: object) -> Any:
    kind = type(default_of(one))
    text = str(given).strip()
    if kind is bool:
        if text.lower() not in {"true", "false", "1", "0", "yes", "no"}:
            raise BadParameter(f"{one.name}={given!r} is not true or false")
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
    raise BadParameter(f"{one.name}={given!r} is not {words[kind]}")


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
