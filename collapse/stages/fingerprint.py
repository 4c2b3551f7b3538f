"""What fixes the result of a step: its parameters, its inputs, and the sources it runs."""

import ast
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from collapse.parameters.fields import identity_of, settings_of
from collapse.stages.plan import Chain, Plan

_NO_PART_OF_A_RESULT = ("collapse.parameters", "collapse.figures")
_ROOT = Path(__file__).resolve().parents[2]


def fingerprints(plan: Plan, contents: Mapping[str, str], where: str) -> dict[str, str]:
    """The fingerprint of every step of a plan.

    Args:
        plan: ordered steps.
        contents: corpora, models and tokenizers as named in the parameters, to the digest of what
            the name stands for.
        where: what else decides the bits: device and versions of libraries.

    Returns:
        Step key to 16 hexadecimal digits. Two steps with one fingerprint compute the same bits on
        one machine.
    """
    known: dict[str, str] = {}
    for step in plan.steps:
        inputs = [known[need] for need in step.needs] or [contents[step.parameters.corpus]]
        settings = _by_content(identity_of(step.parameters), contents)
        known[step.key] = digest([step.stage, settings, inputs, sources_hash(step.stage), where])
    return known


def digest(content: object) -> str:
    """16 hexadecimal digits of anything that JSON can write."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def chain_fingerprint(chain: Chain, contents: Mapping[str, str], where: str) -> str:
    """What tells a chain from another of its name: all its settings, not its length.

    The sources do not count: a chain whose stages are run again after a change of the code stays
    the same chain, and what was measured before can still be reported.
    """
    settings = _by_content(settings_of(chain.recipe), contents)
    return digest([settings, contents[chain.recipe.corpus], where])


def _by_content(settings: Mapping[str, object], contents: Mapping[str, str]) -> dict[str, object]:
    """Settings in which the name of a model, tokenizer or folder gives way to its content."""
    named = ("preset", "tokenizer", "teacher", "judge")
    known = {k: contents.get(str(v), v) if k in named else v for k, v in settings.items()}
    items = contents.get(f"{settings.get('tasks')} of {settings.get('task_data')}")
    return known | ({"task_data": items} if items else {})


@functools.cache
def sources_hash(stage: str) -> str:
    """A digest of a stage's module and of every module of ours that it imports, near or far.

    Definitions of tasks (.yaml) that lie beside these modules belong to them.

    Comments, formatting and docstrings do not count, and neither do `collapse.parameters`, since
    what it says of a stage is in the stage's parameters already, and `collapse.figures`, which
    changes no number.
    """
    files = _closure(f"collapse.stages.{stage}")
    hashes = {path: _code_hash(path) for path in files}
    for folder in {path.parent for path in files}:
        hashes |= {
            path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.yaml")
        }
    return digest({str(path.relative_to(_ROOT)): one for path, one in hashes.items()})


def _code_hash(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            del body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _closure(module: str) -> list[Path]:
    """The files reached from a module through imports of this package, sorted."""
    reached: dict[Path, None] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if path and path not in reached and not name.startswith(_NO_PART_OF_A_RESULT):
            reached[path] = None
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting += imported_modules(path.read_text(encoding="utf-8"), package)
    return sorted(reached)


def _path(module: str) -> Path | None:
    base = _ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def imported_modules(source: str, package: str) -> list[str]:
    """Names of our own modules that a source imports anywhere, functions included.

    Args:
        source: text of a module.
        package: the package that its relative imports start from.
    """
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - max(node.level - 1, 0)]
            start = [*above] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from package import module` may name a module or a thing in the package.
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] == "collapse"]
