"""The report's section on where the distance from the truth comes from."""

from collections.abc import Mapping

import pandas as pd

from analysis.metrics import MINUS
from analysis.origins import words
from analysis.origins.findings import OriginFindings, parts_table
from collapse.figures.view import written


def origin_section(found: OriginFindings) -> dict[str, object]:
    """What the template shows: all in words; `columns` are those of `rows`."""
    return {
        "generation": found.last,
        "control": found.control and found.record.named_control,
        "sentences": words.sentences(found),
        "cautions": words.cautions(found),
        "columns": [name for arm in found.arms for name in _names(found, arm)],
        "rows": _rows(found),
    }


def origin_lines(found: OriginFindings) -> list[str]:
    """The section in Markdown."""
    told = (*words.sentences(found), words.cautions(found)[0])
    return ["Where the distance from the truth comes from:", "", *(f"- {one}" for one in told), ""]


def origin_files(found: OriginFindings) -> Mapping[str, pd.DataFrame]:
    """Tables to be saved beside the report, by the name of their file."""
    return {"origins.csv": parts_table(found), "origins_chains.csv": found.chains.reset_index()}


def _rows(found: OriginFindings) -> list[dict[str, object]]:
    """A row a part that is known of any arm."""
    rows: list[dict[str, object]] = []
    for column, name in words.NAMES.items():
        cells = [cell for arm in found.arms for cell in _cells(found, arm, column)]
        if any(cells):
            rows.append({"label": name, "cells": [cell or "–" for cell in cells]})
    return rows


def _names(found: OriginFindings, arm: str) -> list[str]:
    """Of the columns of an arm: its own, and beside the control's."""
    control = found.control_of(arm)
    return [arm] if control in (None, arm) else [arm, f"{arm} {MINUS} {control}"]


def _cells(found: OriginFindings, arm: str, column: str) -> list[str]:
    """A part, mean over seeds, and its difference from the control with its interval."""
    mean = found.means(arm, found.last)[column]
    own = "" if pd.isna(mean) else written(mean)
    if len(_names(found, arm)) == 1:
        return [own]
    return [own, words.interval_of(found.beside(arm, column)) if own else ""]
