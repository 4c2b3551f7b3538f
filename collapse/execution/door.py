"""What every door does: read the words, plan, run, and say in one line where to look."""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from collapse.errors import BadParameter, CollapseError, StoreError
from collapse.parameters.doors import DOORS
from collapse.parameters.mlproject import help_text
from collapse.parameters.parse import read_arguments
from collapse.parameters.study import StudyFile, load_study
from collapse.tracking.launcher import tag_launcher, take_launcher
from collapse.tracking.store import first_line, is_store_failure

INTERRUPTED = 130


def run_door(name: str, action: Callable[[StudyFile, dict[str, Any]], str | None]) -> int:
    """Open a door: parse the command line, call the action, and turn errors into one line.

    Args:
        name: the door, a key of `DOORS`.
        action: takes the study and the given parameters; returns the run to tag a launcher with.

    Returns:
        The exit code: 0, 2 for what a person has to put right, 1 for a finding, 130 for Ctrl-C.
    """
    words = sys.argv[1:]
    if any(word in {"--help", "-h"} for word in words):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `--help | head` ends as it should
        print(help_text(name, DOORS[name]))
        return 0
    launcher = take_launcher()
    # SIGTERM ends as Ctrl-C does: runs are closed as KILLED, and the next call goes on.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    try:
        study, given = read_call(name, words)
        run_id = action(study, given)
        if run_id:
            tag_launcher(launcher, run_id)
    except CollapseError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if not is_store_failure(error):
            raise
        print(
            f"error: the store or its disk failed ({first_line(error)}): once that is put right, "
            "the same command goes on from what was finished",
            file=sys.stderr,
        )
        return StoreError.exit_code
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from what was finished", file=sys.stderr)
        return INTERRUPTED
    return 0


def read_call(name: str, words: Sequence[str]) -> tuple[StudyFile, dict[str, Any]]:
    """The study of a call and the parameters given in it, all checked.

    Raises:
        BadParameter: anything that is not understood.
    """
    door = DOORS[name]
    given: dict[str, Any] = dict(read_arguments(door, words))
    if "kind" in given:
        raise BadParameter("kind is what an arm decides: give arm=NAME, or write an arm of a study")
    plain = door()
    study = load_study(given.get("study", plain.study), given.get("scale", plain.scale))
    chosen(name, study, given)  # checks every value before anything is loaded
    return study, given


def chosen(door: str, study: StudyFile, given: Mapping[str, Any]) -> Any:
    """The door's dataclass for a call."""
    plain = DOORS[door]()
    return study.door(DOORS[door], given, given.get("arm", getattr(plain, "arm", None)))
