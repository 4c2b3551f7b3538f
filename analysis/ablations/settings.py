"""Settings in words, by the names that are typed."""

from collections.abc import Mapping
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether a setting is one that can be more or less."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def changes_in_words(changes: Mapping[str, object], usual: Mapping[str, object]) -> str:
    """Such as ``documents 300 (instead of 3,000)``.

    Args:
        changes: settings with what they were changed to.
        usual: the study's own, as far as they are known.
    """
    before = usual_in_words(changes, usual)
    return f"{said_alone(changes)} ({before})" if before else said_alone(changes)


def said_alone(changes: Mapping[str, object]) -> str:
    """Such as ``documents 300``."""
    return ", ".join(f"{name} {written(value)}" for name, value in changes.items())


def usual_in_words(changes: Mapping[str, object], usual: Mapping[str, object]) -> str:
    """Such as ``instead of 3,000``; empty where the study's own are not all known."""
    if not changes or not changes.keys() <= usual.keys():
        return ""
    return f"instead of {', '.join(written(usual[name]) for name in changes)}"


def written(value: object) -> str:
    """A setting's value, as it would be read aloud."""
    if isinstance(value, bool):
        return str(value).lower()
    if is_number(value):
        return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"
    return str(value).replace(",", ", ") or "none"
