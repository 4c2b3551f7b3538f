"""Lanczos against dense eigenvalues, prescribed spectra and its own continuation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse.errors import BadInput, BadParameter, StoreError
from collapse.numerics.lanczos import (
    LanczosState,
    Target,
    begin,
    decompose,
    dump_state,
    inner_product,
    lanczos,
    load_state,
    open_basis,
    project_off,
    ritz_vectors,
    run,
)
from collapse.numerics.lanczos.sweeps import sweep

Matvec = Callable[[torch.Tensor], torch.Tensor]

PRECISIONS = [(torch.float32, 1e-5), (torch.float64, 1e-10)]


def normal(length: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(length, dtype=torch.float64, generator=generator).to(dtype)


def symmetric(length: int, seed: int = 0) -> torch.Tensor:
    square = normal(length * length, seed=seed).view(length, length)
    return (square + square.T) / (2 * length) ** 0.5


def diagonal(values: np.ndarray, dtype: torch.dtype) -> Matvec:
    held = torch.from_numpy(values).to(dtype)
    return lambda vector: held * vector


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_full_run_has_every_dense_eigenvalue_once(
    dtype: torch.dtype, tolerance: float, scale: float
) -> None:
    """150 steps on 150 dimensions: no ghost can hide, as each value has its own place."""
    matrix = (scale * symmetric(150)).to(dtype)
    result = lanczos(lambda v: matrix @ v, normal(150, dtype), 150)
    values, vectors = np.linalg.eigh(matrix.double().numpy())
    assert result.steps == 150
    assert np.abs(result.ritz_values - values).max() < tolerance * np.abs(values).max()
    start = normal(150, dtype).double().numpy()
    exact = (vectors.T @ (start / np.linalg.norm(start))) ** 2
    assert np.abs(result.weights - exact).max() < 30 * tolerance
    assert result.orthogonality < tolerance / 10


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_extremes_of_a_short_run_and_their_bounds(dtype: torch.dtype, tolerance: float) -> None:
    bulk = np.linspace(-1, 1, 1_997)
    values = np.concatenate([bulk, [-9.999, 7.0, 10.0]])  # both ends near-equal in magnitude
    result = lanczos(diagonal(values, dtype), normal(2_000, dtype), 30)
    for wanted in (-9.999, 7.0, 10.0):
        nearest = np.abs(result.ritz_values - wanted).argmin()
        assert abs(result.ritz_values[nearest] - wanted) < tolerance * abs(wanted)
    # No ghosts: one Ritz value a separated eigenvalue, however long ago it converged.
    assert (np.abs(result.ritz_values) > 1.01).sum() == 3
    distance = np.abs(result.ritz_values[:, None] - values).min(1)
    assert (distance <= result.residual_bounds + result.rounding).all()


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_clusters_and_rank_deficiency_break_down_happily(
    dtype: torch.dtype, tolerance: float, scale: float
) -> None:
    """Five different eigenvalues, most of them zeros: after five steps nothing is left."""
    values = scale * np.repeat([0.0, 1.0, 2.0, 3.5, -3.0], [400, 20, 10, 5, 5])
    start = normal(440, dtype)
    result = lanczos(diagonal(values, dtype), start, 60)
    assert result.breakdown
    assert result.steps == 5
    expected = scale * np.array([-3.0, 0.0, 1.0, 2.0, 3.5])
    assert np.abs(result.ritz_values - expected).max() < tolerance * 3.5 * scale
    share = (start.double().numpy() ** 2) / float(start.double() @ start.double())
    masses = [share[np.isclose(values, value)].sum() for value in expected]
    assert np.allclose(result.weights, masses, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_low_rank_dense_matrix(dtype: torch.dtype) -> None:
    """A product full of rounding: where the run ends may vary by a step, what it finds may not."""
    factors, _ = torch.linalg.qr(normal(200 * 6).view(200, 6))
    matrix = (factors * torch.tensor([9.0, 5.0, 2.0, -1.0, -4.0, -8.0])) @ factors.T
    held = matrix.to(dtype)
    result = lanczos(lambda v: held @ v, normal(200, dtype), 60)
    found = result.ritz_values[np.abs(result.ritz_values) > 1e-3]
    assert np.allclose(found, [-8, -4, -1, 2, 5, 9], atol=1e-5 if dtype == torch.float32 else 1e-10)


def test_a_huge_outlier_is_no_breakdown() -> None:
    """The bulk's residuals are rounding beside the outlier, and yet no rounding."""
    values = np.concatenate([np.linspace(-1, 1, 2_000), [1e6]])
    result = lanczos(diagonal(values, torch.float32), normal(2_001, torch.float32), 30)
    assert not result.breakdown
    assert result.steps == 30
    assert result.ritz_values[-1] == pytest.approx(1e6, rel=1e-6)
    assert -1.01 < result.ritz_values[0] < -0.9


