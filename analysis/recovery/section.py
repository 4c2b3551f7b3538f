"""The report's section on chains that go back to human text."""

from collections.abc import Mapping

import pandas as pd

from analysis.recovery import words
from analysis.recovery.findings import RecoveryFindings, recoveries_table


def recovery_section(found: RecoveryFindings) -> dict[str, object]:
    """What the template shows: all in words, one dict a row."""
    return {
        "control": found.record.named_control,
        "sentences": words.sentences(found),
        "cautions": words.cautions(found),
        "rows": [words.row(one) for one in found.recoveries],
    }


def recovery_lines(found: RecoveryFindings) -> list[str]:
    """The section in Markdown."""
    told = words.sentences(found)
    return ["What going back to human text mends:", "", *(f"- {one}" for one in told), ""]


def recovery_files(found: RecoveryFindings) -> Mapping[str, pd.DataFrame]:
    """Tables to be saved beside the report, by the name of their file."""
    return {"recovery.csv": recoveries_table(found.recoveries)}
