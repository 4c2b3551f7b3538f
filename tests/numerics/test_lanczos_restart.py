"""Thick restarts against foreign eigenvalues, unbroken runs and their own continuation."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, eigsh

from collapse.errors import BadParameter
from collapse.numerics.lanczos import (
    RestartedResult,
    RestartedState,
    Target,
    begin_restarted,
    dump_restarted,
    lanczos,
    load_restarted,
    open_basis,
    restarted_lanczos,
    ritz_overlaps,
    ritz_vectors,
)
from collapse.numerics.lanczos.sweeps import rotate
from collapse.numerics.lanczos.target import is_met, wanted_places

Matvec = Callable[[torch.Tensor], torch.Tensor]


def normal(length: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(length, dtype=torch.float64, generator=generator)


def spectrum(seed: int, length: int = 800) -> np.ndarray:
    """A bulk of random shape and a few values beyond it on both sides."""
    rng = np.random.default_rng(seed)
    ends = rng.uniform(1.05, 3, 6) * rng.choice([-1, 1], 6)
    return np.concatenate([rng.uniform(-1, 1, length - 6), ends]) * 10.0 ** rng.integers(-6, 7)


def met(target: Target) -> Callable[[RestartedResult], bool]:
    """All that is wanted is there, with bounds below the tolerance."""

    def is_enough(result: RestartedResult) -> bool:
        bounds = result.residual_bounds + result.rounding
        is_there = len(bounds) >= target.least_values
        return is_there and is_met(target, result.ritz_values, bounds)

    return is_enough


def restarted(
    matvec: Matvec, start: torch.Tensor, *, capacity: int, target: Target, **how: Any
) -> RestartedResult:
    """A run from its start until the target is met."""
    state = begin_restarted(start, open_basis(len(start), capacity, start.dtype))
    return restarted_lanczos(matvec, state, target=target, is_enough=met(target), **how)


def wanted(result: RestartedResult, target: Target) -> np.ndarray:
    """The Ritz values that a run was for, ascending."""
    return result.ritz_values[wanted_places(target, result.ritz_values)]


def residuals(values: torch.Tensor, result: RestartedResult) -> np.ndarray:
    """Norms of A u - theta u of all Ritz pairs, in float64."""
    vectors = ritz_vectors(result, range(len(result.ritz_values))).double()
    theta = torch.from_numpy(result.ritz_values)[:, None]
    return (vectors * values - theta * vectors).norm(dim=1).numpy()


@pytest.mark.parametrize(
    ("target", "which"),
    [
        (Target(largest=4, tolerance=1e-8), "LA"),
        (Target(smallest=4, tolerance=1e-8), "SA"),
        (Target(magnitude=4, tolerance=1e-8), "LM"),
        (Target(largest=2, smallest=2, tolerance=1e-8), "BE"),
    ],
)
def test_ends_are_those_of_arpack(target: Target, which: str) -> None:
    values = np.concatenate([np.linspace(-1, 1, 2_000), [1.2, 1.3, 1.301, 1.4, -1.25, -1.3999]])
    held = torch.from_numpy(values)
    result = restarted(
        lambda v: held * v, normal(2_006), capacity=16, max_products=2_000, target=target
    )
    foreign = LinearOperator((2_006, 2_006), matvec=lambda v: values * v, dtype=np.float64)
    known = eigsh(foreign, 4, which=which, ncv=16, return_eigenvectors=False)
    assert met(target)(result)
    assert result.restarts > 2
    np.testing.assert_allclose(wanted(result, target), np.sort(known), atol=1e-12)
    assert (residuals(held, result) <= 1.01 * result.residual_bounds + 1e-13).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    capacity=st.integers(8, 24),
    single=st.booleans(),
    tolerance=st.sampled_from([1e-2, 1e-5]),
)
def test_bounds_hold_over_random_spectra(
    seed: int, capacity: int, single: bool, tolerance: float
) -> None:
    """Certified is what is near a true eigenvalue, and true residuals are what the bounds say."""
    dtype = torch.float32 if single else torch.float64
    held = torch.from_numpy(spectrum(seed)).to(dtype)
    truth = held.double()
    target = Target(largest=2, smallest=2, tolerance=tolerance)
    result = restarted(
        lambda v: held * v,
        normal(800, seed).to(dtype),
        capacity=capacity,
        max_products=150,
        target=target,
    )
    bounds = result.residual_bounds + result.rounding
    near = np.abs(result.ritz_values[:, None] - truth.numpy()).min(1)
    assert (near <= bounds).all()
    assert (residuals(truth, result) <= bounds).all()
    assert result.orthogonality < (1e-5 if single else 1e-13)
    if result.steps < 150:
        places = wanted_places(target, result.ritz_values)
        assert (bounds[places] <= tolerance * float(truth.abs().max())).all()


def test_a_small_basis_costs_few_products_more() -> None:
    """Twelve vectors where the unbroken run keeps 45."""
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 3_000), [4.0, 4.1, 4.2, -4.3]])
    held, start = torch.from_numpy(values), normal(3_004)
    target = Target(largest=2, smallest=1, tolerance=1e-10)
    whole = lanczos(lambda v: held * v, start, 100, target=target)
    made = restarted(lambda v: held * v, start, capacity=12, max_products=200, target=target)
    assert met(target)(made)
    assert whole.steps < made.steps < 1.5 * whole.steps
    np.testing.assert_allclose(wanted(made, target), [-4.3, 4.1, 4.2], atol=1e-9)


def test_without_a_restart_it_is_the_unbroken_run() -> None:
    held, start = torch.linspace(-1, 3, 500, dtype=torch.float64), normal(500)
    whole = lanczos(lambda v: held * v, start, 12)
    target = Target(largest=3, tolerance=1e-12)
    made = restarted(lambda v: held * v, start, capacity=20, max_products=12, target=target)
    assert (made.restarts, made.steps) == (0, 12)
    assert not met(target)(made)
    np.testing.assert_allclose(made.ritz_values, whole.ritz_values, atol=1e-13)
    np.testing.assert_allclose(made.residual_bounds, whole.residual_bounds, atol=1e-13)


def test_rounding_stays_small_over_hundreds_of_restarts() -> None:
    values = np.concatenate([np.random.default_rng(0).normal(0, 1, 2_000), [4.1, 4.2, -4.3]])
    held = torch.from_numpy(values).float()
    target = Target(largest=2, smallest=1, tolerance=1e-12)
    start = normal(2_003).float()
    result = restarted(lambda v: held * v, start, capacity=12, max_products=800, target=target)
    assert result.restarts > 150
    assert result.steps == 800, "float32 cannot promise 1e-12"
    places = wanted_places(target, result.ritz_values)
    assert residuals(held.double(), result)[places].max() <= result.rounding < 3e-6
    assert result.orthogonality < 1e-5


@pytest.mark.parametrize("length", [5, 300])
def test_an_exhausted_space_ends_the_run(length: int) -> None:
    """Three different eigenvalues, or as many dimensions as the basis has room for."""
    values = torch.tensor([-2.0, 0.0, 5.0], dtype=torch.float64).repeat(length)[:length]
    if length == 5:
        values = torch.arange(5.0, dtype=torch.float64)
    target = Target(largest=2, smallest=1, tolerance=1e-10)
    result = restarted(
        lambda v: values * v, normal(length), capacity=9, max_products=50, target=target
    )
    assert met(target)(result)
    assert result.steps == (5 if length == 5 else 3)
    expected = [0, 3, 4] if length == 5 else [-2, 0, 5]
    np.testing.assert_allclose(wanted(result, target), expected, atol=1e-12)


def test_fewer_eigenvalues_than_wanted_is_not_convergence() -> None:
    target = Target(largest=2)
    result = restarted(lambda v: 3 * v, normal(90), capacity=9, max_products=20, target=target)
    assert (result.steps, met(target)(result)) == (1, False)
    np.testing.assert_allclose(result.ritz_values, [3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("stop", [3, 9, 10, 21])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    dtype: torch.dtype, stop: int, tmp_path: Any
) -> None:
    held, start = torch.from_numpy(spectrum(3)).to(dtype), normal(800).to(dtype)
    target = Target(magnitude=3, tolerance=1e-9)
    how: dict[str, Any] = {"capacity": 10, "target": target}
    whole = restarted(lambda v: held * v, start, max_products=60, **how)
    assert whole.restarts > 3

    def save(state: RestartedState) -> None:
        if state.products == stop:
            arrays: dict[str, Any] = dump_restarted(state)
            np.savez(tmp_path / "state.npz", **arrays)

    restarted(lambda v: held * v, start, max_products=stop + 2, after_step=save, **how)
    with np.load(tmp_path / "state.npz") as arrays:
        state = load_restarted(arrays, open_basis(800, 10, dtype))
    assert state.products == stop
    again = restarted_lanczos(
        lambda v: held * v, state, max_products=60, target=target, is_enough=met(target)
    )
    numbers = ("ritz_values", "residual_bounds", "steps", "restarts", "orthogonality")
    for name in (*numbers, "alpha", "beta", "coefficients"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    assert torch.equal(ritz_vectors(again, range(3)), ritz_vectors(whole, range(3)))


def test_the_tridiagonal_told_is_that_of_the_unbroken_run() -> None:
    """Kept vectors have lost the start's measure; what was before the first restart has not."""
    held, start = torch.from_numpy(spectrum(5)), normal(800)
    unbroken = lanczos(lambda v: held * v, start, 11)
    target = Target(magnitude=3, tolerance=1e-9)
    for most in (8, 40):
        made = restarted(lambda v: held * v, start, capacity=12, max_products=most, target=target)
        assert (made.restarts > 0) == (most == 40)
        np.testing.assert_array_equal(made.alpha, unbroken.alpha[:most])
        np.testing.assert_array_equal(made.beta, unbroken.beta[:most])
        vectors = ritz_vectors(made, range(len(made.ritz_values)))
        np.testing.assert_allclose(ritz_overlaps(made, start), vectors @ start, atol=1e-10)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_basis_turns_in_its_own_place(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        basis = open_basis(1_000_003, 6, torch.float32)
        for row, vector in enumerate(torch.linalg.qr(normal(6 * 9_999).view(-1, 6))[0].T):
            basis.rows[row] = vector.float().repeat(101)[:1_000_003]
        weights = torch.linalg.qr(normal(25).view(5, 5))[0][:, :3]
        expected = weights.T @ basis.rows[:5].double()
        untouched = basis.rows[3:].clone()
        gram = rotate(basis, weights)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(basis.rows[:3].double(), expected, atol=1e-6, rtol=1e-5)
    assert torch.equal(basis.rows[3:], untouched)
    torch.testing.assert_close(gram, expected @ expected.T, atol=1e-3, rtol=1e-5)


def test_what_cannot_be_is_refused_in_one_line() -> None:
    start = normal(50)
    for words, changed in [
        ("at least one", {"target": Target()}),
        ("basis of 5 vectors, 2 wanted", {"capacity": 5}),
        ("at least 1 is needed", {"max_products": 0}),
        ("norm 0.0", {"start": 0 * start}),
    ]:
        how: dict[str, Any] = {
            "start": start,
            "capacity": 12,
            "max_products": 9,
            "target": Target(largest=2),
        }
        with pytest.raises(BadParameter, match=words) as caught:
            restarted(lambda v: v, **how | changed)
        assert "\n" not in str(caught.value)
