"""One spectrum from an operator, against dense eigenvalues and through interruptions."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from collapse.errors import BadParameter
from collapse.probes.curvature.analysis import analyse
from collapse.probes.curvature.first_run import probe_vector
from collapse.probes.curvature.recipe import SpectrumRecipe
from collapse.stages.pieces import StoredPieces
from tests.numerics.projected import projected_moments

P, PARTS = 400, 6
RECIPE = SpectrumRecipe(least_steps=20, most_steps=60, probes=8, density_steps=6)


class Killed(Exception):
    """Stands for a kill."""


class DenseOperator:
    """The weighted mean of symmetric matrices, as if each were the Hessian of a microbatch."""

    def __init__(self, parts: np.ndarray, shares: tuple[float, ...]) -> None:
        self.parts = torch.from_numpy(parts)
        self.whole = torch.from_numpy(np.tensordot(shares, parts, 1))
        self.shares = shares
        self.device = torch.device("cpu")
        self.dtype = torch.float64
        self.dimension = parts.shape[1]
        self.products = 0
        self.dies_at = -1

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        if self.products == self.dies_at:
            raise Killed
        self.products += 1
        return self.whole @ vector

    def part(self, index: int, vector: torch.Tensor) -> torch.Tensor:
        return self.parts[index] @ vector


def spectrum_like_a_network() -> np.ndarray:
    """Five outliers of both signs over a narrow bulk."""
    rng = np.random.default_rng(1)
    bulk = np.sort(rng.normal(0.01, 0.05, P - 5))
    return np.concatenate([bulk, [-2.0, 3.0, 4.5, 7.0, 11.0]])


@pytest.fixture(scope="module")
def operator() -> DenseOperator:
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.standard_normal((P, P)))
    whole = basis * spectrum_like_a_network() @ basis.T
    noise = rng.standard_normal((PARTS, P, P)) * 0.02
    noise = noise + noise.transpose(0, 2, 1)
    shares = (0.1, 0.1, 0.2, 0.2, 0.2, 0.2)
    noise -= np.tensordot(shares, noise, 1)
    return DenseOperator(whole + noise, shares)


def test_ends_and_outliers_are_the_dense_ones(operator: DenseOperator) -> None:
    truth = np.linalg.eigvalsh(operator.whole.numpy())
    found = analyse(operator, RECIPE)
    assert found.is_certified
    assert found.top.value == pytest.approx(truth[-1], rel=1e-6)
    assert found.bottom.value == pytest.approx(truth[0], rel=1e-6)
    largest = sorted(truth, key=abs)[::-1][:3]
    np.testing.assert_allclose([one.value for one in found.outliers], largest, rtol=1e-6)


def test_bulk_agrees_with_the_dense_one_within_its_errors(operator: DenseOperator) -> None:
    truth = np.linalg.eigvalsh(operator.whole.numpy())
    found = analyse(operator, replace(RECIPE, probes=40, density_steps=1))
    order = np.argsort(-np.abs(truth))
    rest = truth[order[3:]]
    bulk = found.bulk
    assert bulk.bulk_width is not None
    assert bulk.spectral_ratio is not None
    for estimate, value in (
        (bulk.bulk_center, rest.mean()),
        (bulk.bulk_width, rest.std()),
        (bulk.spectral_ratio, truth[-1] / rest.std()),
        (bulk.trace, truth.sum()),
    ):
        assert estimate.standard_error is not None
        assert 0 < estimate.standard_error < 0.1 * abs(value) + 0.02 * abs(truth).max()
        assert abs(estimate.value - value) < 4 * estimate.standard_error


def test_moments_are_those_of_projected_probes(operator: DenseOperator) -> None:
    """The overlaps do what projecting the probes would do, without a product more."""
    found = analyse(operator, RECIPE)
    order = np.argsort(-np.abs(found.ritz_values), kind="stable")[:3]
    values = found.ritz_values[order]
    for index, sample in enumerate(found.probes):
        ours = sample.deflated_moments(values, order)
        probe = probe_vector(operator, RECIPE, index)
        theirs = projected_moments(operator, probe, found.outlier_vectors_KxP)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_density_nodes_have_unit_mass_and_are_counted(operator: DenseOperator) -> None:
    operator.products = 0
    told = []
    found = analyse(operator, RECIPE, advance=told.append)
    assert all(weights.sum() == pytest.approx(1) for _, weights in found.nodes)
    assert [len(nodes) for nodes, _ in found.nodes[1:]] == [6] * 7
    first = len(found.ritz_values)
    # The data errors look at each microbatch once a vector: probes, outliers, and the lower end.
    assert found.products == sum(told) == first + 7 * 6 + 8 + 4
    assert operator.products == first + 7 * 6


def test_sensitivity_needs_certified_outliers(operator: DenseOperator) -> None:
    short = analyse(operator, replace(RECIPE, most_steps=20))
    assert short.bulks == {}
    whole = analyse(operator, replace(RECIPE, least_steps=P, most_steps=P))
    truth = np.linalg.eigvalsh(operator.whole.numpy())
    rest = truth[np.argsort(-np.abs(truth))[10:]]
    assert whole.bulks[10].bulk_width is not None
    assert whole.bulks[10].bulk_width.value == pytest.approx(rest.std(), rel=0.1)


@pytest.mark.slow
def test_errors_over_data_are_of_the_size_that_other_data_shows() -> None:
    """Microbatches drawn anew many times: how far lambda_max moves is what the error says."""
    rng = np.random.default_rng(3)
    basis, _ = np.linalg.qr(rng.standard_normal((60, 60)))
    whole = basis * np.concatenate([rng.normal(0, 0.1, 57), [2.0, 3.0, 5.0]]) @ basis.T
    tops, errors = [], []
    for _ in range(60):
        noise = rng.standard_normal((PARTS, 60, 60)) * 0.1
        drawn = DenseOperator(whole + noise + noise.transpose(0, 2, 1), (1 / PARTS,) * PARTS)
        found = analyse(drawn, replace(RECIPE, most_steps=40, probes=2, density_steps=1))
        tops.append(found.top.value)
        errors.append(found.data_errors["lambda_max"])
    assert np.mean(np.square(errors)) ** 0.5 == pytest.approx(np.std(tops), rel=0.35)


def test_a_killed_analysis_goes_on_to_the_same_bits(
    operator: DenseOperator, tmp_path: Path
) -> None:
    whole = analyse(operator, RECIPE)
    for number, dies_at in enumerate((0, 7, len(whole.ritz_values) + 9)):
        pieces = StoredPieces(tmp_path / str(number))
        dying = DenseOperator(operator.parts.numpy(), operator.shares)
        dying.dies_at = dies_at
        with pytest.raises(Killed):
            analyse(dying, RECIPE, pieces=pieces, is_time_to_keep=lambda: True)
        dying.dies_at = -1
        made = dying.products
        again = analyse(dying, RECIPE, pieces=StoredPieces(tmp_path / str(number)))
        assert dying.products - made < RECIPE.products(PARTS) - dies_at
        assert again.top == whole.top
        assert again.bulk == whole.bulk
        assert again.data_errors == whole.data_errors
        for ours, theirs in zip(again.nodes, whole.nodes, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_run_in_a_file_goes_on_in_it_when_memory_is_free_again(
    operator: DenseOperator, tmp_path: Path
) -> None:
    whole, pieces = analyse(operator, RECIPE), StoredPieces(tmp_path / "pieces")
    tight = replace(RECIPE, basis_bytes=1, basis_path=tmp_path / "basis.bin")
    dying = DenseOperator(operator.parts.numpy(), operator.shares)
    dying.dies_at = 9
    with pytest.raises(Killed):
        analyse(dying, tight, pieces=pieces, is_time_to_keep=lambda: True)
    assert "vectors" not in pieces["first"]
    dying.dies_at = -1
    again = analyse(dying, replace(tight, basis_bytes=None), pieces=pieces)
    assert (again.top, again.bottom, again.outliers) == (whole.top, whole.bottom, whole.outliers)


def test_quick_mode_gives_the_ends_alone(operator: DenseOperator) -> None:
    found = analyse(operator, replace(RECIPE, probes=1))
    assert found.is_certified
    assert found.bulk.bulk_center.standard_error is None
    assert found.data_errors == {}
    assert found.products == len(found.ritz_values)


@pytest.mark.parametrize("wrong", [{"outliers": 0}, {"probes": 0}, {"most_steps": 19}])
def test_a_recipe_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(BadParameter, match=next(iter(wrong))):
        replace(RECIPE, **wrong)


ENDS = replace(RECIPE, probes=1, restarts=True)


def test_ends_in_a_basis_that_does_not_grow_are_those_of_one_that_does(
    operator: DenseOperator,
) -> None:
    """Six of the sixteen vectors' restarts, and the same eigenvalues to their certificates."""
    truth = np.linalg.eigvalsh(operator.whole.numpy())
    ours, whole = analyse(operator, ENDS), analyse(operator, replace(RECIPE, probes=1))
    assert ours.is_certified
    assert ENDS.basis_vectors == 16
    assert len(ours.ritz_values) < 16 < ours.products <= RECIPE.most_steps
    for one, other in zip(
        (*ours.outliers, ours.top, ours.bottom),
        (*whole.outliers, whole.top, whole.bottom),
        strict=True,
    ):
        assert abs(one.value - other.value) <= one.residual_bound + other.residual_bound
        assert np.abs(truth - one.value).min() <= one.residual_bound
    vectors = ours.outlier_vectors_KxP
    values = torch.tensor([one.value for one in ours.outliers], dtype=torch.float64)
    residuals = (vectors @ operator.whole - values[:, None] * vectors).norm(dim=1)
    assert (residuals <= torch.tensor([one.residual_bound for one in ours.outliers])).all()


