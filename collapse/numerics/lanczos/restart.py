"""Lanczos with thick restarts: extreme eigenvalues in a basis that does not grow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.errors import BadParameter
from collapse.numerics.lanczos.basis import open_basis
from collapse.numerics.lanczos.iteration import Matvec, begin, rounding, step
from collapse.numerics.lanczos.state import LanczosState, dump_state, load_state
from collapse.numerics.lanczos.sweeps import combine, rotate
from collapse.numerics.lanczos.target import Target, is_met, wanted_places

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
    """

    lanczos: LanczosState
    kept: int
    restarts: int
    products: int


@dataclass(frozen=True)
class RestartedResult:
    """Wanted ends of a spectrum; no weights, as the kept vectors have lost the start's measure.

    Attributes:
        ritz_values: the wanted ones, ascending, (K,); fewer where the Krylov space has fewer.
        residual_bounds: norm of A u - theta u of each, (K,), without `rounding`.
        rounding: what the precision of the vectors adds to each bound, more with every restart.
        vectors_KxP: their unit vectors, on the device of the basis.
        products: products made.
        restarts: how often the basis was filled and turned.
        converged: all that was wanted is there, with bounds below the tolerance.
        orthogonality: largest entry of |Q^T Q - I| over the vectors of all turns.
    """

    ritz_values: Floats
    residual_bounds: Floats
    rounding: float
    vectors_KxP: torch.Tensor
    products: int
    restarts: int
    converged: bool
    orthogonality: float


@dataclass(frozen=True)
class _Pairs:
    """Eigenpairs of the projected matrix: ascending values (m,), vectors (m, m), bounds (m,)."""

    values: Floats
    vectors: Floats
    bounds: Floats
    rounding: float


def restarted_lanczos(
    matvec: Matvec,
    start: torch.Tensor | RestartedState,
    *,
    capacity: int,
    max_products: int,
    target: Target,
    device: torch.device | str | None = None,
    after_step: Callable[[RestartedState], None] | None = None,
) -> RestartedResult:
    """Extreme eigenvalues in a basis of fixed size (Wu and Simon, SIAM J. Matrix Anal. 22, 2000).

    When the basis is full, the Ritz vectors nearest to what is wanted, half as many as there is
    room for, take the place of the others, and the iteration goes on from the last residual. The
    basis is turned in its own memory. It gives ends of the spectrum only: the quadrature weights
    of a density are those of an unbroken run.

    Args:
        matvec: product of a symmetric operator with a vector (P,) of the start's type.
        start: (P,), float32 or float64; the basis lives on its device. Or the state of an
            interrupted run, from `load_restarted`, which goes on to the same bits.
        capacity: vectors that the basis holds, 4 more than are wanted at least.
        max_products: the most products to make, those of an interrupted run included.
        target: what is wanted, and how well.
        device: where the operator wants its vectors; None for where the basis is.
        after_step: called with each new state, for instance to save it.

    Raises:
        BadParameter: a bad start vector, nothing wanted, a capacity that is too small, or no
            product allowed.
        BadInput: a product has the wrong shape or type or is not finite.
    """
    if isinstance(start, torch.Tensor):
        basis = open_basis(len(start), capacity, start.dtype, device=start.device)
        state = RestartedState(begin(start, basis), 0, 0, 0)
    else:
        state = start
    work = torch.empty_like(state.lanczos.basis.rows[0])
    _check(capacity, max_products, target, state)
    place = torch.device(device) if device is not None else work.device
    full = min(capacity - 1, len(work))
    while state.products < max_products and not _is_done(state, target):
        if state.lanczos.steps == full:
            state = _restart(state, target)
        lanczos = step(matvec, state.lanczos, work, place)
        # As many vectors as dimensions: what is left of the next one is rounding.
        ended = lanczos.breakdown or lanczos.steps == len(work)
        lanczos = replace(lanczos, breakdown=ended)
        state = replace(state, lanczos=lanczos, products=state.products + 1)
        if after_step is not None:
            after_step(state)
    return _result(state, target)


