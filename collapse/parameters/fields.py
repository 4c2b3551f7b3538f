"""A parameter: a dataclass field with a help line, a check, and what it means to identity."""

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

Check = Callable[[Any], bool]


@dataclass(frozen=True)
class About:
    """What a field tells beside its type and default.

    Attributes:
        help: one line, lower case, with the unit.
        check: true for a value in range.
        right: what would be right, to end the sentence "must be ...".
        setting: True where a study file may set it; such a parameter may also be given as
            ``study``, which means "as the study says".
        identity: False where the value does not change what a stage computes.
    """

    help: str
    check: Check
    right: str
    setting: bool
    identity: bool


def setting(
    default: Any,
    help: str,
    check: Check = lambda _: True,
    right: str = "",
    *,
    identity: bool = True,
) -> Any:
    """A parameter that a study file may set."""
    about = About(help, check, right, setting=True, identity=identity)
    return field(default=default, metadata={"about": about})


def option(
    default: Any,
    help: str,
    check: Check = lambda _: True,
    right: str = "",
    *,
    identity: bool = False,
) -> Any:
    """A parameter of one call, which a study file does not set."""
    about = About(help, check, right, setting=False, identity=identity)
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


def default_of(one: Field) -> Any:
    """The default of a parameter; every parameter has one."""
    if one.default is MISSING:
        raise TypeError(f"parameter {one.name} has no default")
    return one.default


def positive(value: float) -> bool:
    """True above zero."""
    return value > 0


def not_negative(value: float) -> bool:
    """True from zero up."""
    return value >= 0


def fraction(value: float) -> bool:
    """True in [0, 1]."""
    return 0 <= value <= 1


def one_of(*names: str) -> dict[str, Any]:
    """The check and its words for a choice among names."""
    return {"check": lambda value: value in names, "right": "one of " + ", ".join(names)}


def named(value: str) -> bool:
    """True for a name that may stand in an experiment, a registered model and a path."""
    return bool(value) and all(c.isalnum() or c in "-_" for c in value)


def one_line(value: str) -> bool:
    """True for text that is not empty and has no control characters."""
    return bool(value.strip()) and value.isprintable()


def study_named(value: str) -> bool:
    """True for a study's name or the path of a study file."""
    return bool(value) and (Path(value).suffix in {".yaml", ".yml"} or named(value))