def test_near_equal_ends_are_told_apart() -> None:
    values = np.concatenate([np.linspace(0, 1, 500), [5.0, 5.0 - 1e-4, -5.0 + 1e-4]])
    result = lanczos(diagonal(values, torch.float64), normal(503), 60)
    assert np.allclose(result.ritz_values[-2:], [5.0 - 1e-4, 5.0], atol=1e-9)
    assert result.ritz_values[0] == pytest.approx(-5.0 + 1e-4, abs=1e-9)


@pytest.mark.parametrize("matvec", [lambda v: v, torch.zeros_like, lambda v: v.neg_()])
def test_operators_that_end_after_one_step(matvec: Matvec) -> None:
    """The identity hands back its argument, the third one overwrites it: neither harms a basis."""
    result = lanczos(matvec, normal(50), 9)
    assert (result.steps, result.breakdown) == (1, True)
    assert result.weights[0] == pytest.approx(1)
    assert result.residual_bounds[0] <= 1e-12


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 8), length=st.integers(12, 40))
def test_quadrature_has_the_moments_of_the_operator(seed: int, steps: int, length: int) -> None:
    """Gauss: m nodes give v^T A^j v exactly for all j < 2 m (Golub and Meurant)."""
    matrix, start = symmetric(length, seed), normal(length, seed=seed + 1)
    result = lanczos(lambda v: matrix @ v, start, steps)
    unit = start / start.norm()
    power = unit.clone()
    for j in range(2 * result.steps):
        # The spectrum lies within about 2: rounding grows with its powers.
        moment = float(unit @ power)
        assert result.weights @ result.ritz_values**j == pytest.approx(moment, abs=1e-12 * 3.0**j)
        power = matrix @ power


def test_sums_of_many_squares_keep_their_digits() -> None:
    """A running float32 sum is wrong in the third digit here, ours right in the twelfth."""
    length = 20_000_000
    vector = torch.empty(length).uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(0))
    exact = sum(float((part.double() ** 2).sum()) for part in vector.split(1_000_000))
    running = float(np.cumsum(vector.numpy() ** 2, dtype=np.float32)[-1])
    assert abs(running / exact - 1) > 1e-3
    assert inner_product(vector, vector) == pytest.approx(exact, rel=1e-12)
    basis = open_basis(length, 2)
    begin(vector, basis)
    overlaps, squared = sweep(basis, 1, vector, None)
    assert float(overlaps) == pytest.approx(exact**0.5, rel=2e-6)
    assert squared == pytest.approx(exact, rel=1e-12)
    assert float(torch.dot(basis.rows[0], vector)) != pytest.approx(exact**0.5, rel=2e-6)
    result = lanczos(lambda v: 3 * v, vector, 1)
    assert result.alpha[0] == pytest.approx(3, rel=2e-6)
    assert result.orthogonality < 2e-6


def test_ragged_lengths_and_tiles() -> None:
    for length in (1, 7, 8_191, 8_193, 3 * 8_192 + 5):
        left, right = normal(length, torch.float32), normal(length, torch.float32, 1)
        exact = float(left.double() @ right.double())
        assert inner_product(left, right) == pytest.approx(exact, rel=1e-12, abs=1e-12)
    values = np.linspace(-1, 3, 20_011)
    result = lanczos(diagonal(values, torch.float64), normal(20_011), 12)
    rows = result.basis.rows[:12]
    assert float((rows @ rows.T - torch.eye(12)).abs().max()) < 1e-14
    assert result.orthogonality < 1e-14


