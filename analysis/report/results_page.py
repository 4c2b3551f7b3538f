"""A study's page of results in Markdown, to be kept where people read code: docs/results."""

from collections.abc import Iterable

import pandas as pd

from analysis.figures import Plate
from analysis.report.page import commands
from analysis.runs import run_conditions, run_counts
from analysis.study import StudyRecord


def results_page(record: StudyRecord, summary: str, drawn: Iterable[Plate]) -> str:
    """The page: question, answer, verdicts and table, then figures, runs and commands.

    Args:
        record: the study.
        summary: as `analysis.report.writing.markdown_summary` makes it.
        drawn: figures, which lie beside the page in ``figures/``.

    Returns:
        Text ending in a newline.
    """
    lines = [summary]
    for plate in drawn:
        lines += [f"![{plate.title}](figures/{plate.name}.png)", "", plate.caption, ""]
    lines += ["## What ran", "", *_run_table(record.runs), "", *_failures(record.runs)]
    lines += ["## Again", "", *(f"    {line}" for line in commands(record.settings))]
    return "\n".join(lines) + "\n"


def _run_table(runs: pd.DataFrame) -> list[str]:
    lines = ["| stage | runs | finished | hours of one worker |", "| --- | ---: | ---: | ---: |"]
    for stage, some in runs.drop_duplicates("run_id").groupby("stage", sort=False):
        hours = some["seconds"].sum() / 3600
        lines.append(f"| {stage} | {len(some)} | {run_counts(some)['done']} | {hours:.2f} |")
    return lines


def _failures(runs: pd.DataFrame) -> list[str]:
    is_broken = run_conditions(runs) == "broken"
    if not is_broken.any():
        return ["Nothing failed.", ""]
    lines = [
        f"- {row['status']}: {row['stage']} of {row['arm']}, seed {row['seed']}, generation "
        f"{row['generation']}"
        for row in runs[is_broken].drop_duplicates("run_id").to_dict("records")
    ]
    return ["Not finished:", "", *lines, ""]
