"""What an indicator costs at one generation of one chain, in gradients and in seconds.

The unit is one gradient on the probe batch, about three forward passes over it (backwards is twice
forwards). A product with the Hessian is about 2.1 gradients on a kept graph (DESIGN 8). Of text,
drawing one token costs at least one forward pass of one token. What a watcher would do anyway
(train, keep the text) is not counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.early_warning.indicators import Indicator
from analysis.study import StudyRecord, metric_values

FORWARDS = 3.0
"""Forward passes in one gradient."""
PER_PRODUCT = 2.1
"""Gradients in one product with the Hessian."""
COST_RULES: Mapping[str, str] = {
    "spectrum": "one gradient and 2.1 for every product with the Hessian that the study took",
    "heads": "one forward pass over the tokens on which keys and queries are taken",
    "likelihood": "one forward pass over a text as long as the probe batch",
    "samples": "one forward pass for every word that the study sampled, at least",
}


@dataclass(frozen=True)
class Price:
    """What one look takes.

    Attributes:
        gradients: on the probe batch; nan where the record does not say.
        seconds: of the whole stage that measures it, which may measure others beside it; mean over
            its finished runs after generation 0, nan without any.
    """

    gradients: float
    seconds: float


def price(record: StudyRecord, indicator: Indicator) -> Price:
    """The cost of one look at an indicator, by ``COST_RULES``."""
    return Price(_gradients(record, indicator), _seconds(record.runs, indicator.stage))


def _gradients(record: StudyRecord, indicator: Indicator) -> float:
    if indicator.cost == "spectrum":
        text = indicator.metric.split("/")[1]
        return 1 + PER_PRODUCT * float(_mean(record, f"hessian/{text}/products"))
    if indicator.cost == "likelihood":
        return 1 / FORWARDS
    probe_tokens = _setting(record, "probe_tokens")
    if indicator.cost == "heads":
        return _setting(record, "rank_tokens") / probe_tokens / FORWARDS
    words = _setting(record, "samples") * _mean(record, "quality/words_per_text")
    return words / probe_tokens / FORWARDS


def _mean(record: StudyRecord, metric: str) -> float:
    values = metric_values(record, metric)
    return float(values.mean()) if len(values) else np.nan


def _setting(record: StudyRecord, name: str) -> float:
    """A positive number among the study's settings; nan where there is none."""
    value = record.settings.get(name)
    return float(value) if isinstance(value, (int, float)) and value > 0 else np.nan


def _seconds(runs: pd.DataFrame, stage: str) -> float:
    done = runs["status"].astype(str).str.lower().isin(["finished", "reused"])
    later = pd.to_numeric(runs["generation"], errors="coerce") > 0
    seconds = pd.to_numeric(runs["seconds"], errors="coerce")
    of_stage = seconds[done & later & (runs["stage"] == stage)]
    return float(of_stage.mean()) if of_stage.notna().any() else np.nan
