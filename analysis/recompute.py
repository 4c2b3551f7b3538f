"""The verdict of a study, worked out again from its record: no store, no model, no training.

`report` leaves the record in its folder and among the artifacts of its run. The claims in it are
held against the hash that was written down before the first chain ran.
"""

import argparse
import sys
from pathlib import Path

from analysis.kept import read_record
from analysis.report.sections import sections
from analysis.report.writing import markdown_summary, write_report
from collapse.errors import CollapseError


def main(words: list[str] | None = None) -> int:
    """Read the command line, write the report, print the verdict; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis.recompute", description=__doc__)
    parser.add_argument("record", type=Path, help="folder with record.json and its tables")
    parser.add_argument("--to", type=Path, required=True, help="folder to write the report to")
    given = parser.parse_args(words)
    try:
        record = read_record(given.record)
        found = sections(record)
        summary = markdown_summary(record, found)
        path = write_report(record, given.to, found, summary)
    except CollapseError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(summary)
    print(path.absolute())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
