"""Reading YAML that a person wrote: plain values only, no key twice, and nothing that explodes."""

from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from collapse.errors import BadParameter

LARGEST_BYTES = 200_000
"""Of a study file; a longer one is something else under this name."""
LONGEST_SHOWN = 60
"""Characters of a value that a message repeats."""


class _Refused(Exception):
    """What YAML allows and a study file does not."""


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, which builds plain values alone; stricter in two things.

    A key that comes twice is refused: otherwise the later value would win without a word. So is an
    alias within an anchored value: nested ones let a page of text stand for more than memory holds.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._anchors_open = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """One node, its aliases looked at."""
        event: Any = self.peek_event()
        is_alias = isinstance(event, yaml.AliasEvent)
        line = event.start_mark.line + 1
        if is_alias and self._anchors_open:
            raise _Refused(
                f"line {line}: the alias *{event.anchor} stands within an anchored value: write "
                "that value out"
            )
        opens = not is_alias and event.anchor is not None
        self._anchors_open += opens
        node = super().compose_node(parent, index)
        self._anchors_open -= opens
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        """One mapping, its keys compared."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if (key.tag, key.value) in seen:
                line = key.start_mark.line + 1
                raise _Refused(f"line {line}: the key {key.value!r} comes twice: leave one out")
            seen.add((key.tag, key.value))
        return node


def read_yaml(path: Path) -> object:
    """What a YAML file says, as plain values.

    Raises:
        BadParameter: it cannot be read, is too large, or is not plain YAML; one line says where.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise BadParameter(
                f"{path} has {path.stat().st_size} bytes: a study file has {LARGEST_BYTES} at most"
            )
        loader = _StrictLoader(path.read_text(encoding="utf-8"))
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except OSError as error:
        raise BadParameter(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise BadParameter(
            f"{path} is not a YAML file: byte {error.start} is not UTF-8 text; save it as UTF-8"
        ) from None
    except RecursionError:
        raise BadParameter(f"{path} is not a YAML file: its brackets lie too deep") from None
    except (_Refused, yaml.YAMLError, ValueError) as error:
        raise BadParameter(f"{path} is not a YAML file: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Where and why, in one line."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    if isinstance(error, yaml.constructor.ConstructorError) and "constructor" in problem:
        problem = (
            f"{problem.rpartition(' ')[2]} would build more than a plain value: write plain ones"
        )
    return f"line {mark.line + 1}: {problem}"


def nearest(name: str, known: Collection[str]) -> str:
    """The known name that is meant, or all of them."""
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "known are " + ", ".join(known)


def mapping(value: object, what: str) -> dict[str, Any]:
    """A mapping with words for keys; an empty one where nothing is written.

    Raises:
        BadParameter: something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadParameter(f"{what} is {shown(value)}: it must be a mapping of names to values")
    for key in value:
        if not isinstance(key, str):
            raise BadParameter(f"{what} has the key {key!r}, which is no word: write it in quotes")
    return value


def listed(value: object, what: str) -> list[Any]:
    """A list; an empty one where nothing is written.

    Raises:
        BadParameter: something else.
    """
    if not isinstance(value, list | None):
        raise BadParameter(f"{what} is {shown(value)}: it must be a list, such as [A, B]")
    return value or []


def shown(value: object) -> str:
    """A value as it may stand in one line."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'mapping'}"
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
