"""The Lanczos run that goes on until the ends of a spectrum are certified."""

from collections.abc import Callable, MutableMapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from collapse.numerics.lanczos import (
    Basis,
    LanczosResult,
    RestartedResult,
    RestartedState,
    Target,
    begin,
    begin_restarted,
    decompose,
    dump_restarted,
    dump_state,
    load_restarted,
    load_state,
    open_basis,
    restarted_lanczos,
    run,
)
from collapse.numerics.spectrum import Outlier, certify_extremes, certify_outliers
from collapse.numerics.streams import torch_stream
from collapse.probes.curvature.recipe import SpectrumRecipe

Pieces = MutableMapping[str, dict[str, NDArray[np.generic]]]
"""Finished or interrupted parts of an analysis by name, from which it goes on."""
Advance = Callable[[int], None]
FirstRun = LanczosResult | RestartedResult
"""In a basis that grows with the run, or in one that is restarted."""


class Operator(Protocol):
    """What an analysis needs of an operator: see `CurvatureOperator`."""

    @property
    def dimension(self) -> int:
        """Entries of a vector, P."""

    @property
    def device(self) -> torch.device:
        """Where vectors live."""

    @property
    def dtype(self) -> torch.dtype:
        """Of the vectors."""

    @property
    def shares(self) -> tuple[float, ...]:
        """Weight of each microbatch in the mean; they sum to 1."""

    def __call__(self, vector_P: torch.Tensor) -> torch.Tensor:
        """The product with a vector."""

    def part(self, index: int, vector_P: torch.Tensor) -> torch.Tensor:
        """The product with the mean loss of one microbatch alone."""


def first_run(
    operator: Operator,
    recipe: SpectrumRecipe,
    pieces: Pieces,
    is_time_to_keep: Callable[[], bool],
    advance: Advance,
) -> FirstRun:
    """Lanczos from the first probe vector until all that is wanted is certified."""
    # A run whose vectors were in a file goes on in it, however much memory is free by now.
    in_file = "first" in pieces and "vectors" not in pieces["first"]
    room = 0 if in_file else recipe.basis_bytes
    basis = open_basis(
        operator.dimension,
        min(recipe.basis_vectors, operator.dimension + 1),
        operator.dtype,
        device=operator.device if room is None else "cpu",
        memory_limit_bytes=room,
        path=recipe.basis_path,
    )
    go_on = _restarted_run if recipe.restarts else _unbroken_run
    return go_on(operator, recipe, basis, pieces, is_time_to_keep, advance)


def _unbroken_run(
    operator: Operator,
    recipe: SpectrumRecipe,
    basis: Basis,
    pieces: Pieces,
    is_time_to_keep: Callable[[], bool],
    advance: Advance,
) -> LanczosResult:
    if "first" in pieces:
        state = load_state(pieces["first"], basis)
        advance(state.steps)
    else:
        state = begin(probe_vector(operator, recipe, 0).to(basis.rows.device), basis)
    steps = min(recipe.most_steps, operator.dimension)
    while state.steps < steps and not state.breakdown:
        if state.steps >= recipe.least_steps and _is_certified(decompose(state), recipe):
            break
        state = run(operator, state, state.steps + 1, device=operator.device)
        advance(1)
        if is_time_to_keep():
            pieces["first"] = dump_state(state)
    return decompose(state)


def _restarted_run(
    operator: Operator,
    recipe: SpectrumRecipe,
    basis: Basis,
    pieces: Pieces,
    is_time_to_keep: Callable[[], bool],
    advance: Advance,
) -> RestartedResult:
    """In a file a basis is turned in its place: such a run is not kept, and starts anew."""
    if "first" in pieces:
        state = load_restarted(pieces["first"], basis)
        advance(state.products)
    else:
        state = begin_restarted(probe_vector(operator, recipe, 0).to(basis.rows.device), basis)

    def after_step(state: RestartedState) -> None:
        advance(1)
        if basis.path is None and is_time_to_keep():
            pieces["first"] = dump_restarted(state)

    return restarted_lanczos(
        operator,
        state,
        max_products=recipe.most_steps,
        target=Target(largest=1, smallest=1, magnitude=recipe.outliers),
        is_enough=lambda result: (
            result.steps >= recipe.least_steps and _is_certified(result, recipe)
        ),
        device=operator.device,
        after_step=after_step,
    )


def certificates(
    result: FirstRun, recipe: SpectrumRecipe
) -> tuple[tuple[Outlier, ...], Outlier, Outlier]:
    """The outliers, the smallest and the largest eigenvalue of the first run."""
    pairs = result.ritz_values, result.residual_bounds
    how = {"tolerance": recipe.tolerance, "rounding": result.rounding}
    bottom, top = certify_extremes(*pairs, **how)
    return certify_outliers(*pairs, recipe.outliers, **how), bottom, top


def _is_certified(result: FirstRun, recipe: SpectrumRecipe) -> bool:
    found, bottom, top = certificates(result, recipe)
    return all(one.certified for one in (*found, bottom, top))


def probe_vector(operator: Operator, recipe: SpectrumRecipe, index: int) -> torch.Tensor:
    """Probe vector (P,) of independent signs, drawn on the processor: the same on every device."""
    generator = torch_stream(recipe.seed, "curvature", index)
    signs = torch.randint(0, 2, (operator.dimension,), generator=generator, dtype=torch.int8)
    return (2 * signs - 1).to(operator.device, operator.dtype)
