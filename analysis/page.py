"""The report's page: what its template shows, made from a record."""

import base64
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import jinja2
import pandas as pd

from analysis import spectra_words
from analysis.alarms import alarms
from analysis.code.findings import CodeFindings
from analysis.code.section import code_section
from analysis.effects import effects_table
from analysis.events import EVENT_RULES, NO_LEAD_TIME, first_events
from analysis.findings import (
    cautions,
    estimate_in_words,
    headline,
    incomplete_chains,
    positive_control,
    positive_control_in_words,
    run_condition,
    run_counts,
    verdicts,
)
from analysis.metrics import MINUS, Metric, metric_info
from analysis.ranks.findings import RankFindings
from analysis.ranks.section import rank_section
from analysis.spectra import indicators_table, spectral_texts
from analysis.statistics import ALPHA
from analysis.study import StudyRecord
from analysis.tables import LEADING_METRICS, ledger, mean_and_sd, measured_metrics
from analysis.trends import TREND_RULE

SAMPLES_SHOWN = 3
SAMPLE_CHARACTERS = 700


@dataclass(frozen=True)
class SampleRow:
    """The sample texts of one generation and seed, side by side.

    Attributes:
        generation: the generation.
        cells: (heading, texts) for each arm; one cell where all arms share the texts.
    """

    generation: int
    cells: tuple[tuple[str, tuple[str, ...]], ...]


Picture = tuple[str, str, bytes]
"""Title, caption and PNG of a figure."""


def render(
    record: StudyRecord,
    figures: Sequence[Picture],
    spectral_figures: Sequence[Picture] = (),
    rank_figures: Sequence[Picture] = (),
    ranks: RankFindings | None = None,
    code_figures: Sequence[Picture] = (),
    code: CodeFindings | None = None,
) -> str:
    """The page as text.

    Args:
        record: the study.
        figures: the figures of the section of that name.
        spectral_figures: those of the section on spectra.
        rank_figures: those of the section on ranks.
        ranks: what the ranks say, where the study has any.
        code_figures: those of the section on code.
        code: what completions of code say, where the study has any.

    Returns:
        HTML; everything that comes from the record is escaped.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        files("analysis").joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    found, checks = verdicts(record), positive_control(record)
    return template.render(
        record=record,
        alarms=alarms(record),
        headline=headline(found),
        verdicts=[(verdict, estimate_in_words(verdict)) for verdict in found],
        cautions=cautions(record, found),
        checks=checks,
        checks_in_words=positive_control_in_words(checks),
        tables=_metric_tables(record),
        effects=_effect_rows(record),
        events=_event_rows(record),
        event_rules=[rule.words for rule in EVENT_RULES],
        no_lead_time=NO_LEAD_TIME,
        figures=_encoded(figures),
        spectra=[_spectral_part(record, text) for text in spectral_texts(record)],
        spectral_figures=_encoded(spectral_figures),
        ranks=rank_section(ranks) if ranks else None,
        rank_figures=_encoded(rank_figures),
        code=code_section(code) if code else None,
        code_figures=_encoded(code_figures),
        trend_rule=TREND_RULE,
        samples=[(seed, _sample_rows(record, seed)) for seed in record.seeds],
        samples_shown=SAMPLES_SHOWN,
        ledger=ledger(record.runs).to_dict("records"),
        counts=run_counts(record.runs),
        runs=_run_rows(record.runs),
        incomplete=incomplete_chains(record),
        settings=_settings_rows(record.settings),
        commands=_commands(record.settings),
        alpha=ALPHA,
    )


def _encoded(pictures: Sequence[Picture]) -> list[tuple[str, str, str]]:
    return [(title, words, base64.b64encode(png).decode("ascii")) for title, words, png in pictures]


def _metric_tables(record: StudyRecord) -> dict[str, list[dict[str, object]]]:
    """Rows of the table of metrics: the leading ones, and all others."""
    rows: dict[str, list[dict[str, object]]] = {"leading": [], "others": []}
    for metric in measured_metrics(record):
        info, cells = metric_info(metric), mean_and_sd(record, metric)
        rows["leading" if metric in LEADING_METRICS else "others"].append(
            {
                "label": info.label,
                "unit": info.unit,
                "arms": [(str(arm), list(row)) for arm, row in cells.iterrows()],
            }
        )
    return rows


def _effect_rows(record: StudyRecord) -> list[dict[str, object]]:
    """Paired differences from the control, in words."""
    metrics = tuple(m for m in measured_metrics(record) if m in LEADING_METRICS)
    rows: list[dict[str, object]] = []
    for row in effects_table(record, metrics).to_dict("records"):
        info = metric_info(str(row["metric"]))
        has_interval = pd.notna(row["lower"])
        rows.append(
            {
                "label": info.label,
                "unit": "points" if info.is_share else info.unit,
                "arm": row["arm"],
                "n": row["n_seeds"],
                "mean": info.write_bare(row["mean"], "+") if row["n_seeds"] else "–",
                "lower": info.write_bare(row["lower"], "+") if has_interval else "–",
                "upper": info.write_bare(row["upper"], "+") if has_interval else "–",
                "p": f"{row['p']:.3g}" if row["n_seeds"] else "–",
                "least_p": f"{row['least_p']:.3g}" if row["n_seeds"] else "–",
            }
        )
    return rows


def _spectral_part(record: StudyRecord, text: str) -> dict[str, object]:
    """What the spectra on one text say, and the table of indicators behind it."""
    groups: dict[str, dict[str, Any]] = {}
    for row in indicators_table(record, text).to_dict("records"):
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
        "sentences": spectra_words.sentences(record, text),
        "cautions": spectra_words.cautions(record, text),
        "groups": [g for g in groups.values() if g["claimed"] or not g["is_empty"]],
    }


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


def _event_rows(record: StudyRecord) -> list[dict[str, str]]:
    """First events in words, chains that fared alike in one row."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for row in first_events(record).to_dict("records"):
        until, came = row["observed_until"], row["generation"]
        words = {
            "seen": f"at generation {came}",
            "unresolved": f"by generation {came}; when exactly is unresolved",
            "not seen": f"not until generation {until}, where observation ends",
            "not measured": "could not be compared",
        }[row["status"]]
        key = (metric_info(row["event"]).label, str(row["arm"]), words)
        alike.setdefault(key, []).append(str(row["seed"]))
    return [
        {"label": label, "arm": arm, "seeds": ", ".join(seeds), "words": words}
        for (label, arm, words), seeds in alike.items()
    ]


