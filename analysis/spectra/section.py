"""The report's section on spectra: what they say, and the indicators behind it, in words."""

from collections.abc import Hashable, Iterable
from typing import Any

import pandas as pd

from analysis.metrics import MINUS, Metric, metric_info
from analysis.spectra.indicators import indicators_table, last_measured, spectral_texts
from analysis.spectra.words import cautions, sentences
from analysis.study import StudyRecord
from analysis.trends import TREND_RULE


def spectral_section(record: StudyRecord) -> list[dict[str, object]]:
    """What the template shows, one entry a text that was looked at."""
    return [_part(record, text) for text in spectral_texts(record)]


def spectral_lines(record: StudyRecord) -> list[str]:
    """The section in Markdown, on the first text that was looked at."""
    lines = []
    for text in spectral_texts(record)[:1]:
        told = (*sentences(record, text), *cautions(record, text))
        lines += [f"What the spectra say ({text} text):", ""]
        lines += [*(f"- {sentence}" for sentence in told), ""]
    return lines


def _part(record: StudyRecord, text: str) -> dict[str, object]:
    """What the spectra on one text say, and the table of indicators behind it."""
    groups: dict[str, dict[str, Any]] = {}
    table = indicators_table(record, text)
    for row in table.to_dict("records"):
        # A number that no arm has is left out, an indicator of the seed's is not.
        is_absent = pd.isna(row["start"]) and row["trend"] == "not measured"
        group = groups.setdefault(
            str(row["indicator"]), {"name": row["indicator"], "claimed": row["claimed"], "arms": []}
        )
        info = metric_info(str(row["metric"]))
        group["unit"] = info.unit
        group["is_empty"] = is_absent and group.get("is_empty", True)
        group["arms"].append(_indicator_cells(row, info))
    return {
        "text": text,
        "last": _last(record, table["metric"]),
        "sentences": sentences(record, text),
        "cautions": cautions(record, text),
        "trend_rule": TREND_RULE,
        "groups": [g for g in groups.values() if g["claimed"] or not g["is_empty"]],
    }


def _last(record: StudyRecord, metrics: Iterable[str]) -> str:
    """Which generation the ends of indicators are of, for the head of their column."""
    found = {last_measured(record, metric) for metric in metrics} - {0}
    return f"gen. {found.pop()}" if len(found) == 1 else "last gen."


def _indicator_cells(row: dict[Hashable, Any], info: Metric) -> dict[str, str]:
    """One arm's row of the table of indicators, in words."""

    def told(value: float, sign: str = "") -> str:
        return "–" if pd.isna(value) else info.write_bare(value, sign)

    def between(lower: float, upper: float) -> str:
        return "" if pd.isna(lower) else f"{told(lower, '+')} to {told(upper, '+')}"

    error = "" if pd.isna(row["error"]) else f" ± {told(row['error'])}"
    return {
        "arm": str(row["arm"]),
        "start": told(row["start"]),
        "end": told(row["end"]) + error,
        "trend": str(row["trend"]),
        "slope": told(row["slope"], "+"),
        "slope_interval": between(row["slope_lower"], row["slope_upper"]),
        "tau": "–" if pd.isna(row["tau"]) else f"{row['tau']:+.2f}".replace("-", MINUS),
        "chains": str(row["n_chains"]),
        "difference": told(row["difference"], "+"),
        "interval": between(row["lower"], row["upper"]),
        "p": "–" if pd.isna(row["p"]) else f"{row['p']:.3g} (≥ {row['least_p']:.3g})",
    }
