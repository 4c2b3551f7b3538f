"""What is read again off a stored tridiagonal, and overlaps with Ritz vectors."""

import numpy as np
import pytest
import torch

from collapse.errors import BadParameter
from collapse.numerics.lanczos import LanczosResult, lanczos, ritz_vectors
from collapse.numerics.lanczos.overlaps import ritz_overlaps, subspace_overlap
from collapse.numerics.spectrum.tridiagonal import gauss_nodes, negative_mass


def run_on(spectrum: np.ndarray, steps: int, seed: int) -> LanczosResult:
    """A run on a diagonal operator, which is as good as any to Lanczos."""
    diagonal = torch.from_numpy(spectrum)
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(len(spectrum), generator=generator, dtype=torch.float64)
    return lanczos(lambda vector: diagonal * vector, start, steps)


def mass_of(runs: list[LanczosResult], reference: float) -> tuple[float, float]:
    found = negative_mass([one.alpha for one in runs], [one.beta for one in runs], reference)
    assert found.standard_error is not None
    return found.value, found.standard_error


def test_nodes_are_those_of_the_run_and_of_any_prefix_of_it() -> None:
    spectrum = np.random.default_rng(0).normal(size=300)
    whole, short = run_on(spectrum, 30, 1), run_on(spectrum, 12, 1)
    nodes, weights = gauss_nodes(whole.alpha, whole.beta)
    np.testing.assert_array_equal(nodes, whole.ritz_values)
    np.testing.assert_array_equal(weights, whole.weights)
    nodes, weights = gauss_nodes(whole.alpha, whole.beta, 12)
    np.testing.assert_allclose(nodes, short.ritz_values, atol=1e-12)
    assert weights.sum() == pytest.approx(1)


def test_nodes_integrate_polynomials_exactly() -> None:
    """Closed form: m nodes give the moments up to 2m - 1 of 3 eigenvalues in known shares."""
    shares = np.array([0.2, 0.3, 0.5])
    alpha_beta = run_with_weights(np.array([-1.0, 0.5, 2.0]), shares)
    nodes, weights = gauss_nodes(*alpha_beta, 2)
    for power in range(4):
        moment = shares @ np.array([-1.0, 0.5, 2.0]) ** power
        assert weights @ nodes**power == pytest.approx(moment)


def run_with_weights(values: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    diagonal = torch.from_numpy(values)
    result = lanczos(lambda vector: diagonal * vector, torch.from_numpy(shares**0.5), 3)
    return result.alpha, result.beta


def test_a_negative_part_that_stands_clear_is_measured_sharply() -> None:
    rng = np.random.default_rng(2)
    spectrum = np.concatenate([np.full(600, 1e-9), rng.uniform(-0.5, -0.3, 200), [10.0, 20.0]])
    value, error = mass_of([run_on(spectrum, 30, seed) for seed in range(6)], 20.0)
    assert value == pytest.approx(200 / 802, abs=4 * error)
    assert error < 0.03


def test_a_spike_at_the_threshold_is_said_to_be_unresolved() -> None:
    """Seven tenths of the spectrum in a spike around the threshold: no 12 nodes can part it."""
    rng = np.random.default_rng(4)
    spike = rng.normal(-0.02, 0.03, 1400)
    spectrum = np.concatenate([spike, rng.normal(0, 3.0, 600), [20.0]])
    truth = float((spectrum < -0.02).mean())
    value, error = mass_of([run_on(spectrum, 12, seed) for seed in range(3)], 20.0)
    assert error > 0.05
    assert abs(value - truth) < 3 * error


def test_mass_of_one_step_is_by_hand() -> None:
    """One node a probe vector, all its mass: two of three lie below -0.001 of 10."""
    value, error = mass_of_alphas([[-1.0], [-0.011], [-0.009]], 10.0)
    assert value == pytest.approx(2 / 3)
    assert error == pytest.approx(1 / 3)  # over probes alone: sd of (1, 1, 0) over root 3


def mass_of_alphas(alphas: list[list[float]], reference: float) -> tuple[float, float]:
    found = negative_mass(alphas, [[0.0]] * len(alphas), reference)
    assert found.standard_error is not None
    return found.value, found.standard_error


def test_mass_refuses_what_has_no_scale() -> None:
    with pytest.raises(BadParameter, match="must be positive"):
        negative_mass([[1.0]], [[0.0]], 0.0)
    with pytest.raises(BadParameter, match="one of each"):
        negative_mass([[1.0]], [], 1.0)
    with pytest.raises(BadParameter, match="3 steps"):
        gauss_nodes([1.0, 2.0], [0.5], 3)


def test_overlaps_are_those_with_the_vectors_made() -> None:
    result = run_on(np.random.default_rng(0).normal(size=500), 25, 1)
    vectors = ritz_vectors(result, range(25))
    probe = torch.randn(500, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    np.testing.assert_allclose(ritz_overlaps(result, probe), (vectors @ probe).numpy(), atol=1e-10)


def test_subspace_overlap_is_known_for_known_angles() -> None:
    e = torch.eye(6, dtype=torch.float64)
    assert subspace_overlap(e[:3], e[:3]) == pytest.approx(1)
    assert subspace_overlap(e[:3], e[3:]) == pytest.approx(0)
    assert subspace_overlap(e[:2], e[:3]) == pytest.approx(1)
    tilted = torch.stack([0.6 * e[0] + 0.8 * e[5], e[1]])
    assert subspace_overlap(e[:2], tilted) == pytest.approx((0.36 + 1) / 2)
    # A rotation inside the subspace changes nothing.
    turned = torch.stack([0.6 * e[0] + 0.8 * e[1], -0.8 * e[0] + 0.6 * e[1]])
    assert subspace_overlap(e[:2], turned) == pytest.approx(1)
