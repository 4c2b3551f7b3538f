"""The sections of a report: each belongs to one question, and is there where the study asks it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pandas as pd

from analysis.ablations.figures import ablation_plates
from analysis.ablations.findings import ablation_findings
from analysis.ablations.section import ablation_files, ablation_lines, ablation_section
from analysis.code.figures import code_plates
from analysis.code.findings import code_findings
from analysis.code.section import code_files, code_lines, code_section
from analysis.early_warning.figures import warning_plates
from analysis.early_warning.findings import warning_findings, warning_tables
from analysis.early_warning.section import warning_lines, warning_section
from analysis.figures import Plate
from analysis.inference.figures import inference_plates
from analysis.inference.findings import inference_findings
from analysis.inference.section import inference_files, inference_lines, inference_section
from analysis.mechanism.figures import mechanism_plates
from analysis.mechanism.findings import mechanism_findings
from analysis.mechanism.section import mechanism_files, mechanism_lines, mechanism_section
from analysis.origins.figures import origin_plates
from analysis.origins.findings import origin_findings
from analysis.origins.section import origin_files, origin_lines, origin_section
from analysis.ranks.curves import rank_plates
from analysis.ranks.findings import rank_findings
from analysis.ranks.section import rank_files, rank_lines, rank_section
from analysis.recovery.figures import recovery_plates
from analysis.recovery.findings import recovery_findings
from analysis.recovery.section import recovery_files, recovery_lines, recovery_section
from analysis.scaling.curves import scaling_plates
from analysis.scaling.findings import scaling_findings
from analysis.scaling.section import scaling_files, scaling_lines, scaling_section
from analysis.spectra.figures import spectral_plates
from analysis.spectra.indicators import spectral_texts
from analysis.spectra.section import spectral_lines, spectral_section
from analysis.study import StudyRecord

Found = TypeVar("Found")

TEMPLATES = {
    "ablations": "ablations/section.html.j2",
    "origins": "origins/section.html.j2",
    "warnings": "early_warning/section.html.j2",
    "recovery": "recovery/section.html.j2",
    "inference": "inference/section.html.j2",
    "spectra": "spectra/section.html.j2",
    "mechanism": "mechanism/section.html.j2",
    "ranks": "ranks/section.html.j2",
    "code": "code/section.html.j2",
    "scaling": "scaling/section.html.j2",
}
"""Where each section's template lies, in the order of the page."""


@dataclass(frozen=True, eq=False)
class Section:
    """One section of a report: its findings are there, the rest is made when it is asked for.

    Attributes:
        told: what its template shows, all in words.
        plates: its figures.
        lines: of it in Markdown.
        files: tables to be saved beside the page, by the name of their file.
    """

    told: Callable[[], Any]
    plates: Callable[[], tuple[Plate, ...]]
    lines: Callable[[], list[str]]
    files: Callable[[], Mapping[str, pd.DataFrame]] = dict


def sections(record: StudyRecord) -> dict[str, Section]:
    """The sections that a study has, by name, in the order of the page."""
    found = {name: build(record) for name, build in _BUILDERS.items()}
    return {name: one for name, one in found.items() if one is not None}


def _section(
    found: Found | None,
    told: Callable[[Found], Any],
    drawn: Callable[[Found], tuple[Plate, ...]],
    lines: Callable[[Found], list[str]],
    files: Callable[[Found], Mapping[str, pd.DataFrame]],
) -> Section | None:
    if found is None:
        return None
    return Section(
        partial(told, found), partial(drawn, found), partial(lines, found), partial(files, found)
    )


def _ablations(record: StudyRecord) -> Section | None:
    found = ablation_findings(record)
    return _section(found, ablation_section, ablation_plates, ablation_lines, ablation_files)


def _origins(record: StudyRecord) -> Section | None:
    return _section(
        origin_findings(record), origin_section, origin_plates, origin_lines, origin_files
    )


def _warnings(record: StudyRecord) -> Section | None:
    found = warning_findings(record)
    return _section(found, warning_section, warning_plates, warning_lines, warning_tables)


def _recovery(record: StudyRecord) -> Section | None:
    found = recovery_findings(record)
    return _section(found, recovery_section, recovery_plates, recovery_lines, recovery_files)


def _inference(record: StudyRecord) -> Section | None:
    found = inference_findings(record)
    return _section(found, inference_section, inference_plates, inference_lines, inference_files)


def _spectra(record: StudyRecord) -> Section | None:
    if not spectral_texts(record):
        return None
    return Section(
        partial(spectral_section, record),
        partial(spectral_plates, record),
        partial(spectral_lines, record),
    )


def _mechanism(record: StudyRecord) -> Section | None:
    found = mechanism_findings(record)
    return _section(found, mechanism_section, mechanism_plates, mechanism_lines, mechanism_files)


def _ranks(record: StudyRecord) -> Section | None:
    return _section(rank_findings(record), rank_section, rank_plates, rank_lines, rank_files)


def _code(record: StudyRecord) -> Section | None:
    return _section(code_findings(record), code_section, code_plates, code_lines, code_files)


def _scaling(record: StudyRecord) -> Section | None:
    found = scaling_findings(record)
    return _section(found, scaling_section, scaling_plates, scaling_lines, scaling_files)


_BUILDERS: dict[str, Callable[[StudyRecord], Section | None]] = {
    "ablations": _ablations,
    "origins": _origins,
    "warnings": _warnings,
    "recovery": _recovery,
    "inference": _inference,
    "spectra": _spectra,
    "mechanism": _mechanism,
    "ranks": _ranks,
    "code": _code,
    "scaling": _scaling,
}
