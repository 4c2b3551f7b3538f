"""Lanczos against prescribed dense spectra, ARPACK, a foreign quadrature and new processes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, eigsh

from collapse.numerics.lanczos import (
    Target,
    begin,
    deflated_moments,
    dump_state,
    lanczos,
    load_state,
    open_basis,
    ritz_vectors,
    run,
)
from collapse.numerics.lanczos.sweeps import _batched_sums, sweep
from tests.numerics.projected import projected_moments

ROOT = Path(__file__).resolve().parents[2]
P = 240

BULK = np.linspace(-1, 1, P - 8)
SPECTRA = {
    "clusters": np.concatenate([BULK, [4.0] * 3, [4.001] * 2, [-3.0] * 3]),
    "near-equal ends": np.concatenate([BULK, [5.0, 4.999, -5.0, -4.9995, 3, 2.5, -3, -2.5]]),
    "rank deficient": np.concatenate([np.zeros(P - 8), [9.0, 5, 2, 1, -1, -4, -6, -8]]),
    "one sign": np.concatenate([10.0 ** -np.linspace(1, 9, P - 2), [1.0, 0.5]]),
}


def normal(length: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(length, dtype=torch.float64, generator=generator)


def hidden(values: np.ndarray, reflections: int = 4) -> torch.Tensor:
    """A dense matrix with these eigenvalues: a diagonal between Householder reflections."""
    matrix = torch.diag(torch.from_numpy(values))
    for seed in range(reflections):
        axis = normal(len(values), seed + 10)
        reflection = torch.eye(len(values), dtype=torch.float64) - 2 * torch.outer(
            axis, axis
        ) / axis.dot(axis)
        matrix = reflection @ matrix @ reflection
    return (matrix + matrix.T) / 2


@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", SPECTRA)
def test_prescribed_spectra_in_dense_matrices(
    name: str, scale: float, dtype: torch.dtype, accuracy: float
) -> None:
    """Every different eigenvalue beyond the bulk once, and no Ritz value that is none."""
    matrix = (scale * hidden(SPECTRA[name])).to(dtype)
    dense = np.linalg.eigvalsh(matrix.double().numpy())
    size = np.abs(dense).max()
    result = lanczos(lambda v: matrix @ v, normal(P).to(dtype), 60)
    assert result.ritz_values[-1] == pytest.approx(dense[-1], abs=accuracy * size)
    if name != "one sign":  # the lower end is in the bulk, where 60 steps are not enough
        assert result.ritz_values[0] == pytest.approx(dense[0], abs=accuracy * size)
    near = np.abs(result.ritz_values[:, None] - dense).min(1)
    assert (near <= result.residual_bounds + result.rounding).all()
    far = np.unique(np.round(SPECTRA[name][np.abs(SPECTRA[name]) > 1.2], 9))
    beyond = result.ritz_values[np.abs(result.ritz_values) > 1.2 * scale]
    # Rounding may turn up a second copy of a repeated eigenvalue; of a simple one, never.
    if name == "clusters":
        beyond = beyond[np.abs(np.diff(beyond, prepend=-np.inf)) > 1e-4 * scale]
    np.testing.assert_allclose(beyond, scale * far, atol=accuracy * size)


@pytest.mark.parametrize(
    ("target", "which"),
    [
        (Target(largest=3, tolerance=1e-9), "LA"),
        (Target(smallest=3, tolerance=1e-9), "SA"),
        (Target(magnitude=3, tolerance=1e-9), "LM"),
    ],
)
def test_ends_are_those_of_arpack(target: Target, which: str) -> None:
    matrix = hidden(SPECTRA["near-equal ends"])
    result = lanczos(lambda v: matrix @ v, normal(P), 120, target=target)
    assert result.steps < 120
    foreign = LinearOperator((P, P), matvec=lambda v: matrix.numpy() @ v, dtype=np.float64)
    known = eigsh(foreign, 3, which=which, return_eigenvectors=False)
    for value in known:
        assert np.abs(result.ritz_values - value).min() < 1e-11


@pytest.mark.parametrize("steps", [3, 8])
def test_quadrature_is_that_of_a_krylov_basis_made_by_qr(steps: int) -> None:
    """Foreign: the operator between a basis of v, A v, ..., A^(m-1) v, by NumPy's QR and eigh."""
    matrix, start = hidden(SPECTRA["near-equal ends"]), normal(P, 5)
    powers = [start.numpy()]
    for _ in range(steps - 1):
        powers.append(matrix.numpy() @ powers[-1])
    basis, _ = np.linalg.qr(np.stack(powers, 1))
    nodes, vectors = np.linalg.eigh(basis.T @ matrix.numpy() @ basis)
    result = lanczos(lambda v: matrix @ v, start, steps)
    np.testing.assert_allclose(result.ritz_values, nodes, atol=1e-9)
    np.testing.assert_allclose(result.weights, vectors[0] ** 2, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    tolerance=st.sampled_from([1e-1, 1e-3, 1e-5]),
    single=st.booleans(),
)
def test_what_an_adaptive_stop_certifies_is_true(
    seed: int, scale: float, tolerance: float, single: bool
) -> None:
    """The true error is within the bound, which is within the tolerance."""
    rng = np.random.default_rng(seed)
    # Ends on both sides: the edge of the bulk itself would take nearly as many steps as entries.
    ends = rng.uniform(1.05, 4, 5) * np.array([-1, 1, *rng.choice([-1, 1], 3)])
    dtype = torch.float32 if single else torch.float64
    held = torch.from_numpy(scale * np.concatenate([rng.uniform(-1, 1, 395), ends])).to(dtype)
    truth = held.double().numpy()
    target = Target(largest=1, smallest=1, magnitude=2, tolerance=tolerance)
    result = lanczos(lambda v: held * v, normal(400, seed).to(dtype), 200, target=target)
    assert result.steps < 200
    order = np.argsort(-np.abs(result.ritz_values))[:2]
    for place in {0, result.steps - 1, *order.tolist()}:
        bound = result.residual_bounds[place] + result.rounding
        assert np.abs(truth - result.ritz_values[place]).min() <= bound
        assert bound <= tolerance * np.abs(truth).max()


