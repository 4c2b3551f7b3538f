"""A study's report: one page that needs nothing beside it, its figures, its numbers, a summary."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from analysis.claims.answer import answer
from analysis.claims.positive_control import positive_control, positive_control_in_words
from analysis.claims.verdicts import estimate_in_words, headline, verdicts
from analysis.figures import Plate, plates
from analysis.report.alarms import alarms
from analysis.report.cautions import cautions
from analysis.report.page import Picture, render
from analysis.report.results_page import results_page
from analysis.report.sections import Section, sections
from analysis.runs import incomplete_chains, run_counts
from analysis.study import StudyRecord
from analysis.tables import mean_and_sd, measured_metrics, seeds_in_words
from collapse.errors import StoreError
from collapse.figures.style import png_bytes

SUMMARY_METRICS = (
    "truth/kl_nats_per_token",
    "truth/valid_fraction",
    "truth/tail_coverage",
    "human/nll_nats",
    "quality/distinct_2",
    "quality/mauve",
    "svd/K/participation_ratio",
)


def write_report(
    record: StudyRecord,
    folder: Path,
    found: Mapping[str, Section] | None = None,
    summary: str | None = None,
) -> Path:
    """Writes the page, its figures and its numbers.

    They are ``report.html``, ``README.md`` (the same in short, to be kept beside code),
    ``figures/*.png`` with the means and bands of trajectories as ``figures/*.csv``,
    ``measurements.csv``, and the tables of the study's sections.

    Args:
        record: the study.
        folder: where to; made if it is not there.
        found: the record's sections, where they are known already.
        summary: of `markdown_summary`, where it is known already.

    Returns:
        The path of the page. It holds its own pictures and style and asks for nothing else.

    Raises:
        StoreError: if the folder cannot be written.
    """
    every = sections(record) if found is None else found
    drawn_in = {name: one.plates() for name, one in every.items()}
    own = [name for name in ("ranks", "code", "scaling") if drawn_in.get(name)]
    # One training a chain has no course over generations; a study of its own has its own figures.
    general = plates(record) if record.is_recursion or not own else ()
    drawn = [*general, *(plate for some in drawn_in.values() for plate in some)]
    pictures = {plate.name: png_bytes(plate.figure) for plate in drawn}

    def shown(some: Iterable[Plate]) -> list[Picture]:
        return [(plate.title, plate.caption, pictures[plate.name]) for plate in some]

    told = {name: (one.told(), shown(drawn_in[name])) for name, one in every.items()}
    page = render(record, shown(general), told)
    files = {name: table for one in every.values() for name, table in one.files().items()}
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            (folder / "figures" / f"{name}.png").write_bytes(picture)
        for plate in drawn:
            if plate.data is not None:
                plate.data.to_csv(folder / "figures" / f"{plate.name}.csv", index=False)
        record.measurements.to_csv(folder / "measurements.csv", index=False)
        for name, table in files.items():
            table.to_csv(folder / name, index=False)
        in_short = markdown_summary(record, every) if summary is None else summary
        (folder / "README.md").write_text(results_page(record, in_short, drawn), encoding="utf-8")
        path = folder / "report.html"
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error}") from error
    return path


def markdown_summary(record: StudyRecord, found: Mapping[str, Section] | None = None) -> str:
    """The verdict and the leading numbers in a few lines of Markdown.

    Args:
        record: the study.
        found: the record's sections, where they are known already.

    Returns:
        Text for a terminal's last lines or a page of results, ending in a newline.
    """
    judged = verdicts(record)
    checks = positive_control(record)
    lines = [f"# {record.name}", "", record.question, ""]
    lines += [f"**{sentence}**\n" for sentence in answer(judged)]
    lines += [f"**{headline(judged)}**", ""]
    lines += [f"**ALARM**: {one}\n" for one in alarms(record).values()]
    for verdict in judged:
        lines.append(f"- **{verdict.status}**: {_one_line(verdict.claim.statement)}")
        lines.append(f"  {estimate_in_words(verdict)} {' '.join(verdict.reasons)}".rstrip())
    lines.append("")
    if record.is_recursion:
        lines += [f"Positive control: {positive_control_in_words(checks)}", ""]
    lines += _markdown_table(record)
    for section in (sections(record) if found is None else found).values():
        lines += section.lines()
    lines += ["What may not be concluded:", ""]
    lines += [f"- {caution}" for caution in cautions(record, judged)]
    counts = run_counts(record.runs)
    again = f", {counts['redone']} broken off and made again" if counts["redone"] else ""
    lines += [
        "",
        f"Runs: {counts['done']} finished, {counts['broken']} failed, {counts['open']} "
        f"not finished{again}; {len(incomplete_chains(record))} incomplete chains.",
    ]
    return "\n".join(lines) + "\n"


def _markdown_table(record: StudyRecord) -> list[str]:
    """The metrics that tell most, per arm, at the first and the last generation."""
    measured = measured_metrics(record)
    metrics = [metric for metric in SUMMARY_METRICS if metric in measured]
    if not metrics:
        return ["None of the leading metrics was measured.", ""]
    ends = sorted({0, record.generations})
    lines = [
        "| metric | arm | " + " | ".join(f"generation {g}" for g in ends) + " |",
        "| --- | --- |" + " ---: |" * len(ends),
    ]
    for metric in metrics:
        for arm, cells in mean_and_sd(record, metric)[ends].iterrows():
            lines.append(f"| {metric} | {arm} | " + " | ".join(cells) + " |")
    is_one = len(record.seeds) == 1
    return [*lines, "", "One seed." if is_one else f"Mean ± sd over {seeds_in_words(record)}.", ""]


def _one_line(text: str) -> str:
    return " ".join(text.split())
