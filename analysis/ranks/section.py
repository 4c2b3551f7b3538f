"""The report's section on ranks: its sentences, its tables in words, its files."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.comparisons.answers import Answer, answers_table
from analysis.comparisons.words import answer_cells, signed
from analysis.ranks import caveats, words
from analysis.ranks.caveats import agrees, companion_of
from analysis.ranks.chains import COMPANIONS
from analysis.ranks.findings import ArmChange, RankFindings, measures_table
from analysis.ranks.formats import tokens_in_words
from analysis.ranks.questions import QUESTIONS

_SPLIT = ("participation_ratio", "participation_ratio_sq", "rank_90", "log10_condition")


def rank_section(found: RankFindings) -> dict[str, object]:
    """What the template shows: all in words."""
    return {
        "sentences": words.sentences(found),
        "cautions": caveats.cautions(found),
        "schedule": ", ".join(tokens_in_words(tokens) for tokens in found.schedule),
        "answers": _grouped(found.answers),
        "falls": [answer_cells(one) for one in found.falls],
        "areas": [answer_cells(one) for one in found.areas if one.mean is not None],
        "companions": _companion_rows(found),
        "changes": [_change_cells(found, one) for one in found.changes],
        "measures": _measure_rows(found),
    }


def rank_lines(found: RankFindings) -> list[str]:
    """The section in Markdown: what is said of each question, and what is missing."""
    told = (*words.short(found), *caveats.doubts(found))
    return ["What the ranks say:", "", *(f"- {sentence}" for sentence in told), ""]


def rank_files(found: RankFindings) -> dict[str, pd.DataFrame]:
    """Tables to be saved beside the report, by the name of their file."""
    every = answers_table([*found.answers, *found.areas, *found.falls])
    companions = [
        answers_table(some).assign(which=which) for which, some in found.companions.items()
    ]
    changes = [
        {
            "arm": one.arm,
            "n_chains": one.rank.n_chains,
            "evidence": one.rank.evidence,
            **dict(zip(("p_if_flat", "p_if_gradual", "p_if_sudden"), one.rank_p, strict=True)),
            "word": one.word,
            "alone": " ".join(one.alone),
            "loss_word": one.loss.word,
        }
        for one in found.changes
    ]
    return {
        "rank_answers.csv": every,
        "rank_companions.csv": pd.concat(companions, ignore_index=True),
        "rank_changes.csv": pd.DataFrame(changes),
        "rank_measures.csv": measures_table(found),
    }


def _grouped(found: Sequence[Answer]) -> list[dict[str, object]]:
    """Answers to one question in one group, so that equal tokens and equal loss stand together."""
    groups: dict[str, list[dict[str, str]]] = {}
    for one in found:
        groups.setdefault(one.asked.question, []).append(answer_cells(one))
    return [{"asks": QUESTIONS[question], "rows": rows} for question, rows in groups.items()]


def _companion_rows(found: RankFindings) -> list[dict[str, object]]:
    """Every question on K's rank beside the same question on its companions."""
    rows: list[dict[str, object]] = []
    for answer in (*found.falls, *found.answers):
        cells = []
        for which in COMPANIONS:
            companion = companion_of(found, which, answer)
            if companion is None or companion.mean is None:
                cells.append({"told": "–", "agrees": ""})
                continue
            one = answer_cells(companion)
            word = {True: "agrees", False: "does not agree", None: ""}[agrees(answer, companion)]
            cells.append({"told": f"{one['mean']} ({one['interval']})", "agrees": word})
        if any(cell["told"] != "–" for cell in cells):
            asks = QUESTIONS[answer.asked.question]
            place = f" {answer.asked.at}" if answer.asked.question == "fall" else ""
            rows.append({"asks": asks + place, "verdict": answer.verdict, "cells": cells})
    return rows


def _change_cells(found: RankFindings, change: ArmChange) -> dict[str, str]:
    flat, gradual, sudden = (f"{p:.2g}" for p in change.rank_p)
    evidence = change.rank.evidence
    return {
        "arm": found.roles.label(change.arm),
        "n": str(change.rank.n_chains),
        "evidence": "–" if evidence is None else signed(evidence),
        "flat": flat,
        "gradual": gradual,
        "sudden": sudden,
        "word": change.word,
        "alone": ", ".join(
            f"{change.alone.count(word)} {word}" for word in dict.fromkeys(change.alone)
        ),
        "loss": change.loss.word,
    }


def _measure_rows(found: RankFindings) -> list[dict[str, object]]:
    """Mean and spread over seeds of every measure at the last checkpoint."""
    table = measures_table(found)
    rows: list[dict[str, object]] = []
    for arm in found.arms if len(table) else ():
        of_arm = table[table["arm"] == arm]
        for which in of_arm["which"].unique():
            some = of_arm[of_arm["which"] == which]
            cells = [_mean_and_sd(some[column].to_numpy(float)) for column in _SPLIT]
            rows.append(
                {"arm": found.roles.label(arm), "which": which, "n": len(some), "cells": cells}
            )
    return rows


def _mean_and_sd(values_N: np.ndarray) -> str:
    known = values_N[~np.isnan(values_N)]
    if not known.size:
        return "–"
    if np.isinf(known).any():
        return f"infinite in {int(np.isinf(known).sum())} of {known.size}"
    spread = f" ± {known.std(ddof=1):.2f}" if known.size > 1 else ""
    return f"{known.mean():.2f}{spread}"
