"""The report's section on where the distance from the truth comes from."""

from collections.abc import Mapping

import pandas as pd

from analysis.answers_words import signed
from analysis.origins import words
from analysis.origins.findings import OriginFindings, parts_table
from collapse.figures.view import written


def origin_section(found: OriginFindings) -> dict[str, object]:
    """What the template shows: all in words; `arms` are the columns of `rows`."""
    return {
        "generation": found.last,
        "control": found.control,
        "sentences": words.sentences(found),
        "cautions": words.cautions(found),
        "arms": found.arms,
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
        cells = [_cell(found, arm, column) for arm in found.arms]
        if any(cells):
            rows.append({"label": name, "cells": [cell or "–" for cell in cells]})
    return rows


def _cell(found: OriginFindings, arm: str, column: str) -> str:
    """A part, mean over seeds, and the interval of its difference from the control."""
    mean = found.means(arm, found.last)[column]
    if pd.isna(mean):
        return ""
    ends = found.beside(arm, column).interval
    if found.control in (None, arm) or ends is None:
        return written(mean)
    return f"{written(mean)} [{signed(ends[0])}, {signed(ends[1])}]"
