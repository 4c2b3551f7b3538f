"""Is a language model collapsing, which signal saw it first, and can that signal be trusted?

A few names for notebooks and other projects. Each is loaded when it is first used, so that
importing collapse, and every ``--help``, stays fast.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "load_preset": "collapse.language.presets",
    "load_generation": "collapse.execution.load",
    "sample": "collapse.language.sampling",
    "hessian_spectrum": "collapse.probes.curvature.of_model",
    "head_ranks": "collapse.probes.heads",
    "legacy_spectrum": "collapse.numerics.spectrum",
    "classify_completion": "collapse.numerics.completion_classes",
    "EarlyWarning": "collapse.watch",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load a name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"collapse has no {name!r}; it has {', '.join(_HOMES)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
