"""Lanczos tridiagonalisation of any symmetric operator that is known by its products."""

from collapse.numerics.lanczos.basis import Basis, open_basis
from collapse.numerics.lanczos.deflation import deflated_moments, project_off
from collapse.numerics.lanczos.iteration import (
    LanczosResult,
    begin,
    certified,
    decompose,
    lanczos,
    ritz_vectors,
    run,
)
from collapse.numerics.lanczos.overlaps import ritz_overlaps, subspace_overlap
from collapse.numerics.lanczos.restart import (
    RestartedResult,
    RestartedState,
    begin_restarted,
    dump_restarted,
    load_restarted,
    restarted_lanczos,
)
from collapse.numerics.lanczos.state import LanczosState, dump_state, load_state
from collapse.numerics.lanczos.sweeps import inner_product
from collapse.numerics.lanczos.target import Target

__all__ = [
    "Basis",
    "LanczosResult",
    "LanczosState",
    "RestartedResult",
    "RestartedState",
    "Target",
    "begin",
    "begin_restarted",
    "certified",
    "decompose",
    "deflated_moments",
    "dump_restarted",
    "dump_state",
    "inner_product",
    "lanczos",
    "load_restarted",
    "load_state",
    "open_basis",
    "project_off",
    "restarted_lanczos",
    "ritz_overlaps",
    "ritz_vectors",
    "run",
    "subspace_overlap",
]