GO_ON = """
import sys
from pathlib import Path
import numpy as np, torch
from collapse.numerics.lanczos import load_state, open_basis, run
torch.set_num_threads(1)
folder = Path(sys.argv[1])
held = torch.linspace(-2, 5, 50_003) ** 3
limits = dict(memory_limit_bytes=1_000, path=folder / "basis") if sys.argv[2] == "disk" else {}
with np.load(folder / "state.npz") as arrays:
    state = load_state(arrays, open_basis(50_003, 15, **limits))
state = run(lambda v: held * v, state, 14)
np.savez(folder / "after.npz", alpha=state.alpha, beta=state.beta, last=state.basis.rows[14])
"""


@pytest.mark.parametrize("place", [pytest.param("memory", marks=pytest.mark.slow), "disk"])
def test_a_new_process_goes_on_to_the_same_bits(tmp_path: Path, place: str) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        held = torch.linspace(-2, 5, 50_003) ** 3
        whole = run(lambda v: held * v, begin(normal(50_003).float(), open_basis(50_003, 15)), 14)
        limits: dict[str, Any] = (
            {"memory_limit_bytes": 1_000, "path": tmp_path / "basis"} if place == "disk" else {}
        )
        basis = open_basis(50_003, 15, **limits)
        arrays: dict[str, Any] = dump_state(
            run(lambda v: held * v, begin(normal(50_003).float(), basis), 6)
        )
    finally:
        torch.set_num_threads(before)
    np.savez(tmp_path / "state.npz", **arrays)
    subprocess.run(
        [sys.executable, "-c", GO_ON, str(tmp_path), place], cwd=ROOT, check=True, timeout=900
    )
    with np.load(tmp_path / "after.npz") as after:
        np.testing.assert_array_equal(after["alpha"], whole.alpha)
        np.testing.assert_array_equal(after["beta"], whole.beta)
        np.testing.assert_array_equal(after["last"], whole.basis.rows[14].numpy())


