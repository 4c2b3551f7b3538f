"""The Lanczos iteration and its certificates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

from collapse.errors import BadInput, BadParameter
from collapse.numerics.lanczos.basis import Basis, open_basis
from collapse.numerics.lanczos.state import LanczosState
from collapse.numerics.lanczos.sweeps import combine, inner_product, sweep
from collapse.numerics.lanczos.target import Target, is_met

Matvec = Callable[[torch.Tensor], torch.Tensor]
Floats = NDArray[np.float64]

# What is left after reorthogonalisation below this many rounding units of the product's norm is
# rounding, and its direction means nothing. Of this product, not of the largest eigenvalue: with
# that one taken care of, a bulk a million times smaller still has directions of its own.
_BREAKDOWN_UNITS = 50.0
_VECTOR_UNITS = 4.0
_SOLUTION_UNITS = 16.0


@dataclass(frozen=True)
class LanczosResult:
    """The spectrum as seen from one start vector.

    Attributes:
        ritz_values: ascending, (steps,).
        weights: squared first components of the tridiagonal's eigenvectors, (steps,), sum 1:
            with `ritz_values` the Gauss quadrature of the start vector's spectral measure.
        residual_bounds: norm of A y - theta y of each Ritz pair, (steps,). In exact arithmetic
            some eigenvalue lies that near; which one, no bound of this kind can say.
        rounding: what the precision of the vectors adds to each bound at least.
        alpha: diagonal of the tridiagonal, (steps,).
        beta: residual norms, (steps,); all but the last are its off-diagonal.
        basis: handle of the vectors.
        steps: products made.
        breakdown: the run ended as the Krylov space was exhausted.
        orthogonality: largest entry of |Q^T Q - I|; in float32 known to a few 1e-8.
    """

    ritz_values: Floats
    weights: Floats
    residual_bounds: Floats
    rounding: float
    alpha: Floats
    beta: Floats
    basis: Basis
    steps: int
    breakdown: bool
    orthogonality: float

    @property
    def coefficients(self) -> Floats:
        """Of the Ritz vectors in the basis, one a column, (steps, steps)."""
        _, vectors = eigh_tridiagonal(self.alpha, self.beta[:-1])
        return vectors


class RitzPairs(Protocol):
    """What a run knows of its Ritz vectors."""

    @property
    def basis(self) -> Basis:
        """Handle of the vectors."""

    @property
    def coefficients(self) -> Floats:
        """Of the Ritz vectors in the basis, one a column, (m, m)."""


def begin(start: torch.Tensor, basis: Basis) -> LanczosState:
    """The state before the first step; the start vector, normalised, is the basis's first.

    Args:
        start: (P,), of the basis's type; it is not changed.
        basis: room for one vector more than the steps to be made.

    Raises:
        BadParameter: the vector is zero, not finite, or of another length or type.
    """
    if start.shape != basis.rows.shape[1:] or start.dtype != basis.rows.dtype:
        raise BadParameter(
            f"a Lanczos start vector of {tuple(start.shape)} {start.dtype}: "
            f"the basis holds vectors of {tuple(basis.rows.shape[1:])} {basis.rows.dtype}"
        )
    norm = inner_product(start, start) ** 0.5
    if not 0 < norm < float("inf"):
        raise BadParameter(f"a Lanczos start vector of norm {norm}: it must be positive and finite")
    empty = np.empty(0)
    return LanczosState(basis, empty, empty, False, _append(basis, 0, start, norm))


def _append(basis: Basis, row: int, vector: torch.Tensor, norm: float) -> float:
    """Store a vector divided by its norm; returns how far its stored squared norm is from 1."""
    stored = basis.rows[row]
    torch.div(vector.to(stored.device), norm, out=stored)
    return abs(inner_product(stored, stored) - 1)


def step(
    matvec: Matvec, state: LanczosState, work: torch.Tensor, device: torch.device
) -> LanczosState:
    """One product and its orthogonalisation against all vectors, twice, in three reads.

    The third read subtracts the second correction and, from the tile at hand, measures the
    overlaps that are left: the orthogonality is observed on the way, not estimated.
    """
    count = state.steps + 1
    work.copy_(state.basis.rows[count - 1])
    product = matvec(work.to(device))
    if product.shape != work.shape or product.dtype != work.dtype:
        raise BadInput(
            f"the operator made {tuple(product.shape)} {product.dtype} "
            f"of {tuple(work.shape)} {work.dtype}: a product has the shape and type of its vector"
        )
    work.copy_(product)
    first, raw = sweep(state.basis, count, work, None)
    second, _ = sweep(state.basis, count, work, first)
    left, squared = sweep(state.basis, count, work, second)
    alpha = np.append(state.alpha, float(first[-1] + second[-1]))
    beta = np.append(state.beta, squared**0.5)
    if not (np.isfinite(alpha[-1]) and np.isfinite(beta[-1])):
        raise BadInput(f"the operator's product at Lanczos step {count} is not finite")
    if beta[-1] <= _BREAKDOWN_UNITS * torch.finfo(work.dtype).eps * raw**0.5:
        return replace(state, alpha=alpha, beta=beta, breakdown=True)
    loss = float(left.abs().max()) / beta[-1]
    loss = max(state.orthogonality, loss, _append(state.basis, count, work, beta[-1]))
    return replace(state, alpha=alpha, beta=beta, orthogonality=loss)


def run(
    matvec: Matvec,
    state: LanczosState,
    max_steps: int,
    *,
    target: Target | None = None,
    device: torch.device | str | None = None,
    after_step: Callable[[LanczosState], None] | None = None,
) -> LanczosState:
    """Go on from a state until a total number of steps, the target, or a breakdown.

    The same state, operator and number of threads give the same bits, whether the state
    comes from memory or from `load_state`.

    Args:
        matvec: product of a symmetric operator with a vector (P,); it may change its argument.
        state: from `begin`, `load_state` or an earlier `run`.
        max_steps: steps in all, those of the state included; P bounds it, too.
        target: Ritz values whose certificate ends the run.
        device: where the operator wants its vectors; None for where the basis is.
        after_step: called with each new state, for instance to save it.

    Raises:
        BadParameter: the basis has no room for so many steps.
        BadInput: a product has the wrong shape or type or is not finite.
    """
    room, length = state.basis.rows.shape[0] - 1, state.basis.rows.shape[1]
    if max_steps > room:
        raise BadParameter(f"{max_steps} Lanczos steps: the basis has room for {room}")
    work = torch.empty_like(state.basis.rows[0])
    place = torch.device(device) if device is not None else work.device
    while state.steps < min(max_steps, length) and not state.breakdown:
        if target is not None and certified(state, target):
            break
        state = step(matvec, state, work, place)
        if after_step is not None:
            after_step(state)
    return state


def certified(state: LanczosState, target: Target) -> bool:
    """Whether the wanted Ritz values exist and have residual bounds below the tolerance."""
    if state.steps < target.least_values:
        return False
    if state.breakdown:
        return True
    result = decompose(state)
    return is_met(target, result.ritz_values, result.residual_bounds + result.rounding)


def decompose(state: LanczosState) -> LanczosResult:
    """Ritz values, weights and residual bounds of the tridiagonal, solved in float64.

    Raises:
        BadParameter: no step was made yet.
    """
    if state.steps == 0:
        raise BadParameter("0 Lanczos steps: a spectrum needs at least 1")
    values, vectors = eigh_tridiagonal(state.alpha, state.beta[:-1])
    return LanczosResult(
        ritz_values=values,
        weights=vectors[0] ** 2,
        residual_bounds=np.abs(state.beta[-1] * vectors[-1]),
        rounding=rounding(state.basis.rows.dtype, values),
        alpha=state.alpha,
        beta=state.beta,
        basis=state.basis,
        steps=state.steps,
        breakdown=state.breakdown,
        orthogonality=state.orthogonality,
    )


def rounding(dtype: torch.dtype, ritz_values: Floats, restarts: int = 0) -> float:
    """What is to be added to residual bounds: rounding of the vectors, and of the solution.

    The projected matrix's eigenvalues have float64 rounding, which in float64 is no smaller than
    the vectors' own; each restart hands it on, as steps of a random walk. Of thousands of runs on
    random spectra with up to 65 restarts, none was off by more than half of this.
    """
    solution = _SOLUTION_UNITS * np.finfo(np.float64).eps * (1 + restarts) ** 0.5
    units = _VECTOR_UNITS * torch.finfo(dtype).eps + solution
    return float(units * np.abs(ritz_values).max())


def ritz_vectors(result: RitzPairs, indices: Sequence[int]) -> torch.Tensor:
    """Ritz vectors of some positions in `ritz_values`, (K, P), in one read of the basis."""
    return combine(result.basis, torch.from_numpy(result.coefficients[:, list(indices)]))


def lanczos(
    matvec: Matvec,
    start: torch.Tensor,
    max_steps: int,
    *,
    target: Target | None = None,
    memory_limit_bytes: int | None = None,
    path: Path | None = None,
) -> LanczosResult:
    """Lanczos with full reorthogonalisation (Parlett, The Symmetric Eigenvalue Problem, 13).

    An eigenvalue of any multiplicity appears once, and one whose eigenvector is orthogonal to
    the start does not appear.

    Args:
        matvec: product of a symmetric operator with a vector (P,) of the start's type.
        start: (P,), float32 or float64; the basis lives on its device or in a file.
        max_steps: the most products to make.
        target: Ritz values whose certificate ends the run early.
        memory_limit_bytes: the most memory the basis may take; None for no limit.
        path: the file for a basis above the limit.

    Raises:
        BadParameter: a bad start vector, or a basis above the limit without a path.
        BadInput: a product has the wrong shape or type or is not finite.
        StoreError: the file of the basis cannot be made.
    """
    if max_steps < 1:
        raise BadParameter(f"{max_steps} Lanczos steps: at least 1 is needed")
    basis = open_basis(
        len(start),
        min(max_steps, len(start)) + 1,
        start.dtype,
        device=start.device,
        memory_limit_bytes=memory_limit_bytes,
        path=path,
    )
    steps = min(max_steps, len(start))
    state = run(matvec, begin(start, basis), steps, target=target, device=start.device)
    return decompose(state)
