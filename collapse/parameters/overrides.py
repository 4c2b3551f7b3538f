"""Changes to a preset's configuration, from text."""

import yaml

from collapse.errors import BadParameter


def read_overrides(text: str) -> dict[str, object]:
    """``KEY=VALUE,KEY=VALUE`` as values: numbers, true and false, or else words.

    Raises:
        BadParameter: a part without an equals sign.
    """
    overrides: dict[str, object] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise BadParameter(f"preset_overrides={text!r}: {part!r} is not of the form KEY=VALUE")
        try:
            overrides[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise BadParameter(f"preset_overrides={text!r}: {value!r} is no value") from None
    return overrides