def _check(capacity: int, max_products: int, target: Target, state: RestartedState) -> None:
    wanted = target.largest + target.smallest + target.magnitude
    if wanted < 1:
        raise BadParameter(f"{target}: at least one eigenvalue must be wanted")
    if capacity < wanted + 4 or capacity > len(state.lanczos.basis.rows):
        raise BadParameter(
            f"a basis of {capacity} vectors, {wanted} wanted: it must have {wanted + 4} or more, "
            f"and the memory at hand has room for {len(state.lanczos.basis.rows)}"
        )
    if max_products < 1:
        raise BadParameter(f"{max_products} products: at least 1 is needed")


def _is_done(state: RestartedState, target: Target) -> bool:
    if state.lanczos.breakdown:
        return True
    if state.lanczos.steps < target.least_values:
        return False
    pairs = _pairs(state)
    return is_met(target, pairs.values, pairs.bounds + pairs.rounding)


def _pairs(state: RestartedState) -> _Pairs:
    """Eigenpairs of the projected matrix: an arrow of the kept part, tridiagonal beyond it."""
    alpha, beta, kept = state.lanczos.alpha, state.lanczos.beta, state.kept
    matrix = np.diag(alpha)
    matrix[kept, :kept] = beta[:kept]
    later = np.arange(kept, len(alpha) - 1)
    matrix[later + 1, later] = beta[later]
    values, vectors = np.linalg.eigh(matrix, UPLO="L")
    bounds = np.abs(beta[-1] * vectors[-1])
    dtype = state.lanczos.basis.rows.dtype
    return _Pairs(values, vectors, bounds, rounding(dtype, values, state.restarts))


def _restart(state: RestartedState, target: Target) -> RestartedState:
    """Turn a full basis so that it begins with the Ritz vectors to keep and the last residual."""
    pairs, old = _pairs(state), state.lanczos
    places = _to_keep(target, pairs.values)
    weights = torch.from_numpy(pairs.vectors[:, places])
    gram = rotate(old.basis, weights).cpu()
    old.basis.rows[len(places)] = old.basis.rows[old.steps]
    loss = float((gram - torch.eye(len(places), dtype=gram.dtype)).abs().max())
    turned = LanczosState(
        old.basis,
        pairs.values[places],
        old.beta[-1] * pairs.vectors[-1, places],
        False,
        max(old.orthogonality, loss),
    )
    return replace(state, lanczos=turned, kept=len(places), restarts=state.restarts + 1)


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


def _result(state: RestartedState, target: Target) -> RestartedResult:
    pairs = _pairs(state)
    places = wanted_places(target, pairs.values)
    vectors = torch.from_numpy(pairs.vectors[:, places])
    return RestartedResult(
        ritz_values=pairs.values[places],
        residual_bounds=pairs.bounds[places],
        rounding=pairs.rounding,
        vectors_KxP=combine(state.lanczos.basis, vectors),
        products=state.products,
        restarts=state.restarts,
        converged=len(pairs.values) >= target.least_values
        and is_met(target, pairs.values, pairs.bounds + pairs.rounding),
        orthogonality=state.lanczos.orthogonality,
    )


def dump_restarted(state: RestartedState) -> dict[str, NDArray[np.generic]]:
    """A state as plain arrays, the vectors among them."""
    counts = {name: np.array(getattr(state, name)) for name in ("kept", "restarts", "products")}
    return dump_state(state.lanczos) | counts


def load_restarted(
    arrays: Mapping[str, NDArray[np.generic]],
    capacity: int,
    device: torch.device | str = "cpu",
) -> RestartedState:
    """The state that `dump_restarted` gave, on a new basis of the same capacity.

    Raises:
        BadParameter: the vectors do not fit.
    """
    vectors = torch.from_numpy(np.asarray(arrays["vectors"]))
    basis = open_basis(vectors.shape[1], capacity, vectors.dtype, device=device)
    counts = {name: int(arrays[name]) for name in ("kept", "restarts", "products")}
    return RestartedState(load_state(arrays, basis), **counts)
