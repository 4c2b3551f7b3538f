"""Numbers per arm and generation, as data frames."""

import numpy as np
import pandas as pd

from analysis.metrics import is_error, metric_info
from analysis.study import StudyRecord, is_measured, metric_values

# The metrics a reader looks for first, in this order; all others follow by name.
LEADING_METRICS = (
    "truth/kl_nats_per_story",
    "truth/kl_nats_per_token",
    "truth/valid_fraction",
    "truth/tail_coverage",
    "human/nll_nats",
    "human/bits_per_byte",
    "human/entropy_nats",
    "own/nll_nats",
    "quality/distinct_1",
    "quality/distinct_2",
    "quality/distinct_3",
    "quality/distinct_4",
    "quality/self_bleu",
    "quality/repetition_4gram",
    "quality/bleu",
    "quality/rouge_l",
    "quality/coherence",
    "quality/mauve",
    "quality/copied_fraction",
    "quality/collapse_rate",
    "quality/parse_rate",
    "svd/K/participation_ratio",
    "svd/Q/participation_ratio",
)


def measured_metrics(record: StudyRecord) -> tuple[str, ...]:
    """The metrics with at least one finite value, leading ones first.

    Errors of metrics are none: they are in ``measurements.csv``, and beside their spectra.
    """
    rows = record.measurements
    names = {n for n in rows.loc[is_measured(rows["value"]), "metric"] if not is_error(n)}
    leading = [metric for metric in LEADING_METRICS if metric in names]
    return (*leading, *sorted(names.difference(leading)))


def over_seeds(record: StudyRecord, metric: str) -> pd.DataFrame:
    """One metric summarised over seeds.

    Args:
        record: the study.
        metric: the metric's name.

    Returns:
        Index (arm, generation), arms in the study's order; columns n, mean, sd (with n - 1;
        missing for one seed), least, greatest. Rows without a value are absent.
    """
    grouped = metric_values(record, metric).groupby(["arm", "generation"])
    table = grouped.agg(["count", "mean", "std", "min", "max"])
    table.columns = pd.Index(["n", "mean", "sd", "least", "greatest"])
    order = [
        (arm, generation)
        for arm in record.arms
        for generation in range(record.generations + 1)
        if (arm, generation) in table.index
    ]
    return table.loc[order]


def seeds_in_words(record: StudyRecord) -> str:
    """How many seeds were planned, and the arms with fewer."""
    most = len(record.seeds)
    fewer = {arm: n for arm in record.arms if (n := len(record.seeds_of(arm))) < most}
    told = [
        f"{n} under {', '.join(arm for arm, own in fewer.items() if own == n)}"
        for n in sorted(set(fewer.values()), reverse=True)
    ]
    return f"{most} seed{'s' * (most != 1)}" + (f" ({'; '.join(told)})" if told else "")


def mean_and_sd(record: StudyRecord, metric: str) -> pd.DataFrame:
    """One metric as text: rows arms, columns generations, cells "mean ± sd".

    A cell with fewer seeds than planned says so: "(n = 1)". A cell without a value has a dash.
    """
    info, generations = metric_info(metric), range(record.generations + 1)
    cells = {arm: dict.fromkeys(generations, "–") for arm in record.arms}
    for row in over_seeds(record, metric).reset_index().to_dict("records"):
        spread = "" if np.isnan(row["sd"]) else f" ± {info.write_bare(row['sd'])}"
        few = f" (n = {row['n']})" if row["n"] < len(record.seeds_of(row["arm"])) else ""
        percent = " %" if info.is_share else ""
        told = f"{info.write_bare(row['mean'])}{spread}{percent}{few}"
        cells[row["arm"]][row["generation"]] = told
    return pd.DataFrame.from_dict(cells, orient="index", columns=generations)
