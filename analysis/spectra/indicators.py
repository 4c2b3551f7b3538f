"""Spectra of Hessians over a study: their negative mass, certificates, and indicators of collapse.

The four indicators are those of the first seed (R1.7). Beside them stands what the seed left out:
the negative end of the spectrum, which is what its ratio really followed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from analysis.claims.effects import effect, paired_differences
from analysis.metrics import TEXTS
from analysis.statistics import least_sign_flip_p
from analysis.study import MEASUREMENT_COLUMNS, StudyRecord, metric_values
from analysis.titles import arm_changes
from analysis.trends import arm_trend
from collapse.numerics.spectrum import negative_mass


@dataclass(frozen=True)
class Indicator:
    """Something that a spectrum is said to do when a model collapses.

    Attributes:
        name: in words.
        stem: the last part of its metric's name.
        claimed: what the seed says it does; ``moves`` is either way, and ``""`` is a number that
            the seed makes no claim on.
    """

    name: str
    stem: str
    claimed: Literal["falls", "rises", "moves", ""] = ""

    def is_shown_by(self, word: str) -> bool:
        """Whether a trend is the claimed one."""
        return word == self.claimed or (self.claimed == "moves" and word in {"falls", "rises"})


INDICATORS = (
    Indicator("Ratio decline", "spectral_ratio", "falls"),
    Indicator("Bulk-centre shift", "bulk_center", "moves"),
    Indicator("Eigenvalue explosion", "lambda_max", "rises"),
    Indicator("Width increase", "bulk_width", "rises"),
)
BESIDE = (
    Indicator("Smallest eigenvalue", "lambda_min"),
    Indicator("Largest / |smallest|", "lambda_max_over_abs_min"),
    Indicator("Negative eigenvalues", "negative_mass"),
    Indicator("Negative curvature", "negative_share"),
    Indicator("The seed's ratio", "legacy_ratio"),
)
INDICATOR_COLUMNS = (
    *("indicator", "claimed", "metric", "arm", "n_chains", "start", "end", "error"),
    *("slope", "slope_lower", "slope_upper", "tau", "trend"),
    *("n_pairs", "difference", "lower", "upper", "p", "least_p"),
)


def spectral_texts(record: StudyRecord) -> tuple[str, ...]:
    """The texts on which a spectrum was taken, human first."""
    return tuple(t for t in TEXTS if len(metric_values(record, f"hessian/{t}/lambda_max")))


@lru_cache(maxsize=len(TEXTS))  # a report asks for it in its words, its figures and its table
def indicators_table(record: StudyRecord, text: str) -> pd.DataFrame:
    """The four indicators and what belongs beside them, for every arm.

    Args:
        record: the study.
        text: human or own.

    Returns:
        Columns ``INDICATOR_COLUMNS``: means at generation 0 and at the last one measured; the
        standard error of one spectrum's number there (probe vectors and batches together, mean
        over chains; missing where not measured); the trend over generations, chains being the
        unit; and the paired difference from the control at that last generation. A metric that
        nothing measured has rows with the trend ``not measured``; missing numbers are nan.
    """
    rows = []
    for indicator in (*INDICATORS, *BESIDE):
        metric = f"hessian/{text}/{indicator.stem}"
        changes = {change.arm: change for change in arm_changes(record, metric)}
        last = last_measured(record, metric)
        for arm in record.arms:
            trend = arm_trend(record, metric, arm)
            change = changes.get(arm)
            rows.append(
                (
                    *(indicator.name, indicator.claimed, metric, arm, trend.n_chains),
                    *((change.start, change.end) if change else (np.nan, np.nan)),
                    _error(record, metric, arm, last),
                    trend.slope,
                    *(trend.interval or (np.nan, np.nan)),
                    *(trend.tau, trend.word),
                    *_difference(record, metric, arm, last),
                )
            )
    return pd.DataFrame(rows, columns=list(INDICATOR_COLUMNS))


def last_measured(record: StudyRecord, metric: str) -> int:
    """The last generation at which any chain has a metric; 0 where none has it."""
    generations = metric_values(record, metric).index.get_level_values("generation")
    return int(generations.max()) if len(generations) else 0


def _error(record: StudyRecord, metric: str, arm: str, generation: int) -> float:
    """Standard error of one spectrum's number at a generation, mean over chains."""
    squares = []
    for suffix in ("_se", "_data_se"):
        values = metric_values(record, f"{metric}{suffix}")
        last = values[values.index.get_level_values("generation") == generation]
        squares.append(last[last.index.get_level_values("arm") == arm] ** 2)
    return float(np.sqrt(pd.concat(squares).groupby(level="seed").sum()).mean())


