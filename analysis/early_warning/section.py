"""The report's section on warnings: its sentences and tables in words."""

import numpy as np
import pandas as pd

from analysis.early_warning import words
from analysis.early_warning.findings import EventWarning, WarningFindings
from analysis.early_warning.lead import AHEAD
from analysis.early_warning.lead_words import span
from analysis.early_warning.placebo import BURN_IN
from analysis.early_warning.threshold import RATE
from analysis.metrics import metric_info


def warning_section(found: WarningFindings) -> dict[str, object]:
    """What the template shows: all in words."""
    return {
        "rule": words.RULE,
        "arm": found.arm,
        "control": found.record.control_arm,
        "sentences": words.sentences(found),
        "cautions": words.cautions(found),
        "refused": bool(found.refusal),
        "ahead": AHEAD,
        "events": [_event_part(one) for one in found.shown if not found.refusal],
        "alpha": f"{100 * RATE:.0f} %",
        "burn_in": BURN_IN,
        "placebo": _placebo_rows(found.placebo),
    }


def warning_lines(found: WarningFindings) -> list[str]:
    """The section in Markdown: what is said, and what is not."""
    told = (*words.sentences(found), *words.cautions(found))
    return ["What warned:", "", *(f"- {sentence}" for sentence in told), ""]


def _event_part(one: EventWarning) -> dict[str, object]:
    judged = one.table[one.table["refusal"] == ""]
    refused = one.table[one.table["refusal"] != ""]
    return {
        "name": one.events.rule.short,
        "rule": one.events.rule.words,
        "came": one.n_seen,
        "indicators": [_cells(row) for _, row in judged.iterrows()],
        "refused": _refusals(refused),
    }


def _placebo_rows(table: pd.DataFrame) -> list[dict[str, object]]:
    """One row an indicator and arm, its rotations told apart."""
    return [
        {
            "label": metric_info(str(metric)).label,
            "arm": arm,
            "judged": int(rows["judged"].iloc[0]),
            "generations": int(rows["generations"].iloc[0]),
            "runs": ", ".join(map(str, rows["runs_alarms"])),
            "looks": ", ".join(map(str, rows["looks_alarms"])),
        }
        for (metric, arm), rows in table.groupby(["indicator", "arm"], sort=False)
    ]


def _cells(row: pd.Series) -> dict[str, object]:
    """One indicator as a row of the table."""
    median_alarm = float(row["median_alarm"])
    return {
        "label": metric_info(str(row["indicator"])).label,
        "family": f"{row['family']}, oracle" if row["is_oracle"] else row["family"],
        "warns": "falls" if row["direction"] == "decrease" else "rises",
        "threshold": f"{row['threshold']:.2f}",
        "false_alarms": f"{row['false_alarms']:.0f} of {row['n_healthy']:.0f}",
        "bound": f"≤ {100 * row['rate_bound']:.0f} %",
        "alarms": f"{row['alarms']:.0f} of {row['chains']}",
        "median_alarm": f"{median_alarm:g}" if np.isfinite(median_alarm) else "none",
        "lead": _between(row, "lead_least", "lead_most"),
        "interval": _between(row, "lead_lower", "lead_upper"),
        "ahead": [_ahead(row, generations) for generations in AHEAD],
        "n": f"{row['n_leads']:.0f}",
        "gradients": "–" if np.isnan(row["gradients"]) else f"{row['gradients']:.3g}",
        "seconds": "–" if np.isnan(row["seconds"]) else f"{row['seconds']:.0f}",
    }


def _between(row: pd.Series, low: str, high: str) -> str:
    ends = float(row[low]), float(row[high])
    return "–" if np.isnan(ends).any() else span(ends)


def _ahead(row: pd.Series, generations: int) -> str:
    """Chains that were surely so far ahead, and how many more may have been."""
    sure, most = row[f"ahead_{generations}"], row[f"could_be_ahead_{generations}"]
    return f"{sure:.0f}" if sure == most else f"{sure:.0f} to {most:.0f}"


def _refusals(rows: pd.DataFrame) -> list[str]:
    """Why the others are not in the table; those of one kind of reason together."""
    unmeasured = rows["refusal"].str.contains("was not measured")
    told = list(dict.fromkeys(rows.loc[~unmeasured, "refusal"]))
    if unmeasured.any():
        labels = (metric_info(str(name)).label for name in rows.loc[unmeasured, "indicator"])
        told.append(f"Not measured: {'; '.join(labels)}.")
    return told
