"""The house's floors (DESIGN 2): who may import whom, read off the sources."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Everyone may use the basement: errors, measurement, claims.
BASEMENT = {"collapse.errors", "collapse.measurement", "collapse.claims"}
FLOORS = {
    "collapse.errors": set(),
    "collapse.claims": set(),
    "collapse.measurement": set(),
    "collapse.numerics": {"collapse.numerics"},
    "collapse.parameters": {"collapse.parameters"},
    "collapse.language": {"collapse.language", "collapse.numerics"},
    "collapse.probes": {"collapse.probes", "collapse.language", "collapse.numerics"},
    "collapse.figures": {"collapse.figures", "collapse.numerics"},
    "collapse.stages": {
        "collapse.stages",
        "collapse.figures",
        "collapse.parameters",
        "collapse.probes",
        "collapse.language",
        "collapse.numerics",
    },
    "collapse.tracking": {"collapse.tracking", "collapse.parameters"},
    "collapse.watch": {
        "collapse.watch",
        "collapse.tracking",
        "collapse.figures",
        "collapse.probes",
        "collapse.language",
        "collapse.numerics",
    },
    "collapse.execution": {
        "collapse.execution",
        "collapse.stages",
        "collapse.tracking",
        "collapse.parameters",
        "collapse.language",
    },
    "analysis": {"analysis", "collapse.figures", "collapse.numerics"},
    "entrypoints": {
        "entrypoints",
        "collapse.parameters",
        "collapse.stages",
        "collapse.tracking",
        "collapse.execution",
        "collapse.figures",
        "analysis",
    },
}
OURS = ("collapse", "analysis", "entrypoints")


def modules() -> list[Path]:
    return sorted(path for name in OURS for path in (ROOT / name).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Absolute names of everything a module imports, at its top or inside a function."""
    package = list(path.relative_to(ROOT).parts[:-1])
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names.add(".".join([*base, *([node.module] if node.module else [])]))
    return names


def floor(module: str) -> str | None:
    return max(
        (f for f in FLOORS if module == f or module.startswith(f + ".")), key=len, default=None
    )


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_what_its_floor_may(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if module == "collapse.__init__":
        return  # hands out names of all floors, lazily
    own = floor(module)
    assert own is not None, f"{module} lives on no floor"
    allowed = FLOORS[own] | BASEMENT
    for name in imports(path):
        if name.split(".")[0] in OURS:
            assert any(name == a or name.startswith(a + ".") for a in allowed), (
                f"{module} -> {name}"
            )


def test_only_tracking_imports_mlflow() -> None:
    for path in modules():
        if "tracking" not in path.parts:
            assert not any(n.split(".")[0] == "mlflow" for n in imports(path)), path


def test_no_drawer_and_no_long_module() -> None:
    for path in modules():
        assert path.stem not in {"utils", "common", "helpers", "misc"}, path
        assert len(path.read_text().splitlines()) <= 300, f"{path} has outgrown its room"


def test_no_global_random_state() -> None:
    """Randomness comes from generators; the one allowed exception restores what it touches."""
    for path in modules():
        text = path.read_text()
        for call in ("np.random.seed", "np.random.rand(", "random.seed(", "np.random.choice("):
            assert call not in text, f"{path}: {call}"
        if "torch.manual_seed(" in text:
            assert "fork_rng" in text, path
