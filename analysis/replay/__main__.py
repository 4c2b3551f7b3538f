"""The published table worked out again, as a page.

python -m analysis.replay ../shared/data/published/recursion_102m --to FOLDER
"""

import argparse
import sys
from pathlib import Path

from analysis.replay.page import page
from analysis.replay.published import read_published, replay, replay_figure, replay_trends
from collapse.errors import CollapseError, StoreError
from collapse.figures import png_bytes

PICTURE = "published_ritz_values.png"


def write_replay(folder: Path, to: Path) -> Path:
    """Write ``README.md`` and the figure; returns the page's path.

    Args:
        folder: the published numbers.
        to: where to; made if it is not there.

    Raises:
        BadInput: the numbers are not there or not as published.
        StoreError: the page cannot be written.
    """
    published = read_published(folder)
    table = replay(published)
    text = page(table, replay_trends(table), PICTURE)
    picture = png_bytes(replay_figure(published))
    try:
        to.mkdir(parents=True, exist_ok=True)
        (to / PICTURE).write_bytes(picture)
        (to / "README.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write to {to}: {error}") from error
    return to / "README.md"


def main(words: list[str] | None = None) -> int:
    """Read the command line, write the page, and say where it is; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m analysis.replay", description=__doc__)
    parser.add_argument("folder", type=Path, help="the folder of the published JSON files")
    parser.add_argument("--to", type=Path, required=True, help="folder to write the page to")
    given = parser.parse_args(words)
    try:
        print(write_replay(given.folder, given.to))
    except CollapseError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