def test_reported_orthogonality_is_the_gram_matrix() -> None:
    """Where eigenvalues converge early, a run without reorthogonalisation would lose it all."""
    values = np.concatenate([np.linspace(-1, 1, 30_000), [50.0, 100.0]])
    result = lanczos(diagonal(values, torch.float32), normal(30_002, torch.float32), 40)
    rows = result.basis.rows[: result.steps + 1].double()
    measured = float((rows @ rows.T - torch.eye(len(rows))).abs().max())
    assert measured < 1e-6
    assert result.orthogonality == pytest.approx(measured, rel=0.5, abs=5e-8)


def test_orthogonality_that_is_lost_is_reported() -> None:
    """Vectors damaged in the file of a state: two passes cannot repair that, and must say so."""
    matvec = diagonal(np.linspace(-1, 1, 3_000), torch.float64)
    basis = open_basis(3_000, 9, torch.float64)
    arrays = dump_state(run(matvec, begin(normal(3_000), basis), 4))
    arrays["vectors"][3] += 0.05 * arrays["vectors"][4]
    state = run(matvec, load_state(arrays, open_basis(3_000, 9, torch.float64)), 8)
    overlaps = (state.basis.rows[5:] @ state.basis.rows.T).abs()
    measured = float((overlaps - torch.eye(9, dtype=torch.float64)[5:]).abs().max())
    assert measured > 1e-5
    assert state.orthogonality == pytest.approx(measured, rel=1e-6)


def test_what_the_operator_hands_out_stays_its_own() -> None:
    matrix = symmetric(40)
    handed: list[torch.Tensor] = []
    copies: list[torch.Tensor] = []

    def matvec(vector: torch.Tensor) -> torch.Tensor:
        handed.append(matrix @ vector)
        copies.append(handed[-1].clone())
        return handed[-1]

    lanczos(matvec, normal(40), 6)
    assert all(torch.equal(own, copy) for own, copy in zip(handed, copies, strict=True))


def test_projecting_off_is_the_dense_projector() -> None:
    """With any orthonormal vectors, eigenvectors or not; and without one nothing changes."""
    vector = normal(30, seed=3)
    vectors = torch.linalg.qr(normal(60, seed=4).view(30, 2))[0].T
    projector = torch.eye(30, dtype=torch.float64) - vectors.T @ vectors
    torch.testing.assert_close(project_off(vector, vectors), projector @ vector)
    assert torch.equal(project_off(vector, vectors[:0]), vector)


def test_target_ends_the_run_when_its_certificates_hold() -> None:
    values = np.concatenate([np.linspace(-1, 1, 3_000), [20.0, 15.0, 12.0, -14.0]])
    matvec, start = diagonal(values, torch.float64), normal(3_004)
    for target, wanted in [
        (Target(largest=3, tolerance=1e-6), [12.0, 15.0, 20.0]),
        (Target(smallest=1, tolerance=1e-6), [-14.0]),
        (Target(magnitude=4, tolerance=1e-6), [-14.0, 12.0, 15.0, 20.0]),
    ]:
        result = lanczos(matvec, start, 200, target=target)
        assert 4 <= result.steps < 30
        for value in wanted:
            assert np.abs(result.ritz_values - value).min() < 1e-9
    loose = lanczos(matvec, start, 200, target=Target(magnitude=4, tolerance=1e-2))
    assert loose.steps < result.steps
    never = lanczos(matvec, start, 12, target=Target(largest=9, tolerance=1e-9))
    assert never.steps == 12


