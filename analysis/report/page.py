"""The report's page: what its template shows, made from a record."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2
import pandas as pd

from analysis.claims.answer import answer
from analysis.claims.effects import effects_table
from analysis.claims.positive_control import positive_control, positive_control_in_words
from analysis.claims.verdicts import estimate_in_words, headline, rules_in_words, verdicts
from analysis.events import EVENT_RULES, first_events
from analysis.metrics import metric_info
from analysis.report.alarms import alarms
from analysis.report.cautions import cautions
from analysis.report.methods import methods_of
from analysis.report.sections import TEMPLATES
from analysis.runs import incomplete_chains, ledger, run_conditions, run_counts
from analysis.statistics import ALPHA
from analysis.study import StudyRecord
from analysis.tables import LEADING_METRICS, mean_and_sd, measured_metrics, seeds_in_words

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


@cache
def environment() -> jinja2.Environment:
    """Where the templates of the page and its sections lie; whatever they are given is escaped."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["alpha"] = ALPHA
    return found


def render(
    record: StudyRecord,
    figures: Sequence[Picture],
    sections: Mapping[str, tuple[Any, Sequence[Picture]]],
) -> str:
    """The page as text.

    Args:
        record: the study.
        figures: the trajectories over generations.
        sections: of `analysis.report.sections`, by name, what each tells and its figures.

    Returns:
        HTML; everything that comes from the record is escaped.
    """
    found, checks = verdicts(record), positive_control(record)
    return (
        environment()
        .get_template("report/report.html.j2")
        .render(
            record=record,
            alarms=tuple(alarms(record).values()),
            answer=answer(found),
            headline=headline(found),
            verdicts=[(verdict, estimate_in_words(verdict)) for verdict in found],
            rules=rules_in_words(found),
            cautions=cautions(record, found),
            checks=checks,
            checks_in_words=positive_control_in_words(checks),
            tables=_metric_tables(record),
            seeds=seeds_in_words(record),
            # Contrasts that have a section of their own are not told twice.
            effects=[] if "inference" in sections else _effect_rows(record),
            events=_event_rows(record),
            event_rules=[rule.words for rule in EVENT_RULES],
            sections=[(name, told, _encoded(some)) for name, (told, some) in sections.items()],
            templates=TEMPLATES,
            figures=_encoded(figures),
            samples=[(seed, _sample_rows(record, seed)) for seed in record.seeds],
            samples_shown=SAMPLES_SHOWN,
            ledger=ledger(record.runs).to_dict("records"),
            counts=run_counts(record.runs),
            runs=_run_rows(record.runs),
            incomplete=incomplete_chains(record),
            planned_chains=sum(len(record.seeds_of(arm)) for arm in record.arms),
            arms=[_arm_in_words(record, arm) for arm in record.arms],
            settings=_settings_rows(record.settings),
            commands=commands(record.settings),
            methods=methods_of(record, sections),
        )
    )


def _encoded(pictures: Sequence[Picture]) -> list[tuple[str, str, str]]:
    return [(title, words, base64.b64encode(png).decode("ascii")) for title, words, png in pictures]


def _arm_in_words(record: StudyRecord, arm: str) -> str:
    """An arm's name, with what sets its chains apart."""
    seeds, switch = record.seeds_of(arm), record.returns.get(arm)
    told = (
        "control" if arm == record.control else "",
        f"{len(seeds)} seed{'s' * (len(seeds) > 1)}" if len(seeds) < len(record.seeds) else "",
        f"human text from generation {switch}" if switch else "",
    )
    words = "; ".join(part for part in told if part)
    return f"{arm} ({words})" if words else arm


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
                "arm": _compared(record, str(row["arm"])),
                "n": row["n_seeds"],
                "mean": info.write_bare(row["mean"], "+") if row["n_seeds"] else "–",
                "lower": info.write_bare(row["lower"], "+") if has_interval else "–",
                "upper": info.write_bare(row["upper"], "+") if has_interval else "–",
                "p": f"{row['p']:.3g}" if row["n_seeds"] else "–",
                "least_p": f"{row['least_p']:.3g}" if row["n_seeds"] else "–",
            }
        )
    return rows


def _compared(record: StudyRecord, arm: str) -> str:
    """An arm, with its control where that is not the study's."""
    own = record.control_of(arm)
    return arm if own == record.control else f"{arm} (beside {own})"


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
        arm = _compared(record, str(row["arm"]))
        key = (metric_info(row["event"]).label, arm, words)
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
    conditions = run_conditions(runs)
    for run, condition in zip(runs.to_dict("records"), conditions, strict=True):
        row: dict[str, object] = {
            key: "–" if pd.isna(run.get(key)) else _plain(run.get(key))
            for key in ("arm", "seed", "generation", "stage", "status", "url")
        }
        seconds = pd.to_numeric(run["seconds"], errors="coerce")
        row["seconds"] = "–" if pd.isna(seconds) else f"{seconds:.1f}"
        row["run"] = str(run["run_id"])[:8]
        row["fingerprint"] = "–" if pd.isna(run["fingerprint"]) else str(run["fingerprint"])[:12]
        row["condition"] = condition
        rows.append(row)
    return rows


def _settings_rows(settings: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(str(key), _plain(value)) for key, value in settings.items() if key != "commands"]


def commands(settings: Mapping[str, object]) -> list[str]:
    """The lines that run the study again, from ``settings["commands"]``."""
    lines = settings.get("commands", ())
    if isinstance(lines, str):
        return lines.splitlines()
    return [str(line) for line in lines] if isinstance(lines, (list, tuple)) else []


def _plain(value: object) -> str:
    """A value as a person writes it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
