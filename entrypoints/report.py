"""Write the report of what a study's chains measured so far."""

from pathlib import Path
from typing import Any

from collapse.execution.door import chosen, run_door
from collapse.execution.prepared import Prepared, prepare_plan
from collapse.parameters.study import StudyFile
from collapse.stages.plan import plan_study


def report(study: StudyFile, given: dict[str, Any]) -> str:
    """Read a study's chains, write its report, log it; returns the report's run."""
    prepared = prepare_plan(study, plan_study(study, given))
    from collapse.tracking.store import connect

    connect()
    return write(prepared, chosen("report", study, given))


def write(prepared: Prepared, parameters: Any) -> str:
    """Write `reports/<experiment>/report.html`, log it as a run, and print the verdict."""
    from analysis.kept import write_record
    from analysis.report.sections import sections
    from analysis.report.writing import markdown_summary, write_report
    from collapse.tracking.reports import log_report
    from entrypoints.record import keep_evolutions, study_record

    experiment = prepared.plan.experiment
    record = study_record(prepared, parameters)
    found = sections(record)
    summary = markdown_summary(record, found)
    path = write_report(record, Path("reports") / experiment, found, summary)
    write_record(record, path.parent / "record")
    run_id = log_report(experiment, prepared.study.name, path.parent)
    keep_evolutions(prepared, record)
    print(summary)
    print(path.absolute())
    return run_id


if __name__ == "__main__":
    raise SystemExit(run_door("report", report))
