"""The report's section on changed settings."""

from collections.abc import Mapping

import pandas as pd

from analysis.ablations import words
from analysis.ablations.findings import AblationFindings, ablations_table


def ablation_section(found: AblationFindings) -> dict[str, object]:
    """What the template shows: all in words, one dict a row."""
    return {
        "reference": found.reference.arm,
        "generation": found.record.generations,
        "sentences": words.sentences(found),
        "cautions": words.cautions(found),
        "rows": [words.row(found, one) for one in (found.reference, *found.ablations)],
    }


def ablation_lines(found: AblationFindings) -> list[str]:
    """The section in Markdown."""
    told = words.sentences(found)
    return ["What changed settings do to it:", "", *(f"- {one}" for one in told), ""]


def ablation_files(found: AblationFindings) -> Mapping[str, pd.DataFrame]:
    """Tables to be saved beside the report, by the name of their file."""
    return {"ablations.csv": ablations_table(found)}
