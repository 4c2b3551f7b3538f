"""The report's section on scaling: its sentences, its tables in words, its files."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.comparisons.answers import answers_table
from analysis.comparisons.words import answer_cells, signed
from analysis.metrics import metric_info
from analysis.metrics.tasks import TASKS
from analysis.scaling import words
from analysis.scaling.factors import Association
from analysis.scaling.findings import ScalingFindings
from analysis.scaling.laws import Law
from analysis.scaling.tables import BITS, LOSS, OVERALL, TOTAL
from collapse.figures.view import written

_SHOWN = (
    *(OVERALL, "benchmark/mean", LOSS, BITS, TOTAL, "train/body_parameters"),
    *("train/tokens_seen", "train/flops", "train/seconds"),
    *("benchmark/overall_per_training_hour", "benchmark/overall_per_million_parameters"),
)


def scaling_section(found: ScalingFindings) -> dict[str, object]:
    """What the template shows: all in words."""
    shown = [metric for metric in _SHOWN if metric in found.tables.chains]
    return {
        "sentences": words.sentences(found),
        "cautions": words.cautions(found),
        "heads": [_head(metric) for metric in shown],
        "arms": [_arm_row(found, arm, shown) for arm in found.tables.arms],
        "answers": [answer_cells(one) for one in found.answers],
        "associations": [_association_row(one) for one in found.associations],
        "tasks": _task_rows(found),
    }


def scaling_lines(found: ScalingFindings) -> list[str]:
    """The section in Markdown."""
    return [
        "What scaling says:",
        "",
        *(f"- {sentence}" for sentence in words.short(found)),
        f"- {words.cautions(found)[0]}",
        "",
    ]


def scaling_files(found: ScalingFindings) -> Mapping[str, pd.DataFrame]:
    """Tables to be saved beside the report, by the name of their file."""
    laws = [*found.laws, *(one.law for one in found.returns if one.law)]
    files = {
        "scaling_chains.csv": found.tables.chains.reset_index(),
        "scaling_laws.csv": pd.DataFrame([_law_row(law) for law in laws]),
        "scaling_answers.csv": answers_table(found.answers),
        "scaling_associations.csv": pd.DataFrame(
            [_interval_row(vars(one)) for one in found.associations]
        ),
        "scaling_best.csv": pd.DataFrame(
            [vars(one) | {"equals": " ".join(one.equals)} for one in found.best]
        ),
    }
    doublings = [
        {"arm": one.arm, "metric": one.metric} | _interval_row(vars(doubling))
        for one in found.returns
        for doubling in one.doublings
    ]
    if doublings:
        files["scaling_returns.csv"] = pd.DataFrame(doublings)
    if found.tasks:
        links = found.tasks
        files["scaling_tasks.csv"] = pd.DataFrame(
            {
                "task": first,
                "other": second,
                "between_arms": links.between_TxT[i, j],
                "lower": links.low_TxT[i, j],
                "upper": links.high_TxT[i, j],
                "told": links.holds_TxT[i, j],
                "within_arms": links.within_TxT[i, j],
            }
            for i, first in enumerate(links.tasks)
            for j, second in enumerate(links.tasks)
            if i != j
        )
    return files


def _interval_row(row: Mapping[str, object]) -> dict[str, object]:
    """A row for a file, its interval in two columns."""
    ends = row["interval"]
    low, high = ends if isinstance(ends, tuple) else (np.nan, np.nan)
    return {k: v for k, v in row.items() if k != "interval"} | {"lower": low, "upper": high}


def _law_row(law: Law) -> dict[str, object]:
    fitted = law.fits
    centre, scale = (fitted.centre, float(fitted.scale_D[0])) if fitted else (np.nan, np.nan)
    return {
        "of": law.of,
        "over": law.over,
        "n_sizes": len(law.x_A),
        "n_seeds": len(law.y_SxA),
        "told": law.is_told,
        "refusal": law.refusal,
        "has_floor": law.has_floor,
        "alpha": law.alpha,
        "alpha_lower": law.alpha_interval[0],
        "alpha_upper": law.alpha_interval[1],
        "scale_at_centre": scale,
        "centre": centre,
        "floor": float(fitted.floor_D[0]) if fitted else np.nan,
        "floor_lower": law.floor_interval[0],
        "floor_upper": law.floor_interval[1],
        "left_out_error_without_floor": law.left_out_errors[0],
        "left_out_error_with_floor": law.left_out_errors[1],
        "lack_of_fit_p": law.fit_p,
    }


def _head(metric: str) -> str:
    info = metric_info(metric)
    return f"{info.label} ({info.unit})" if info.unit else info.label


def _arm_row(found: ScalingFindings, arm: str, shown: list[str]) -> dict[str, object]:
    """Mean and spread over seeds of every measure of an arm."""
    cells = []
    for metric in shown:
        values = found.tables.of_arm(metric, arm)
        info = metric_info(metric)
        spread = ""
        if len(values) > 1 and float(values.std()) > 0:
            spread = f" ± {info.write_bare(float(values.std()))}"
        cells.append(f"{info.write_bare(float(values.mean()))}{spread}" if len(values) else "–")
    label = f"{arm} (control)" if arm == found.tables.control else arm
    return {"arm": label, "cells": cells, "n": len(found.tables.of_arm(OVERALL, arm))}


def _association_row(one: Association) -> dict[str, str]:
    scale = 100.0 if one.measure == OVERALL else 1.0
    return {
        "step": one.step,
        "of": "overall score (points)" if one.measure == OVERALL else _head(one.measure),
        "effect": signed(scale * one.effect),
        "interval": " to ".join(signed(scale * end) for end in one.interval or ()) or "–",
        "r": "–" if np.isnan(one.partial_r) else signed(round(one.partial_r, 3)),
        "p": "–" if np.isnan(one.p_corrected) else f"{one.p_corrected:.2g}",
        "word": "told" if one.is_told else "undecided",
    }


def _task_rows(found: ScalingFindings) -> list[dict[str, str]]:
    """Each task: how it foretells the rest, and what size brings to it."""
    links = found.tasks
    if links is None:
        return []
    of_task = {one.task: one for one in links.gains}
    rows = []
    for one in links.foretelling:
        gain = of_task.get(one.task)
        row = {
            "task": TASKS[one.task],
            "rho": "–" if np.isnan(one.rho) else written(one.rho),
            "rho_interval": "–",
            "gain": signed(100 * gain.slope) if gain else "–",
            "gain_interval": "–",
            "p": "–",
            "word": gain.verdict if gain else "–",
        }
        if one.interval and not np.isnan(one.interval[0]):
            row["rho_interval"] = " to ".join(written(end) for end in one.interval)
        if gain and gain.interval:
            row["gain_interval"] = " to ".join(signed(100 * end) for end in gain.interval)
            row["p"] = f"{gain.p_corrected:.2g}"
        rows.append(row)
    return rows
