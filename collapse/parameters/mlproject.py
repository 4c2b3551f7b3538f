"""The MLproject file and the `--help` texts, written from the dataclasses."""

from dataclasses import Field

from collapse.parameters.doors import DOORS
from collapse.parameters.fields import about, default_of, parameter_fields
from collapse.parameters.parse import AS_THE_STUDY_SAYS
from collapse.parameters.study import described

# `mlflow run . -e main` is the door entrypoints/experiment.py; the others bear one name.
MODULES = {"main": "experiment"}

_HEADER = """\
# Written by `make mlproject` from collapse/parameters; tests/test_mlproject.py proves it.
# A default "study" means: as the study file says, or else the default that --help names.
name: collapse

conda_env: conda.yaml

entry_points:
"""


def mlproject() -> str:
    """The text of MLproject."""
    return _HEADER + "\n".join(_entry_point(name, door) for name, door in DOORS.items())


def _entry_point(name: str, door: type) -> str:
    fields = parameter_fields(door)
    lines = [f"  {name}:", "    parameters:"]
    for key, one in fields.items():
        lines.append(f"      {key}: {{type: string, default: {_default(one)}}}")
    words = " ".join(f"--{key} {{{key}}}" for key in fields)
    lines.append(f'    command: "python -m entrypoints.{MODULES.get(name, name)} {words}"')
    return "\n".join(lines) + "\n"


def _default(one: Field) -> str:
    if about(one).setting:
        return f'"{AS_THE_STUDY_SAYS}"'
    value = default_of(one)
    return f'"{str(value).lower() if isinstance(value, bool) else value}"'


def help_text(name: str, door: type) -> str:
    """What `python -m entrypoints.NAME --help` prints."""
    summary = " ".join((door.__doc__ or "").split())
    lines = [f"usage: python -m entrypoints.{MODULES.get(name, name)} [--PARAMETER VALUE]...", ""]
    lines += [summary, "", "parameters [default]:"]
    lines += [f"  --{key:<30} {text}" for key, text in described(door).items()]
    return "\n".join(lines)