def test_sweeps_are_exact_to_rounding_and_the_same_bits_for_as_many_threads() -> None:
    """Ragged at the end, and wide enough for several threads."""
    basis, vector = open_basis(1_100_003, 4), normal(1_100_003).float()
    for row in range(4):
        basis.rows[row] = normal(1_100_003, row + 1).float() / 1_100_003**0.5
    factors = torch.tensor([0.5, -0.25, 2.0, 1e-3], dtype=torch.float64)
    exact = vector.double() - factors @ basis.rows.double()
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3, 1, 2, 3):
            torch.set_num_threads(threads)
            work = vector.clone()
            first, _ = sweep(basis, 4, work, None)
            left, squared = sweep(basis, 4, work, factors)
            found.append((first, left, work))
    finally:
        torch.set_num_threads(before)
    for first, left, _ in found:
        torch.testing.assert_close(
            first, basis.rows.double() @ vector.double(), atol=1e-5, rtol=1e-6
        )
        torch.testing.assert_close(left, basis.rows.double() @ exact, atol=1e-5, rtol=1e-6)
    assert squared == pytest.approx(float(exact.dot(exact)), rel=1e-6)
    for one, again in zip(found[:3], found[3:], strict=True):
        for ours, theirs in zip(one, again, strict=True):
            torch.testing.assert_close(ours, theirs, atol=0, rtol=0)


@pytest.mark.parametrize("length", [5, 64, 131])
def test_sums_of_an_accelerator_are_by_block_too(length: int) -> None:
    """Blocks of 32, ragged or not, in the launches that a device would be given."""
    rows, vector = normal(4 * length).view(4, length), normal(length, 1)
    sums = torch.empty(-(-length // 32), 4, dtype=torch.float64)
    _batched_sums(rows, vector, 32, sums)
    expected = [rows[:, at : at + 32] @ vector[at : at + 32] for at in range(0, length, 32)]
    torch.testing.assert_close(sums, torch.stack(expected))


def test_moments_without_outliers_cost_no_product() -> None:
    values = torch.cat([torch.linspace(-1, 1, 2_000), torch.tensor([30.0, 20.0, -25.0])]).double()
    probe = normal(2_003, 1).sign()
    short = lanczos(lambda v: values * v, probe, 2)
    exact = torch.eye(2_003, dtype=torch.float64)[2_000:]
    first = short.alpha, short.beta, float(probe.dot(probe))
    ours = deflated_moments(*first, exact @ probe, values[2_000:])
    np.testing.assert_allclose(
        ours, projected_moments(lambda v: values * v, probe, exact), rtol=1e-10, atol=1e-9
    )
    none = deflated_moments(*first, [], [])
    np.testing.assert_allclose(none, [float(values.sum()), float(values.dot(values))])


@pytest.mark.parametrize("steps", [8, 11, 14])
def test_moments_of_unfinished_vectors_are_off_by_what_is_said(steps: int) -> None:
    """The first by exactly 2 (u . z)(r . z); both vanish with the residuals."""
    values = torch.cat([torch.linspace(-1, 1, 2_000), torch.tensor([5.0, 4.0, -4.5])]).double()
    probe = normal(2_003, 1)
    result = lanczos(lambda v: values * v, normal(2_003, 2), steps)
    places = [result.steps - 1, 0]
    vectors, theta = ritz_vectors(result, places), result.ritz_values[places]
    own = lanczos(lambda v: values * v, probe, 1)
    overlaps = vectors @ probe
    ours = deflated_moments(own.alpha, own.beta, float(probe.dot(probe)), overlaps, theta)
    theirs = projected_moments(lambda v: values * v, probe, vectors)
    residuals = vectors * values - torch.from_numpy(theta)[:, None] * vectors
    parts, leaks = vectors @ probe, residuals @ probe
    assert ours[0] - theirs[0] == pytest.approx(2 * float(parts @ leaks), abs=1e-9)
    first_order = 2 * float(
        (parts * (torch.from_numpy(theta) * leaks + residuals @ (values * probe))).sum()
    )
    second_order = 10 * float(residuals.norm()) ** 2 * max(1.0, float(parts.norm())) ** 2
    assert ours[1] - theirs[1] == pytest.approx(first_order, abs=second_order + 1e-9)


def test_a_state_dumped_from_a_file_is_small(tmp_path: Path) -> None:
    basis = open_basis(9_000, 8, memory_limit_bytes=0, path=tmp_path / "basis")
    state = run(lambda v: 2 * v + v.roll(1) + v.roll(-1), begin(normal(9_000).float(), basis), 5)
    arrays = dump_state(state)
    assert sum(array.nbytes for array in arrays.values()) < 200
    again = load_state(arrays, open_basis(9_000, 8, memory_limit_bytes=0, path=tmp_path / "basis"))
    assert torch.equal(again.basis.rows[:6], state.basis.rows[:6])
