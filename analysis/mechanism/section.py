"""The report's section on the mechanism: its sentences, its table, its file."""

import pandas as pd

from analysis.mechanism import words
from analysis.mechanism.findings import (
    GRADIENTS,
    LANDSCAPE,
    WHOLE,
    ArmEnd,
    MechanismFindings,
    ends_table,
)
from analysis.metrics import metric_info


def mechanism_section(found: MechanismFindings) -> dict[str, object]:
    """What a template shows: all in words; `arms` are the columns of `rows`."""
    return {
        "generation": found.generation,
        "sentences": words.sentences(found),
        "cautions": words.cautions(found),
        "arms": found.record.arms,
        "rows": [_row(found, metric) for metric in _shown(found)],
    }


def mechanism_lines(found: MechanismFindings) -> list[str]:
    """The section in Markdown."""
    told = (*words.sentences(found), *words.cautions(found)[:2])
    return ["What changed inside the models:", "", *(f"- {one}" for one in told), ""]


def mechanism_files(found: MechanismFindings) -> dict[str, pd.DataFrame]:
    """Tables to be saved beside the report, by the name of their file."""
    return {"mechanism.csv": ends_table(found)}


def _shown(found: MechanismFindings) -> list[str]:
    """The metrics of the whole model, then CKA and rank layer by layer."""
    named = (WHOLE, "drift_from_previous/all", *GRADIENTS, *LANDSCAPE)
    measured = {one.metric for one in found.ends}
    return [m for m in (*named, *found.similar_layers, *found.rank_layers) if m in measured]


def _row(found: MechanismFindings, metric: str) -> dict[str, object]:
    info = metric_info(metric)
    cells = []
    for arm in found.record.arms:
        one = found.end(metric, arm)
        cells.append("–" if one is None else f"{info.write(one.mean)}{_difference(one)}")
    unit = f" ({info.unit})" if info.unit and not info.is_share else ""
    return {"label": info.label + unit, "cells": cells}


def _difference(one: ArmEnd) -> str:
    """The interval of the difference from the control, in brackets."""
    if one.difference is None or one.difference.interval is None:
        return ""
    info = metric_info(one.metric)
    low, high = (info.write_bare(end, "+") for end in one.difference.interval)
    return f" [{low}, {high}]"
