"""Made-up spectra: of diagonal operators whose eigenvalues drift as the made-up studies do."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from analysis.study import OUTLIER_COLUMNS, SPECTRUM_COLUMNS, StudyRecord
from collapse.numerics.lanczos import LanczosResult, lanczos
from collapse.numerics.spectrum import certify_extremes, certify_outliers
from tests.analysis.made_up_study import DRIFT

DIMENSION, STEPS, PROBES = 300, 16, 3


def made_up_eigenvalues(arm: str, seed: int, generation: int) -> np.ndarray:
    """A bulk of width 0.05, three positive outliers, one negative one that drifts away."""
    drift = DRIFT[arm] * generation
    noise = np.random.default_rng([seed, generation, len(arm) if generation else 0])
    bulk = noise.normal(0.002, 0.05 * (1 + 0.2 * drift), DIMENSION - 5)
    ends = np.array([8.0 * (1 + 0.3 * drift), 5.0, 3.0, -0.5, -1.0 - 2.0 * drift])
    return np.concatenate([bulk, ends * noise.normal(1, 0.01, 5)])


def made_up_runs(eigenvalues: np.ndarray, seed: int) -> list[LanczosResult]:
    values = torch.from_numpy(eigenvalues)
    generator = torch.Generator().manual_seed(seed)
    starts = [torch.randn(len(values), dtype=torch.float64, generator=generator) for _ in range(3)]
    return [lanczos(lambda v: values * v, start, STEPS) for start in starts]


def with_spectra(record: StudyRecord, texts: tuple[str, ...] = ("human",)) -> StudyRecord:
    """The same study, with a Hessian of every generation."""
    metrics, spectra, outliers = [], [], []
    for text in texts:
        for arm in record.arms:
            for seed in record.seeds:
                for generation in range(record.generations + 1):
                    place = (arm, seed, generation)
                    eigenvalues = made_up_eigenvalues(*place)
                    runs = made_up_runs(eigenvalues, seed)
                    found = made_up_metrics(eigenvalues, runs)
                    metrics += [(*place, f"hessian/{text}/{n}", v) for n, v in found.items()]
                    spectra += [
                        (*place, text, probe, step, alpha, beta)
                        for probe, run in enumerate(runs)
                        for step, (alpha, beta) in enumerate(zip(run.alpha, run.beta, strict=True))
                    ]
                    outliers += [(*place, text, *row) for row in made_up_certificates(runs[0])]
    columns = ["arm", "seed", "generation", "metric", "value"]
    measurements = pd.concat([record.measurements, pd.DataFrame(metrics, columns=columns)])
    return replace(
        record,
        measurements=measurements,
        spectra=pd.DataFrame(spectra, columns=list(SPECTRUM_COLUMNS)),
        outliers=pd.DataFrame(outliers, columns=list(OUTLIER_COLUMNS)),
    )


def made_up_metrics(eigenvalues: np.ndarray, runs: list[LanczosResult]) -> dict[str, float]:
    largest = np.sort(np.abs(eigenvalues))[::-1][:3]
    bulk = eigenvalues[np.abs(eigenvalues) < largest.min()]
    top, bottom = float(eigenvalues.max()), float(eigenvalues.min())
    return {
        "lambda_max": top,
        "lambda_min": bottom,
        "lambda_max_over_abs_min": top / abs(bottom),
        "trace": float(eigenvalues.sum()),
        "trace_se": 0.1,
        "bulk_center": float(bulk.mean()),
        "bulk_width": float(bulk.std()),
        "bulk_width_se": 0.003,
        "bulk_width_data_se": 0.004,
        "spectral_ratio": top / float(bulk.std()),
        "legacy_ratio": 2.5,
        "negative_share": float(-eigenvalues[eigenvalues < 0].sum() / np.abs(eigenvalues).sum()),
        "certified": 1.0,
        "products": float(sum(run.steps for run in runs)),
        "orthogonality": runs[0].orthogonality,
    }


def made_up_certificates(run: LanczosResult) -> list[tuple[str, float, float, bool]]:
    found = certify_outliers(run.ritz_values, run.residual_bounds, 3)
    low, high = certify_extremes(run.ritz_values, run.residual_bounds)
    named = [*((str(rank), one) for rank, one in enumerate(found, start=1)),
             ("lambda_max", high), ("lambda_min", low)]  # fmt: skip
    return [(rank, one.value, one.residual_bound, one.certified) for rank, one in named]
