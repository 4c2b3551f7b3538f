"""Lanczos with thick restarts: extreme eigenvalues in a basis that does not grow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.errors import BadParameter
from collapse.numerics.lanczos.basis import Basis
from collapse.numerics.lanczos.iteration import Matvec, begin, rounding, step
from collapse.numerics.lanczos.state import LanczosState, dump_state, load_state
from collapse.numerics.lanczos.sweeps import rotate
from collapse.numerics.lanczos.target import Target, wanted_places

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RestartedState:
    """Where a restarted run stands.

    Attributes:
        lanczos: the basis and the projected matrix. Its first `kept` vectors are Ritz vectors:
            `alpha` has their Ritz values, and `beta` couples each of them to vector number `kept`,
            where it couples every later vector to the next.
        kept: how many vectors the last restart kept.
        restarts: how often the basis was filled and turned.
        products: products made so far.
        first_alpha: diagonal of the tridiagonal before the first restart; empty where there was
            none yet.
        first_beta: its residual norms, likewise.
    """

    lanczos: LanczosState
    kept: int
    restarts: int
    products: int
    first_alpha: Floats
    first_beta: Floats


@dataclass(frozen=True)
class RestartedResult:
    """The ends of a spectrum as seen from one start vector, and m Ritz values in all.

    Attributes:
        ritz_values: ascending, (m,).
        residual_bounds: norm of A u - theta u of each, (m,), without `rounding`.
        rounding: what the precision of the vectors adds to each bound, more with every restart.
        coefficients: of the Ritz vectors in the basis, one a column, (m, m).
        basis: handle of the vectors.
        alpha: diagonal of the tridiagonal up to the first restart: the kept vectors lose the
            start's measure, so that later steps give no weights.
        beta: its residual norms.
        steps: products made.
        restarts: how often the basis was filled and turned.
        orthogonality: largest entry of |Q^T Q - I| over the vectors of all turns.
    """

    ritz_values: Floats
    residual_bounds: Floats
    rounding: float
    coefficients: Floats
    basis: Basis
    alpha: Floats
    beta: Floats
    steps: int
    restarts: int
    orthogonality: float


def begin_restarted(start: torch.Tensor, basis: Basis) -> RestartedState:
    """The state before the first step, as `begin` makes it; the basis says how much is kept."""
    empty = np.empty(0)
    return RestartedState(begin(start, basis), 0, 0, 0, empty, empty)


def restarted_lanczos(
    matvec: Matvec,
    state: RestartedState,
    *,
    max_products: int,
    target: Target,
    is_enough: Callable[[RestartedResult], bool],
    device: torch.device | str | None = None,
    after_step: Callable[[RestartedState], None] | None = None,
) -> RestartedResult:
    """Extreme eigenvalues in a basis of fixed size (Wu and Simon, SIAM J. Matrix Anal. 22, 2000).

    When the basis is full, the Ritz vectors nearest to what is wanted, half as many as there is
    room for, take the place of the others, and the iteration goes on from the last residual. The
    basis is turned in its own memory.

    Args:
        matvec: product of a symmetric operator with a vector (P,) of the basis's type.
        state: from `begin_restarted`; or of an interrupted run, from `load_restarted`, which goes
            on to the same bits. Its basis holds 4 vectors more than are wanted at least.
        max_products: the most products to make, those of an interrupted run included.
        target: what is wanted.
        is_enough: asked before each step but the first; True ends the run.
        device: where the operator wants its vectors; None for where the basis is.
        after_step: called with each new state, for instance to save it.

    Raises:
        BadParameter: nothing wanted, a basis that is too small, or no product allowed.
        BadInput: a product has the wrong shape or type or is not finite.
    """
    rows = state.lanczos.basis.rows
    _check(len(rows), max_products, target)
    work = torch.empty_like(rows[0])
    place = torch.device(device) if device is not None else work.device
    full = min(len(rows) - 1, len(work))
    while state.products < max_products and not state.lanczos.breakdown:
        if state.products and is_enough(_result(state)):
            break
        if state.lanczos.steps == full:
            state = _restart(state, target)
        lanczos = step(matvec, state.lanczos, work, place)
        # As many vectors as dimensions: what is left of the next one is rounding.
        ended = lanczos.breakdown or lanczos.steps == len(work)
        lanczos = replace(lanczos, breakdown=ended)
        state = replace(state, lanczos=lanczos, products=state.products + 1)
        if after_step is not None:
            after_step(state)
    return _result(state)


def _check(capacity: int, max_products: int, target: Target) -> None:
    wanted = target.largest + target.smallest + target.magnitude
    if wanted < 1:
        raise BadParameter(f"{target}: at least one eigenvalue must be wanted")
    if capacity < wanted + 4:
        raise BadParameter(
            f"a basis of {capacity} vectors, {wanted} wanted: it must have {wanted + 4} or more"
        )
    if max_products < 1:
        raise BadParameter(f"{max_products} products: at least 1 is needed")


def _result(state: RestartedState) -> RestartedResult:
    """Eigenpairs of the projected matrix: an arrow of the kept part, tridiagonal beyond it."""
    lanczos, kept = state.lanczos, state.kept
    matrix = np.diag(lanczos.alpha)
    matrix[kept, :kept] = lanczos.beta[:kept]
    later = np.arange(kept, len(lanczos.alpha) - 1)
    matrix[later + 1, later] = lanczos.beta[later]
    values, vectors = np.linalg.eigh(matrix, UPLO="L")
    unbroken = (lanczos.alpha, lanczos.beta)
    alpha, beta = (state.first_alpha, state.first_beta) if state.restarts else unbroken
    return RestartedResult(
        ritz_values=values,
        residual_bounds=np.abs(lanczos.beta[-1] * vectors[-1]),
        rounding=rounding(lanczos.basis.rows.dtype, values, state.restarts),
        coefficients=vectors,
        basis=lanczos.basis,
        alpha=alpha,
        beta=beta,
        steps=state.products,
        restarts=state.restarts,
        orthogonality=lanczos.orthogonality,
    )


def _restart(state: RestartedState, target: Target) -> RestartedState:
    """Turn a full basis so that it begins with the Ritz vectors to keep and the last residual."""
    pairs, old = _result(state), state.lanczos
    places = _to_keep(target, pairs.ritz_values)
    weights = torch.from_numpy(pairs.coefficients[:, places])
    gram = rotate(old.basis, weights).cpu()
    old.basis.rows[len(places)] = old.basis.rows[old.steps]
    loss = float((gram - torch.eye(len(places), dtype=gram.dtype)).abs().max())
    turned = LanczosState(
        old.basis,
        pairs.ritz_values[places],
        old.beta[-1] * pairs.coefficients[-1, places],
        False,
        max(old.orthogonality, loss),
    )
    return RestartedState(
        turned, len(places), state.restarts + 1, state.products, pairs.alpha, pairs.beta
    )


def _to_keep(target: Target, ritz_values: Floats) -> list[int]:
    """Places of the wanted Ritz values, and of their neighbours up to half of the room left."""
    places = wanted_places(target, ritz_values)
    most = len(places) + (len(ritz_values) - len(places)) // 2
    for more in range(1, len(ritz_values)):
        wider = wanted_places(target, ritz_values, more)
        if len(wider) > most:
            break
        places = wider
    return places


def dump_restarted(state: RestartedState) -> dict[str, NDArray[np.generic]]:
    """A state as plain arrays, the vectors among them.

    Not of a basis in a file: later steps turn it in its place, and the state would not fit it.
    """
    assert state.lanczos.basis.path is None
    counts = {name: np.array(getattr(state, name)) for name in ("kept", "restarts", "products")}
    unbroken = {"first_alpha": state.first_alpha, "first_beta": state.first_beta}
    return dump_state(state.lanczos) | counts | unbroken


def load_restarted(arrays: Mapping[str, NDArray[np.generic]], basis: Basis) -> RestartedState:
    """The state that `dump_restarted` gave, on a basis of the same capacity.

    Raises:
        BadParameter: the basis cannot hold the vectors.
    """
    kept, restarts, products = (int(arrays[name]) for name in ("kept", "restarts", "products"))
    alpha, beta = (
        np.asarray(arrays[name], dtype=np.float64) for name in ("first_alpha", "first_beta")
    )
    return RestartedState(load_state(arrays, basis), kept, restarts, products, alpha, beta)
