"""The report's section on completions: its sentences, its tables in words, its files."""

from collections.abc import Sequence

import pandas as pd

from analysis.code import caveats, words
from analysis.code.arms import BOTH, CAPACITY, DECODINGS, VOCABULARY, change_of
from analysis.code.findings import CodeFindings
from analysis.code.questions import INTERACTION, OUTCOMES
from analysis.code.tables import (
    BITS,
    CLASSES,
    COLLAPSE,
    MEASURED,
    PARSE,
    PARSE_HUMAN,
    CodeTables,
)
from analysis.comparisons.answers import Answer, answers_table
from analysis.comparisons.words import answer_cells
from analysis.metrics import metric_info

COMPLETIONS_SHOWN = 5
_MOST_CHARACTERS = 400
_COLUMNS = (
    ("parameters", "train/parameters"),
    ("vocabulary", "corpus/vocabulary_size"),
    ("collapse", COLLAPSE),
    ("good", CLASSES["good"]),
    ("with keyword", "quality/keyword_rate"),
    ("parse", PARSE),
    ("people's parse", PARSE_HUMAN),
    ("bits per byte", BITS),
    ("names", "quality/identifier_diversity"),
    ("copied", "quality/copied_fraction"),
    ("entropy (nats)", "quality/completion_entropy_nats"),
    ("top 1", "quality/completion_top1"),
)
_SIZES = {"train/parameters", "corpus/vocabulary_size"}


def code_section(found: CodeFindings) -> dict[str, object]:
    """What the template shows: all in words."""
    tables = found.tables
    return {
        "sentences": words.sentences(found),
        "cautions": caveats.cautions(found),
        "answers": _grouped(found, found.answers),
        "decodings": _grouped(found, found.decodings),
        "square": _square(tables),
        "columns": [label for label, _ in _columns(tables)],
        "arms": [_arm_row(tables, arm) for arm in tables.arms],
        "completions": _side_by_side(tables),
    }


def code_lines(found: CodeFindings) -> list[str]:
    """The section in Markdown: what drives collapse, the arms in a table, what is missing."""
    tables = found.tables
    told = [f"- {sentence}" for sentence in (*words.short(found), *caveats.missing(tables))]
    rows = [
        "| arm | compute | " + " | ".join(outcome.label for outcome in OUTCOMES) + " |",
        "| --- |" + " ---: |" * (1 + len(OUTCOMES)),
    ]
    for arm in tables.arms:
        cells = [_cell(tables, outcome.metric, arm) for outcome in OUTCOMES]
        rows.append(f"| {_named(tables, arm)} | {_compute(tables, arm)} | {' | '.join(cells)} |")
    return ["What the code says:", "", *told, "", *rows, ""]


def code_files(found: CodeFindings) -> dict[str, pd.DataFrame]:
    """Tables to be saved beside the report, by the name of their file."""
    tables = found.tables
    rows = [
        {"arm": arm, "seed": seed, "alarms": arm in tables.alarming}
        | {metric: tables.values[metric][arm][seed] for metric in MEASURED}
        for arm, seed in tables.planned
    ]
    return {
        "code_answers.csv": answers_table([*found.answers, *found.decodings]),
        "code_chains.csv": pd.DataFrame(rows),
    }


def _grouped(found: CodeFindings, answers: Sequence[Answer]) -> list[dict[str, object]]:
    """Answers on one arm in one group."""
    groups: dict[str, list[dict[str, str]]] = {}
    for one in answers:
        groups.setdefault(one.asked.question, []).append(answer_cells(one))
    return [
        {"asks": _asks(found.tables, question), "rows": rows} for question, rows in groups.items()
    ]


def _asks(tables: CodeTables, question: str) -> str:
    """What is asked, and at what compute."""
    if question == INTERACTION:
        return "Do vocabulary and capacity add up?"
    if question in DECODINGS:
        return f"Decoded as in {question}"
    ratio = tables.compute(question)
    at = "" if ratio is None else f" ({ratio:.2f}× the compute)"
    return f"{change_of(question).asks}{at}"


def _square(tables: CodeTables) -> list[dict[str, object]]:
    """Vocabulary x capacity: of each outcome the means of the four arms; empty without them."""
    if tables.control is None or not {VOCABULARY, CAPACITY, BOTH} <= set(tables.arms):
        return []
    four = ((tables.control, CAPACITY), (VOCABULARY, BOTH))
    return [
        {
            "label": outcome.label,
            "rows": [
                (name, [_cell(tables, outcome.metric, arm) for arm in arms])
                for name, arms in zip(("small", "large"), four, strict=True)
            ],
        }
        for outcome in OUTCOMES
    ]


def _columns(tables: CodeTables) -> list[tuple[str, str]]:
    """Those in which any arm has a number."""
    return [(label, metric) for label, metric in _COLUMNS if tables.means(metric)]


def _arm_row(tables: CodeTables, arm: str) -> dict[str, object]:
    return {
        "arm": _named(tables, arm),
        "n": len(tables.of(COLLAPSE, arm)),
        "compute": _compute(tables, arm),
        "cells": [_cell(tables, metric, arm) for _, metric in _columns(tables)],
    }


def _named(tables: CodeTables, arm: str) -> str:
    return f"{arm} (ALARM)" if arm in tables.alarming else arm


def _compute(tables: CodeTables, arm: str) -> str:
    ratio = tables.compute(arm)
    return "–" if ratio is None else f"{ratio:.2f}×"


def _cell(tables: CodeTables, metric: str, arm: str) -> str:
    """Mean ± standard deviation over seeds; a likelihood that is not believed says so."""
    values, info = tables.of(metric, arm), metric_info(metric)
    if values.empty:
        return "–"
    if metric in _SIZES:
        return f"{values.mean():,.0f}"
    spread = f" ± {info.write_bare(values.std())}" if len(values) > 1 else ""
    told = f"{info.write_bare(values.mean())}{spread}{' %' * info.is_share}"
    is_doubted = metric == BITS and arm in tables.alarming
    return f"not to be believed ({told})" if is_doubted else told


def _side_by_side(tables: CodeTables) -> dict[str, object] | None:
    """The same few prompts under every arm, at the first seed; None without completions."""
    told = set(tables.completions["seed"])
    seed = next((one for one in tables.seeds if one in told), None)
    here = tables.completions[tables.completions["seed"] == seed]
    # Spread over all prompts, so that nobody chose them by what came out.
    prompts = list(dict.fromkeys(here["prompt"]))
    if not prompts:
        return None
    step = max(1, len(prompts) // COMPLETIONS_SHOWN)
    rows = []
    for prompt in prompts[::step][:COMPLETIONS_SHOWN]:
        alike = here[here["prompt"] == prompt]
        rows.append(
            {"prompt": prompt, "cells": [_completion(tables, alike, a) for a in tables.arms]}
        )
    return {"seed": seed, "rows": rows}


def _completion(tables: CodeTables, alike: pd.DataFrame, arm: str) -> dict[str, str]:
    """The first completion of a prompt by an arm."""
    some = alike[alike["arm"] == arm]
    if some.empty:
        return {"arm": _named(tables, arm), "told": "no completion", "text": ""}
    first = some.iloc[0]
    text = str(first["completion"])
    parses = "parses whole" if first["parses"] else "parses up to a line"
    parsed = parses if first["parses"] or first["kept"] else "does not parse"
    return {
        "arm": _named(tables, arm),
        "told": f"{str(first['class']).replace('_', ' ')}, {parsed}",
        "text": text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} […]",
    }
