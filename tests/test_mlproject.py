"""MLproject, the dataclasses and --help agree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from collapse.parameters.doors import DOORS
from collapse.parameters.fields import about, default_of, parameter_fields
from collapse.parameters.mlproject import MODULES, help_text, mlproject

ROOT = Path(__file__).resolve().parents[1]
PROJECT = yaml.safe_load((ROOT / "MLproject").read_text())


def test_file_is_what_the_dataclasses_say() -> None:
    assert (ROOT / "MLproject").read_text() == mlproject(), "run `make mlproject`"


def test_every_door_is_an_entry_point_with_a_module() -> None:
    assert set(PROJECT["entry_points"]) == set(DOORS)
    for name in DOORS:
        assert (ROOT / "entrypoints" / f"{MODULES.get(name, name)}.py").is_file()


@pytest.mark.parametrize("name", DOORS)
def test_entry_point_names_every_parameter_with_its_default(name: str) -> None:
    entry = PROJECT["entry_points"][name]
    fields = parameter_fields(DOORS[name])
    assert set(entry["parameters"]) == set(fields)
    for key, declared in entry["parameters"].items():
        assert declared["type"] == "string"  # `path` and `float` let through what they should not
        assert f"--{key} {{{key}}}" in entry["command"]
        if about(fields[key]).setting:
            assert declared["default"] == "study"
        else:
            value = default_of(fields[key])
            assert declared["default"] == (
                str(value).lower()
                if value in (True, False) and isinstance(value, bool)
                else str(value)
            )


@pytest.mark.parametrize("name", DOORS)
def test_help_names_every_parameter(name: str) -> None:
    text = help_text(name, DOORS[name])
    for key, one in parameter_fields(DOORS[name]).items():
        assert f"--{key} " in text
        assert about(one).help in text


def test_help_is_printed_without_loading_anything_heavy() -> None:
    code = (
        "import sys; sys.argv = ['quality', '--help']; import runpy\n"
        "try: runpy.run_module('entrypoints.quality', run_name='__main__')\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'torch', 'transformers', 'mlflow', 'datasets'} & set(sys.modules)\n"
        "assert code == 0 and not heavy, heavy"
    )
    environment = dict(os.environ, PYTHONPATH=str(ROOT))
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "--generation" in run.stdout
