"""Errors over data against the jackknife with dense eigenvalues, and against data drawn anew."""

from dataclasses import replace

import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.numerics.spectrum import BatchSamples, Outlier, batch_errors

P, K = 40, 3
TOP = np.array([-4.0, 5.0, 7.0])
NAMES = (
    "lambda_max",
    "lambda_min",
    "range",
    "trace",
    "bulk_center",
    "bulk_width",
    "spectral_ratio",
    "outlier_separation",
    "frobenius",
    "variance",
)


def symmetric_noise(rng: np.random.Generator, count: int, size: float) -> np.ndarray:
    noise = rng.standard_normal((count, P, P)) * size
    return (noise + noise.transpose(0, 2, 1)) / 2


def population(rng: np.random.Generator) -> np.ndarray:
    basis, _ = np.linalg.qr(rng.standard_normal((P, P)))
    return basis * np.concatenate([rng.normal(0.2, 0.5, P - K), TOP]) @ basis.T


def dense_numbers(matrix: np.ndarray) -> dict[str, float]:
    """All that is estimated, from dense eigenvalues."""
    values = np.linalg.eigvalsh(matrix)
    order = np.argsort(-np.abs(values))
    out, rest = values[order[:K]], values[order[K:]]
    return {
        "lambda_max": values[-1],
        "lambda_min": values[0],
        "range": values[-1] - values[0],
        "trace": values.sum(),
        "bulk_center": rest.mean(),
        "bulk_width": rest.std(),
        "spectral_ratio": values[-1] / rest.std(),
        "outlier_separation": (out[out > 0].min() - rest.mean()) / rest.std(),
        "frobenius": np.linalg.norm(values),
        "variance": values.var(),
    }


def samples_of(
    parts: np.ndarray, shares: np.ndarray
) -> tuple[BatchSamples, list[Outlier], Outlier, Outlier]:
    """Exact samples: as probe vectors a whole orthogonal basis, so that no probe noise is left."""
    whole = np.tensordot(shares, parts, 1)
    values, vectors = np.linalg.eigh(whole)
    order = np.argsort(-np.abs(values))[:K]
    u = vectors[:, order]
    inside = P**0.5 * (np.eye(P) - u @ u.T)
    outside = whole @ inside

    def quadratic(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        return (left * (parts @ right)).sum(1)

    quotient = quadratic(vectors, vectors)
    samples = BatchSamples(
        shares_M=shares,
        outliers_MxK=quotient[:, order],
        lambda_max_M=quotient[:, -1],
        lambda_min_M=quotient[:, 0],
        traces_MxN=quadratic(inside, inside),
        crosses_MxN=quadratic(outside, inside),
        squared_norms_N=(outside**2).sum(0),
    )
    certified = [Outlier(float(value), 0.0, 1.0, True) for value in values]
    return samples, [certified[i] for i in order], certified[-1], certified[0]


def exact_jackknife(parts: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """Dense eigenvalues without each part in turn; parts of unequal size after Busing et al."""
    whole = np.tensordot(shares, parts, 1)
    left = [
        dense_numbers((whole - share * part) / (1 - share))
        for share, part in zip(shares, parts, strict=True)
    ]
    errors = {}
    for name, value in dense_numbers(whole).items():
        pseudo = np.array(
            [value / w - (1 / w - 1) * one[name] for w, one in zip(shares, left, strict=True)]
        )
        center = shares.size * value - sum(
            (1 - w) * one[name] for w, one in zip(shares, left, strict=True)
        )
        errors[name] = np.sqrt(np.mean((pseudo - center) ** 2 * shares / (1 - shares)))
    return errors


@pytest.mark.parametrize("shares", [np.full(8, 1 / 8), np.array([1, 1, 2, 2, 3, 3, 4, 4]) / 20])
def test_errors_are_the_exact_jackknife_to_first_order(shares: np.ndarray) -> None:
    """What first order leaves out shrinks with the noise."""
    rng = np.random.default_rng(0)
    whole, noise = population(rng), symmetric_noise(rng, 8, 1.0)
    off = []
    for size in (0.02, 0.002):
        parts = whole + size * noise
        samples, *spectrum = samples_of(parts, shares)
        ours, exact = batch_errors(samples, *spectrum, P), exact_jackknife(parts, shares)
        off.append(max(abs(ours[name] / exact[name] - 1) for name in NAMES))
    assert off[0] < 0.1
    assert off[1] < 0.15 * off[0]
    assert set(NAMES) <= set(ours)


@pytest.mark.parametrize("sizes", [[16] * 8, [4, 4, 8, 8, 16, 24, 32, 32]])
@pytest.mark.slow
def test_errors_are_those_that_other_data_shows(sizes: list[int]) -> None:
    """Parts drawn anew: the root mean square error is the true standard deviation."""
    rng = np.random.default_rng(1)
    whole, shares = population(rng), np.array(sizes) / 128
    numbers, squares = [], []
    for _ in range(100):
        spread = 0.8 / np.sqrt(sizes)
        parts = whole + symmetric_noise(rng, 8, 1.0) * spread[:, None, None]
        samples, *spectrum = samples_of(parts, shares)
        numbers.append(dense_numbers(np.tensordot(shares, parts, 1)))
        squares.append({k: v**2 for k, v in batch_errors(samples, *spectrum, P).items()})
    for name in NAMES:
        truth = np.std([one[name] for one in numbers])
        told = np.sqrt(np.mean([one[name] for one in squares]))
        # 100 draws know the truth to 7 %.
        assert told == pytest.approx(truth, rel=0.25), name


def test_no_error_of_what_has_no_value() -> None:
    rng = np.random.default_rng(2)
    parts = population(rng) + symmetric_noise(rng, 4, 0.1)
    samples, outliers, top, bottom = samples_of(parts, np.full(4, 0.25))
    loose = replace(outliers[1], certified=False)
    errors = batch_errors(samples, [outliers[0], loose, outliers[2]], top, bottom, P)
    assert "spectral_ratio" not in errors
    assert "outlier_separation" not in errors
    assert errors["bulk_width"] > 0


def test_equal_parts_leave_no_error() -> None:
    parts = np.repeat(population(np.random.default_rng(3))[None], 5, axis=0)
    samples, *spectrum = samples_of(parts, np.array([0.1, 0.2, 0.2, 0.2, 0.3]))
    assert max(batch_errors(samples, *spectrum, P).values()) < 1e-9


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.4], [1.5, -0.5]])
def test_shares_that_cannot_be_are_refused(shares: list[float]) -> None:
    parts = np.repeat(population(np.random.default_rng(3))[None], 2, axis=0)
    samples, *spectrum = samples_of(parts, np.array([0.5, 0.5]))
    with pytest.raises(BadParameter, match="with sum 1"):
        batch_errors(replace(samples, shares_M=np.array(shares)), *spectrum, P)
