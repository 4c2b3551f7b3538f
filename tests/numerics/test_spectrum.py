"""Density, certificates, deflated bulk and the seed's ratio against closed forms."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from collapse.errors import BadParameter
from collapse.numerics.lanczos import lanczos, ritz_vectors
from collapse.numerics.spectrum import (
    Outlier,
    certify_extremes,
    certify_outliers,
    deflated_bulk,
    legacy_spectrum,
    negative_share,
    slq_density,
)
from tests.numerics.projected import projected_moments

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "published" / "recursion_102m"
GENERATIONS = range(6)

NODES = [np.array([-2.0, 0.0, 5.0]), np.array([-1.0, 0.5, 5.1])]
WEIGHTS = [np.array([0.2, 0.7, 0.1]), np.array([0.4, 0.55, 0.05])]


def test_density_is_the_mixture_of_gaussians_that_it_says() -> None:
    made = slq_density(NODES, WEIGHTS, relative_bandwidth=0.02)
    assert made.bandwidth == pytest.approx(0.02 * 7.1)
    curves = [
        sum(w * norm.pdf(made.grid, t, made.bandwidth) for t, w in zip(*pair, strict=True))
        for pair in zip(NODES, WEIGHTS, strict=True)
    ]
    assert np.allclose(made.density, np.mean(curves, axis=0), atol=1e-7)
    assert made.standard_error is not None
    assert np.allclose(made.standard_error, np.abs(curves[0] - curves[1]) / 2, atol=1e-7)
    assert slq_density(NODES[:1], WEIGHTS[:1]).standard_error is None


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(1e-6, 1e6),
    bandwidth=st.floats(0.003, 0.3),
    points=st.integers(2, 20),
    seed=st.integers(0, 99),
)
def test_density_has_unit_mass_and_scales_with_its_spectrum(
    scale: float, bandwidth: float, points: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    nodes, weights = random.normal(size=(3, 9)), random.dirichlet(np.ones(9), size=3)
    draw = partial(slq_density, relative_bandwidth=bandwidth, points_per_bandwidth=points)
    one = draw(list(nodes), list(weights))
    other = draw(list(scale * nodes), list(weights))
    assert np.trapezoid(one.density, one.grid) == pytest.approx(1, abs=1e-12)
    assert np.trapezoid(other.density, other.grid) == pytest.approx(1, abs=1e-12)
    assert other.bandwidth == pytest.approx(scale * one.bandwidth)
    if len(one.grid) == len(other.grid):
        assert np.allclose(other.density * scale, one.density, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("value", [0.0, -7.0, 1e-6])
def test_density_of_a_single_eigenvalue(value: float) -> None:
    made = slq_density([[value]], [[1.0]])
    assert np.trapezoid(made.density, made.grid) == pytest.approx(1)
    assert made.grid[made.density.argmax()] == pytest.approx(value, abs=made.bandwidth)


def test_density_finds_the_semicircle() -> None:
    """A GOE matrix of unit scale has density sqrt(4 - x^2) / 2 pi (Wigner)."""
    generator = torch.Generator().manual_seed(1)
    square = torch.randn(600, 600, dtype=torch.float64, generator=generator)
    matrix = (square + square.T) / 1_200**0.5
    runs = []
    for _ in range(4):
        start = torch.randn(600, dtype=torch.float64, generator=generator)
        runs.append(lanczos(lambda v: matrix @ v, start, 40))
    made = slq_density(
        [r.ritz_values for r in runs], [r.weights for r in runs], relative_bandwidth=0.05
    )
    inside = np.abs(made.grid) < 1.5
    truth = np.sqrt(4 - made.grid[inside] ** 2) / (2 * np.pi)
    assert np.abs(made.density[inside] - truth).max() < 0.04


def test_outliers_are_certified_by_bound_beside_magnitude_and_gap() -> None:
    values = [-9.0, -1.0, 0.0, 2.0, 9.9, 10.0]
    bounds = [0.01, 0.3, 0.3, 0.3, 0.06, 0.01]
    made = certify_outliers(values, bounds, 4)
    assert [outlier.value for outlier in made] == [10.0, 9.9, -9.0, 2.0]
    # 9.9: below 1 % of its magnitude, yet more than half its gap to 10.
    assert [outlier.certified for outlier in made] == [True, False, True, False]
    assert made[2].gap == pytest.approx(8.0)
    assert len(certify_outliers(values, bounds, 99)) == 6
    assert not certify_outliers(values, bounds, 1, rounding=0.5)[0].certified
    low, high = certify_extremes(values, bounds)
    assert (low.value, high.value) == (-9.0, 10.0)
    alone = certify_outliers([3.0], [0.0], 1)[0]
    assert alone.certified
    assert alone.gap == float("inf")


def prescribed() -> tuple[np.ndarray, np.ndarray]:
    """Outliers, and a bulk of 4,000 eigenvalues in another order than theirs."""
    bulk = np.random.default_rng(3).normal(0.1, 0.5, 4_000)
    return np.array([40.0, -30.0, 25.0]), bulk


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_deflated_bulk_finds_the_moments_of_what_is_left(scale: float) -> None:
    top, bulk = (scale * part for part in prescribed())
    values = torch.from_numpy(np.concatenate([bulk, top]))
    generator = torch.Generator().manual_seed(0)

    def draw() -> torch.Tensor:
        return torch.randn(4_003, dtype=torch.float64, generator=generator)

    result = lanczos(lambda v: values * v, draw(), 30)
    outliers = certify_outliers(result.ritz_values, result.residual_bounds, 3)
    _, lambda_max = certify_extremes(result.ritz_values, result.residual_bounds)
    places = [int(np.abs(result.ritz_values - o.value).argmin()) for o in outliers]
    vectors = ritz_vectors(result, places)
    samples = [projected_moments(lambda v: values * v, draw(), vectors) for _ in range(8)]
    traces, squares = zip(*samples, strict=True)
    made = deflated_bulk(outliers, lambda_max, traces, squares, 4_003)
    assert made.bulk_width is not None
    assert made.spectral_ratio is not None
    assert made.outlier_separation is not None
    centre, width = bulk.mean(), bulk.std()
    for found, truth in [
        (made.bulk_center, centre),
        (made.bulk_width, width),
        (made.spectral_ratio, 40 * scale / width),
        (made.outlier_separation, (25 * scale - centre) / width),
        (made.trace, values.sum()),
        (made.frobenius, values.norm()),
    ]:
        assert found.standard_error is not None
        assert found.standard_error > 0
        assert abs(found.value - float(truth)) < 4 * found.standard_error
    assert made.bulk_width.standard_error < 0.02 * width
    assert made.bulk_center.standard_error == pytest.approx(
        np.std([trace for trace, _ in samples], ddof=1) / 8**0.5 / 4_000
    )


def test_rademacher_samples_of_a_diagonal_are_exact() -> None:
    """On a diagonal operator z_i^2 = 1 leaves no noise: the formulas themselves are tested."""
    top, bulk = prescribed()
    values = torch.from_numpy(np.concatenate([bulk, top]))
    vectors = torch.eye(4_003, dtype=torch.float64)[-3:]
    outliers = [Outlier(float(value), 0.0, 1.0, True) for value in top]
    sign = torch.ones(4_003, dtype=torch.float64)
    sign[::3] = -1
    trace, squared = projected_moments(lambda v: values * v, sign, vectors)
    made = deflated_bulk(outliers, outliers[0], [trace], [squared], 4_003)
    assert made.bulk_width is not None
    assert made.bulk_center.value == pytest.approx(bulk.mean(), rel=1e-12)
    assert made.bulk_width.value == pytest.approx(bulk.std(), rel=1e-12)
    assert made.trace.value == pytest.approx(bulk.sum() + 35, rel=1e-12)
    assert made.frobenius.value == pytest.approx(float(values.norm()), rel=1e-12)
    assert made.bulk_width.standard_error is None


def test_no_ratio_without_certificates_or_width() -> None:
    good, bad = Outlier(10.0, 0.0, 5.0, True), Outlier(8.0, 1.0, 2.0, False)
    for outliers, top in [([good, bad], good), ([good], bad)]:
        made = deflated_bulk(outliers, top, [1.0, 2.0], [90.0, 95.0], 100)
        assert made.spectral_ratio is None
        assert made.outlier_separation is None
        assert made.bulk_width is not None
    impossible = deflated_bulk([good], good, [500.0], [1.0], 100)
    assert impossible.bulk_width is None
    assert impossible.spectral_ratio is None
    flat = deflated_bulk([good], good, [0.0], [0.0], 100)
    assert flat.bulk_width is not None
    assert flat.bulk_width.value == 0
    assert flat.spectral_ratio is None
    negative = Outlier(-10.0, 0.0, 5.0, True)
    assert deflated_bulk([negative], good, [1.0], [90.0], 100).outlier_separation is None


def test_negative_share_weighs_by_magnitude() -> None:
    made = negative_share(NODES, WEIGHTS)
    assert made is not None
    below, whole = (0.4 + 0.4) / 2, (0.9 + 0.4 + 0.275 + 0.255) / 2
    assert made.value == pytest.approx(below / whole)
    assert negative_share([[0.0]], [[1.0]]) is None
    positive = negative_share([[1.0]], [[1.0]])
    assert positive is not None
    assert positive.value == 0


def test_what_cannot_be_is_refused_in_one_line() -> None:
    good = Outlier(1.0, 0.0, 1.0, True)
    for call, words in [
        (lambda: slq_density([], []), "0 sets"),
        (lambda: slq_density([[1.0]], [[0.5]]), "sum 0.5"),
        (lambda: slq_density([[1.0]], [[0.5, 0.5]]), "2 weights"),
        (lambda: slq_density([[1.0]], [[1.0]], relative_bandwidth=0), "positive"),
        (lambda: certify_outliers([1.0], [0.0], 0), "0 outliers"),
        (lambda: certify_outliers([1.0], [0.0, 1.0]), "2 bounds"),
        (lambda: deflated_bulk([], good, [], [], 5), "0 samples|0 and 0 samples"),
        (lambda: deflated_bulk([good], good, [1.0], [1.0], 1), "no bulk"),
        (lambda: legacy_spectrum([1.0]), "1 Ritz"),
        (lambda: legacy_spectrum([1.0, 1.0]), "2 Ritz"),
    ]:
        with pytest.raises(BadParameter, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_legacy_spectrum_by_hand() -> None:
    made = legacy_spectrum(range(21), [-50.0, 12.0])
    # The 95th percentile of 0 to 20 is 19 itself: strictly below are 0 to 18.
    assert made.bulk_center == 9
    assert made.bulk_width == pytest.approx(((19**2 - 1) / 12) ** 0.5)
    assert made.spectral_ratio == pytest.approx(12 / 30**0.5)
    assert made.iqr_ratio == pytest.approx(1.2)
    assert legacy_spectrum(range(21)).iqr_ratio == pytest.approx(2)
    assert legacy_spectrum([1.0, 1.0, 5.0]).spectral_ratio is None


@pytest.fixture(scope="module")
def published() -> list[dict]:
    if not PUBLISHED.is_dir():
        pytest.skip("the published numbers are not beside this checkout")
    return [json.loads((PUBLISHED / f"generation_{g}.json").read_text()) for g in GENERATIONS]


def test_legacy_spectrum_replays_the_raw_published_numbers(published: list[dict]) -> None:
    for raw in published:
        made = legacy_spectrum(raw["eigenvalue_density"], raw["top_eigenvalues"])
        assert made.bulk_center == pytest.approx(raw["bulk_center"], rel=1e-12)
        assert made.bulk_width == pytest.approx(raw["bulk_width"], rel=1e-12)
        assert made.spectral_ratio == pytest.approx(raw["spectral_ratio"], rel=1e-12)


def test_legacy_spectrum_replays_the_printed_table(published: list[dict]) -> None:
    """STUDIES R1.6, to every printed digit."""
    made = [legacy_spectrum(raw["eigenvalue_density"], raw["top_eigenvalues"]) for raw in published]
    assert [f"{m.spectral_ratio:.2f}" for m in made] == [
        "3.77",
        "3.48",
        "3.12",
        "2.10",
        "1.78",
        "2.16",
    ]
    assert [f"{m.iqr_ratio:.2f}" for m in made] == ["1.94", "1.98", "1.66", "1.12", "0.96", "1.14"]
    first, *later = [m.spectral_ratio or 0.0 for m in made]
    loss = [100 * (1 - ratio / first) for ratio in later]
    assert [f"{percent:.0f}" for percent in loss] == ["8", "17", "44", "53", "43"]
    centre, width = [m.bulk_center for m in made], [m.bulk_width for m in made]
    assert (f"{centre[0]:.2f}", f"{min(centre):.2f}") == ("6.54", "-27.45")
    assert (f"{width[0]:.2f}", f"{max(width):.2f}") == ("6.86", "61.82")
