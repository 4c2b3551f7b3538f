"""Changes to a preset's configuration, from text."""

from typing import Any

import yaml

from collapse.errors import BadParameter


def read_overrides(text: str) -> dict[str, Any]:
    """``KEY=VALUE,KEY=VALUE`` as values: numbers, true and false, or else words.

    Raises:
        BadParameter: a part without an equals sign, or a key that comes twice.
    """
    overrides: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise BadParameter(f"preset_overrides={text!r}: {part!r} is not of the form KEY=VALUE")
        if key.strip() in overrides:
            raise BadParameter(
                f"preset_overrides={text!r}: {key.strip()} comes twice: give it once"
            )
        try:
            overrides[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise BadParameter(f"preset_overrides={text!r}: {value!r} is no value") from None
    return overrides