def _difference(record: StudyRecord, metric: str, arm: str, generation: int) -> tuple[object, ...]:
    """Pairs, mean, interval, p and least p of the arm minus the control; nan without one."""
    control = record.control_of(arm)
    if control is None or arm == control or generation == 0:
        return (0, np.nan, np.nan, np.nan, np.nan, np.nan)
    pairs = paired_differences(record, metric, arm, control, generation)
    found = effect(pairs.differences)
    if not found.n_seeds:
        return (0, np.nan, np.nan, np.nan, np.nan, np.nan)
    ends = found.interval or (np.nan, np.nan)
    return (found.n_seeds, found.mean, *ends, found.p, least_sign_flip_p(found.n_seeds))


def certificates(record: StudyRecord, text: str) -> pd.Series:
    """Whether each spectrum's outliers are all certified.

    Returns:
        True or False by spectrum, as `each_once` has them; empty where nothing is known.
    """
    known = metric_values(record, f"hessian/{text}/certified") > 0
    if known.empty:
        rows = record.outliers[record.outliers["text"] == text]
        planned = rows[rows["arm"].isin(record.arms) & rows["seed"].isin(record.seeds)]
        known = planned.groupby(["arm", "seed", "generation"])["certified"].all()
    return each_once(record, text, known)


def each_once(record: StudyRecord, text: str, values: pd.Series) -> pd.Series:
    """Numbers of spectra, those of one spectrum once: arms may share it.

    Arms that are trained alike share generation 0, and an arm that goes back to human text what it
    has in common with those that do not. One seed's spectra of a generation are one and the same
    where both of their ends are, to the last digit.

    Args:
        record: the study.
        text: human or own.
        values: index (arm, seed, generation).

    Returns:
        The least of a spectrum's values, index (arm, seed, generation): the first of its arms.
    """
    place, ends = list(values.index.names), ("lambda_max", "lambda_min")
    measured = {end: metric_values(record, f"hessian/{text}/{end}") for end in ends}
    of_these = {end: found.reindex(values.index) for end, found in measured.items()}
    rows = pd.DataFrame({"value": values} | of_these).reset_index()
    first = rows.groupby(["seed", "generation", *ends])["arm"].transform("first")
    return rows.assign(arm=first.fillna(rows["arm"])).groupby(place)["value"].min()


def negative_masses(record: StudyRecord) -> pd.DataFrame:
    """The share of negative eigenvalues, all of a study measured by one reference (DESIGN 4).

    The reference is the median over seeds of generation 0's largest eigenvalue on the same text:
    known only when all chains are, so that no stage of one generation can have it.

    Args:
        record: the study, with its raw Lanczos runs.

    Returns:
        Columns ``MEASUREMENT_COLUMNS``: ``hessian/<text>/negative_mass`` and ``.._se``, between 0
        and 1. No rows where generation 0 was not measured, or one run a spectrum is all there is.

    Raises:
        BadParameter: the reference is not positive.
    """
    rows = [row for text in TEXTS for row in _masses(record, text)]
    return pd.DataFrame(rows, columns=list(MEASUREMENT_COLUMNS))


def with_negative_masses(record: StudyRecord) -> StudyRecord:
    """The same study with `negative_masses` among its measurements, in place of any there."""
    masses = negative_masses(record)
    if masses.empty:
        return record
    kept = record.measurements[~record.measurements["metric"].isin(masses["metric"])]
    return replace(record, measurements=pd.concat([kept, masses], ignore_index=True))


def _masses(record: StudyRecord, text: str) -> Iterator[tuple[str, int, int, str, float]]:
    largest = metric_values(record, f"hessian/{text}/lambda_max")
    first = largest[largest.index.get_level_values("generation") == 0]
    if first.empty:
        return
    reference = float(first.groupby(level="seed").mean().median())
    of_text = record.spectra[record.spectra["text"] == text]
    places: Any = of_text.groupby(["arm", "seed", "generation"])
    for (arm, seed, generation), rows in places:
        runs = [run for _, run in rows.sort_values("step").groupby("probe")]
        # One run is a look at the ends; its weights are those of a single random vector.
        if len(runs) < 2:
            continue
        found = negative_mass([r["alpha"] for r in runs], [r["beta"] for r in runs], reference)
        place = (str(arm), int(seed), int(generation))
        yield (*place, f"hessian/{text}/negative_mass", found.value)
        if found.standard_error is not None:
            yield (*place, f"hessian/{text}/negative_mass_se", found.standard_error)
