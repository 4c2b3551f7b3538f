"""Lanczos tridiagonalisation of any symmetric operator that is known by its products."""

from collapse.numerics.lanczos.basis import Basis, inner_product, open_basis
from collapse.numerics.lanczos.deflation import project_off, projected_moments
from collapse.numerics.lanczos.iteration import (
    LanczosResult,
    Target,
    begin,
    certified,
    decompose,
    lanczos,
    ritz_vectors,
    run,
)
from collapse.numerics.lanczos.state import LanczosState, dump_state, load_state

__all__ = [
    "Basis",
    "LanczosResult",
    "LanczosState",
    "Target",
    "begin",
    "certified",
    "decompose",
    "dump_state",
    "inner_product",
    "lanczos",
    "load_state",
    "open_basis",
    "project_off",
    "projected_moments",
    "ritz_vectors",
    "run",
]