def same(left: LanczosState, right: LanczosState) -> bool:
    count = left.steps + 1
    return (
        np.array_equal(left.alpha, right.alpha)
        and np.array_equal(left.beta, right.beta)
        and torch.equal(left.basis.rows[:count], right.basis.rows[:count])
        and left.orthogonality == right.orthogonality
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_continued_run_has_the_bits_of_an_uninterrupted_one(
    tmp_path: Path, dtype: torch.dtype, on_disk: bool
) -> None:
    length = 20_003
    matvec = diagonal(np.linspace(-2, 5, length) ** 3, dtype)
    whole = run(matvec, begin(normal(length, dtype), open_basis(length, 21, dtype)), 20)
    limits: dict[str, Any] = (
        {"memory_limit_bytes": 1_000, "path": tmp_path / "basis"} if on_disk else {}
    )
    # The first session planned fewer steps: its basis is smaller, its file shorter.
    early = run(matvec, begin(normal(length, dtype), open_basis(length, 9, dtype, **limits)), 8)
    saved: dict[str, Any] = dump_state(early)
    np.savez(tmp_path / "state.npz", **saved)
    del early
    with np.load(tmp_path / "state.npz") as arrays:
        assert ("vectors" in arrays) is not on_disk
        state = load_state(arrays, open_basis(length, 21, dtype, **limits))
    assert state.steps == 8
    assert same(run(matvec, state, 20), whole)


def test_a_state_on_another_file_is_refused(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"memory_limit_bytes": 0, "path": tmp_path / "basis"}
    state = begin(normal(99), open_basis(99, 5, torch.float64, **limits))
    arrays = dump_state(run(diagonal(np.arange(99.0), torch.float64), state, 4))
    (tmp_path / "basis").unlink()
    with pytest.raises(BadParameter, match="does not hold vector 5"):
        load_state(arrays, open_basis(99, 5, torch.float64, **limits))


def test_a_basis_above_the_limit_goes_to_its_file(tmp_path: Path) -> None:
    values, start = np.linspace(-1, 4, 9_000), normal(9_000)
    matvec = diagonal(values, torch.float64)
    inside = lanczos(matvec, start, 15)
    outside = lanczos(matvec, start, 15, memory_limit_bytes=10**5, path=tmp_path / "basis")
    assert inside.basis.path is None
    assert outside.basis.path == tmp_path / "basis"
    assert (tmp_path / "basis").stat().st_size == 16 * 9_000 * 8
    assert np.array_equal(inside.ritz_values, outside.ritz_values)
    with pytest.raises(BadParameter, match="limit of 100000"):
        lanczos(matvec, start, 15, memory_limit_bytes=10**5)
    with pytest.raises(StoreError, match="basis"):
        lanczos(matvec, start, 15, memory_limit_bytes=0, path=tmp_path / "no" / "basis")


def test_ritz_vectors_are_eigenvectors_and_can_be_projected_off() -> None:
    values = np.concatenate([np.linspace(-1, 1, 9_997), [30.0, 20.0, -25.0]])
    result = lanczos(diagonal(values, torch.float64), normal(10_000), 40)
    vectors = ritz_vectors(result, [39, 38, 0])
    for vector, place in zip(vectors, (9_997, 9_998, 9_999), strict=True):
        assert abs(float(vector[place])) == pytest.approx(1, abs=1e-10)
        assert float(vector.norm()) == pytest.approx(1, abs=1e-12)
    rest = project_off(normal(10_000, seed=5), vectors)
    assert float((vectors @ rest).abs().max()) < 1e-12


def test_saving_after_each_step_sees_every_state() -> None:
    seen: list[int] = []
    state = begin(normal(30), open_basis(30, 6, torch.float64))
    final = run(
        diagonal(np.arange(30.0), torch.float64),
        state,
        5,
        after_step=lambda s: seen.append(s.steps),
    )
    assert seen == [1, 2, 3, 4, 5]
    assert state.steps == 0, "a state is not changed by the steps made from it"
    assert decompose(final).steps == 5


def test_what_cannot_be_is_refused_in_one_line() -> None:
    start = normal(20)
    for call, words in [
        (lambda: lanczos(lambda v: v, torch.zeros(9), 3), "norm 0.0"),
        (lambda: lanczos(lambda v: v, start / 0, 3), "finite"),
        (lambda: lanczos(lambda v: v, start.half(), 3), "float16"),
        (lambda: lanczos(lambda v: v, start, 0), "0 Lanczos steps"),
        (lambda: begin(start, open_basis(21, 3, torch.float64)), "holds vectors"),
        (lambda: run(lambda v: v, begin(start, open_basis(20, 3, start.dtype)), 3), "room for 2"),
        (lambda: decompose(begin(start, open_basis(20, 3, start.dtype))), "at least 1"),
    ]:
        with pytest.raises(BadParameter, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="step 1 is not finite"):
        lanczos(lambda v: v * float("nan"), start, 3)
    with pytest.raises(BadInput, match="shape and type"):
        lanczos(lambda v: v[:3], start, 3)
    arrays = dump_state(begin(start, open_basis(20, 3, start.dtype)))
    with pytest.raises(BadParameter, match="room for"):
        load_state(arrays, open_basis(21, 3, start.dtype))
    del arrays["vectors"]
    with pytest.raises(BadParameter, match="file that has them"):
        load_state(arrays, open_basis(20, 3, start.dtype))