def _sample_rows(record: StudyRecord, seed: int) -> list[SampleRow]:
    """The texts of one seed by generation; arms that share their texts share a cell."""
    rows = []
    of_seed = record.samples[record.samples["seed"] == seed]
    for generation in range(record.generations + 1):
        here = of_seed[of_seed["generation"] == generation]
        texts = {
            arm: tuple(here.loc[here["arm"] == arm, "text"].astype(str)) for arm in record.arms
        }
        if not any(texts.values()):
            continue
        # Generation 0 is the same model for every arm; one reading of it is enough.
        distinct = {shown for shown in texts.values() if shown}
        if len(distinct) == 1 and len(record.arms) > 1 and generation == 0:
            cells = [("shared by all arms", _shown(distinct.pop()))]
        else:
            cells = [(arm, _shown(texts[arm])) for arm in record.arms]
        rows.append(SampleRow(generation, tuple(cells)))
    return rows


def _shown(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The first texts, cut where they are very long."""
    return tuple(
        text if len(text) <= SAMPLE_CHARACTERS else f"{text[:SAMPLE_CHARACTERS]} […]"
        for text in texts[:SAMPLES_SHOWN]
    )


def _run_rows(runs: pd.DataFrame) -> list[dict[str, object]]:
    """Every run of the ledger as text, broken ones marked."""
    rows: list[dict[str, object]] = []
    for run in runs.to_dict("records"):
        row: dict[str, object] = {
            key: "–" if pd.isna(run.get(key)) else _plain(run.get(key))
            for key in ("arm", "seed", "generation", "stage", "status", "url")
        }
        seconds = pd.to_numeric(run["seconds"], errors="coerce")
        row["seconds"] = "–" if pd.isna(seconds) else f"{seconds:.1f}"
        row["run"] = str(run["run_id"])[:8]
        row["fingerprint"] = "–" if pd.isna(run["fingerprint"]) else str(run["fingerprint"])[:12]
        row["condition"] = run_condition(run["status"])
        rows.append(row)
    return rows


def _settings_rows(settings: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(str(key), _plain(value)) for key, value in settings.items() if key != "commands"]


def _commands(settings: Mapping[str, object]) -> list[str]:
    """The lines that run the study again, from ``settings["commands"]``."""
    commands = settings.get("commands", ())
    if isinstance(commands, str):
        return commands.splitlines()
    return [str(line) for line in commands] if isinstance(commands, (list, tuple)) else []


def _plain(value: object) -> str:
    """A value as a person writes it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