def test_before_the_first_restart_a_run_is_as_any_other(operator: DenseOperator) -> None:
    """What the probe vector tells of density and moments is the unbroken run's."""
    ours, whole = analyse(operator, ENDS), analyse(operator, replace(RECIPE, probes=1))
    one, other = ours.probes[0], whole.probes[0]
    np.testing.assert_array_equal(one.alpha, other.alpha[:15])
    np.testing.assert_array_equal(one.beta, other.beta[:15])
    assert ours.bulk.bulk_center.value == pytest.approx(whole.bulk.bulk_center.value, rel=1e-6)


@pytest.mark.parametrize("room", [None, 1])
def test_a_killed_restarted_run_goes_on_to_the_same_bits(
    operator: DenseOperator, tmp_path: Path, room: int | None
) -> None:
    """From where it was; or with its basis in a file, which is turned in its place, from anew."""
    recipe = replace(ENDS, least_steps=45, basis_bytes=room, basis_path=tmp_path / "basis.bin")
    whole = analyse(operator, recipe)
    assert whole.products > 40
    dying = DenseOperator(operator.parts.numpy(), operator.shares)
    dying.dies_at = 38
    pieces = StoredPieces(tmp_path / "pieces")
    with pytest.raises(Killed):
        analyse(dying, recipe, pieces=pieces, is_time_to_keep=lambda: True)
    dying.dies_at, dying.products = -1, 0
    again = analyse(dying, recipe, pieces=pieces)
    assert dying.products == whole.products - (0 if room else 38)
    assert (again.top, again.bottom, again.outliers) == (whole.top, whole.bottom, whole.outliers)
    assert torch.equal(again.outlier_vectors_KxP, whole.outlier_vectors_KxP)
    assert again.products == whole.products


def test_memory_changes_no_bit_of_a_restarted_run(operator: DenseOperator, tmp_path: Path) -> None:
    free = analyse(operator, ENDS)
    tight = analyse(operator, replace(ENDS, basis_bytes=1, basis_path=tmp_path / "basis.bin"))
    assert (tmp_path / "basis.bin").stat().st_size == 16 * P * 8
    assert (tight.top, tight.bottom, tight.outliers) == (free.top, free.bottom, free.outliers)


def test_a_restarted_run_has_no_further_probe_vectors() -> None:
    with pytest.raises(BadParameter, match="probes=2 with restarts"):
        replace(ENDS, probes=2)
