"""What the chains of the code study measured: one number a chain, by seed and arm."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.report.alarms import alarms
from analysis.statistics import LEAST_FOR_INTERVAL, t_interval
from analysis.study import StudyRecord, metric_values
from collapse.numerics.completion_classes import COMPLETION_CLASSES

COLLAPSE, PARSE, BITS = "quality/collapse_rate", "quality/parse_rate", "human/bits_per_byte"
PARSE_HUMAN = f"{PARSE}_human"
FLOPS = "train/flops"
CLASSES: dict[str, str] = {kind: f"quality/class_{kind}" for kind in COMPLETION_CLASSES}
MEASURED = (
    *(FLOPS, "train/parameters", "corpus/vocabulary_size"),
    *(COLLAPSE, *CLASSES.values(), "quality/keyword_rate"),
    *(PARSE, PARSE_HUMAN, BITS),
    *("quality/identifier_diversity", "quality/copied_fraction"),
    *("quality/completion_entropy_nats", "quality/completion_top1"),
)


@dataclass(frozen=True, eq=False)
class CodeTables:
    """One number a chain.

    Attributes:
        arms: the planned arms, in order.
        seeds: the planned seeds.
        planned: the planned chains, arm and seed.
        control: what arms are compared with; None where the study has none.
        alarming: arms of which any chain's likelihoods are not to be believed.
        values: of each metric of ``MEASURED`` a table, rows seeds, columns arms, as measured at the
            last generation; nan where a chain has none.
        completions: those of the last generation, columns ``COMPLETION_COLUMNS`` of the record.
    """

    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    planned: tuple[tuple[str, int], ...]
    control: str | None
    alarming: tuple[str, ...]
    values: Mapping[str, pd.DataFrame]
    completions: pd.DataFrame

    def of(self, metric: str, arm: str) -> pd.Series:
        """An arm's measured values by seed; empty for an arm that is not planned."""
        table = self.values[metric]
        return table[arm].dropna() if arm in table else pd.Series(dtype=float)

    def mean(self, metric: str, arm: str) -> float | None:
        """Mean over the seeds that have it; None where none has."""
        values = self.of(metric, arm)
        return float(values.mean()) if len(values) else None

    def means(self, metric: str) -> dict[str, float]:
        """The same of every arm that was measured, in the study's order."""
        found = {arm: self.mean(metric, arm) for arm in self.arms}
        return {arm: mean for arm, mean in found.items() if mean is not None}

    def span(self, metric: str, arm: str) -> tuple[float, float] | None:
        """The 95 % t-interval of a mean over seeds; in a study of two seeds the two values.

        None where there are too few values for it: no figure has bars of two kinds.
        """
        values = self.of(metric, arm)
        if len(self.seeds) >= LEAST_FOR_INTERVAL:
            return t_interval(values) if len(values) >= LEAST_FOR_INTERVAL else None
        return (float(values.min()), float(values.max())) if len(values) > 1 else None

    @property
    def missing(self) -> tuple[tuple[str, int], ...]:
        """Planned chains, arm and seed, of which no completions were measured."""
        known = self.values[COLLAPSE].notna()
        return tuple((arm, seed) for arm, seed in self.planned if not known[arm][seed])

    def compute(self, arm: str) -> float | None:
        """Counted compute over the control's of the same seed, mean over seeds; None if unknown."""
        if self.control is None:
            return None
        ratios = (self.of(FLOPS, arm) / self.of(FLOPS, self.control)).dropna()
        return float(ratios.mean()) if len(ratios) else None


def code_tables(record: StudyRecord) -> CodeTables | None:
    """The numbers of a study in which completions were classed; None for any other."""
    values = {metric: _at_end(record, metric) for metric in MEASURED}
    if not values[COLLAPSE].notna().to_numpy().any():
        return None
    completions = record.completions
    planned = completions["arm"].isin(record.arms) & completions["seed"].isin(record.seeds)
    return CodeTables(
        record.arms,
        record.seeds,
        tuple((arm, seed) for arm in record.arms for seed in record.seeds_of(arm)),
        record.control,
        tuple(alarms(record)),
        values,
        completions[planned & (completions["generation"] == record.generations)],
    )


def _at_end(record: StudyRecord, metric: str) -> pd.DataFrame:
    values = metric_values(record, metric)
    table = {
        arm: [values.get((arm, seed, record.generations), np.nan) for seed in record.seeds]
        for arm in record.arms
    }
    return pd.DataFrame(table, index=list(record.seeds), dtype=float)
