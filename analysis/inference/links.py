"""Spectral metrics against traditional ones over time, for a study (R2.6)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.inference.correlations import (
    LEAST_SEEDS,
    Array,
    Links,
    RepeatedMeasures,
    links,
    repeated_measures_correlation,
)
from analysis.study import StudyRecord, chain_values, metric_values
from collapse.numerics.streams import numpy_stream


@dataclass(frozen=True, eq=False)
class LinkTable:
    """Every spectral metric against every traditional one.

    Attributes:
        spectral: the M rows.
        traditional: the K columns.
        naive: M x K repeated-measures correlations, None where there is too little.
        levels: residuals over seeds of each arm and generation: the ones that count.
        changes: the same of changes from one generation to the next.
        n_seeds: seeds with any chain.
        arms: the arms that are in it, those with at least two seeds.
    """

    spectral: tuple[str, ...]
    traditional: tuple[str, ...]
    naive: tuple[tuple[RepeatedMeasures | None, ...], ...]
    levels: Links
    changes: Links
    n_seeds: int
    arms: tuple[str, ...]


def link_table(
    record: StudyRecord, spectral: Sequence[str], traditional: Sequence[str]
) -> LinkTable | None:
    """Correlate over generations after 0, which the arms of a seed share; changes begin at 0.

    Args:
        record: the study.
        spectral: the metrics of one kind.
        traditional: the metrics of the other.

    Returns:
        None without metrics of both kinds, or with fewer than four seeds or two generations.
    """
    arms = tuple(arm for arm in record.arms if len(record.seeds_of(arm)) > 1)
    x, y = (_values(record, metrics, arms) for metrics in (spectral, traditional))
    if not len(x) or not len(y) or not arms or record.generations < 2:
        return None
    both_S = np.isfinite(x).any(axis=(0, 1, 3)) & np.isfinite(y).any(axis=(0, 1, 3))
    if both_S.sum() < LEAST_SEEDS:
        return None
    x, y = x[:, :, both_S], y[:, :, both_S]
    naive = tuple(tuple(_naive(one, other) for other in y[..., 1:]) for one in x[..., 1:])
    return LinkTable(
        tuple(spectral),
        tuple(traditional),
        naive,
        links(x[..., 1:], y[..., 1:], numpy_stream(0, "links", "levels")),
        links(np.diff(x), np.diff(y), numpy_stream(0, "links", "changes")),
        int(both_S.sum()),
        arms,
    )


def links_table(found: LinkTable) -> pd.DataFrame:
    """One row a pair of metrics, for a file; missing numbers are nan."""
    rows = []
    for m, spectral in enumerate(found.spectral):
        for k, traditional in enumerate(found.traditional):
            naive = found.naive[m][k]
            row: dict[str, object] = {
                "spectral": spectral,
                "traditional": traditional,
                "n_seeds": found.n_seeds,
                "r_repeated_measures": naive.r if naive else np.nan,
                "p_repeated_measures": naive.p if naive else np.nan,
                "r": found.levels.r_MxK[m, k],
                "lower": found.levels.lower_MxK[m, k],
                "upper": found.levels.upper_MxK[m, k],
                "p": found.levels.p_MxK[m, k],
                "p_corrected": found.levels.corrected_MxK[m, k],
                "r_changes": found.changes.r_MxK[m, k],
                "p_changes": found.changes.p_MxK[m, k],
                "p_changes_corrected": found.changes.corrected_MxK[m, k],
            }
            rows.append(row)
    return pd.DataFrame(rows)


def _naive(x_AxSxG: Array, y_AxSxG: Array) -> RepeatedMeasures | None:
    generations = x_AxSxG.shape[-1]
    return repeated_measures_correlation(
        x_AxSxG.reshape(-1, generations), y_AxSxG.reshape(-1, generations)
    )


def _values(record: StudyRecord, metrics: Sequence[str], arms: Sequence[str]) -> Array:
    """(metrics, arms, seeds, generations), nan where it was not measured or not planned."""
    shape = (len(metrics), len(arms), len(record.seeds), record.generations + 1)
    found = np.full(shape, np.nan)
    for m, metric in enumerate(metrics):
        values = metric_values(record, metric)
        for a, arm in enumerate(arms):
            # Seeds are planned from the first one on.
            for s, seed in enumerate(record.seeds_of(arm)):
                chain = chain_values(values, arm, seed)
                found[m, a, s, chain.index.to_numpy(dtype=int)] = chain.to_numpy(dtype=float)
    return found
