"""Both lock files, pyproject.toml, conda.yaml and what the sources import agree."""

import ast
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
RUNNING, DEVELOPING = "requirements.lock", "requirements-dev.lock"
OURS = ("collapse", "entrypoints", "analysis")


def lines(lock: str) -> list[str]:
    return [one for one in (ROOT / lock).read_text().splitlines() if not one.startswith("#")]


def pins(lock: str) -> dict[str, str]:
    """The version of each package that a lock file names."""
    return {
        canonicalize_name(one.name): str(one.specifier)
        for one in map(Requirement, (line for line in lines(lock) if line[:2] != "-r"))
    }


def imported() -> set[str]:
    """Packages that our sources import, wherever they do."""
    found: set[str] = set()
    for path in (path for own in OURS for path in (ROOT / own).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    return found


def lacking(requirements: Iterable[str], pinned: dict[str, str]) -> list[str]:
    """Requirements that no pin of these fulfils; ours of ourselves are its extras."""
    asked = [one for one in map(Requirement, requirements) if one.name != PROJECT["name"]]
    versions = [pinned.get(canonicalize_name(one.name), "").removeprefix("==") for one in asked]
    return [
        str(one)
        for one, version in zip(asked, versions, strict=True)
        if not version or not one.specifier.contains(version, prereleases=True)
    ]


def test_the_developers_packages_come_on_top_of_the_running_ones() -> None:
    assert lines(DEVELOPING)[0] == f"-r {RUNNING}"
    assert not pins(RUNNING).keys() & pins(DEVELOPING).keys()
    every = [*pins(RUNNING).values(), *pins(DEVELOPING).values()]
    assert all(re.fullmatch(r"==[\w.]+", one) for one in every)


def test_each_dependency_is_pinned_in_its_own_lock() -> None:
    assert not lacking(PROJECT["dependencies"], pins(RUNNING))
    for extra, requirements in EXTRAS.items():
        assert not lacking(requirements, pins(DEVELOPING)), extra


def test_the_server_is_installed_from_the_developers_lock() -> None:
    rule = re.search(r"grep -E '(.*?)' requirements-dev.lock", (ROOT / "Makefile").read_text())
    assert rule
    taken = [line for line in lines(DEVELOPING) if re.search(rule[1], line)]
    assert sorted(taken) == sorted(EXTRAS["server"])


@pytest.mark.parametrize("lock", [RUNNING, DEVELOPING])
def test_lock_names_no_build_of_torch_and_no_index(lock: str) -> None:
    named = lines(lock)
    assert ("torch==2.13.0" in named) == (lock == RUNNING)
    assert not any(word in line for line in named for word in ("+cpu", "--hash", "://", "index"))
    assert not any(line.startswith(("nvidia-", "triton==", "cuda-")) for line in named)


def test_what_our_sources_import_is_there_to_run() -> None:
    """But for the extras, which are asked for where they are used, and said to be missing."""
    owners = packages_distributions()
    needed = {
        canonicalize_name(owners[name][0]) for name in imported() - set(OURS) if name in owners
    }
    extras = {
        canonicalize_name(Requirement(one).name)
        for extra in ("mauve", "ray", "server")
        for one in EXTRAS[extra]
    }
    assert len(needed) > 15
    assert needed - extras <= pins(RUNNING).keys()


def test_conda_pins_python_exactly_and_has_what_running_takes() -> None:
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    assert any(str(one).startswith("python=3.11.") for one in conda["dependencies"])
    assert {"pip": [f"-r {RUNNING}"]} in conda["dependencies"]
