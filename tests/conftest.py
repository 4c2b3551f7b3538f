"""What end-to-end tests share: a store of their own, and doors opened in it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tracking_server import Server, serving

# One thread a process: two test processes on two cores, and the bits that stages are made with.
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"

# As small as a chain can be: it must run, not learn.
_MICRO = """
    --heldout_documents 8 --tokenizer_documents 300 --vocabulary_size 300
    --preset_overrides hidden_size=32,intermediate_size=64,num_hidden_layers=1
    --baseline_documents 60 --baseline_steps 4 --documents 12 --steps 3
    --tokens_per_step 256 --sequence_length 64 --evaluate_every 2 --checkpoint_every 1
    --warmup_steps 1 --max_new_tokens 40
"""
MICRO = _MICRO.split()

Door = Callable[..., subprocess.CompletedProcess[str]]


def last_wins(*words: str) -> list[str]:
    """Words of a command line in which an option that comes twice has its last value.

    The doors refuse an option that is given twice; a test says what differs from `MICRO`.
    """
    if len(words) % 2 or not all(word.startswith("--") for word in words[::2]):
        return list(words)
    options = dict(zip(words[::2], words[1::2], strict=True))
    return [word for pair in options.items() for word in pair]


def environment(**more: str) -> dict[str, str]:
    """The environment of a new process that finds the source tree and is not in its folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW")}
    return kept | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"} | more


_OF_THE_MACHINE = re.compile(r"system/|.*(second|memory|_hour)")


def of_the_result(name: str) -> bool:
    """Whether a metric says what was found, not how fast or how loaded the machine was."""
    return not _OF_THE_MACHINE.match(name)


def open_door(
    folder: Path, name: str, *words: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """`python -m entrypoints.NAME WORDS` in a folder, as a person would type it."""
    return subprocess.run(
        [sys.executable, "-m", f"entrypoints.{name}", *last_wins(*words)],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.fixture(scope="session")
def micro_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store in which generation 2 of one micro chain was asked for."""
    folder = tmp_path_factory.mktemp("micro_chain")
    made = open_door(folder, "recurse_step", "--generation", "2", *MICRO)
    assert made.returncode == 0, made.stderr
    (folder / "stdout").write_text(made.stdout)
    (folder / "stderr").write_text(made.stderr)
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A tracking server for all tests of a worker that need one."""
    with serving() as one:
        yield one


# Tests that start studies take minutes: begun first, they do not end long after all others.
_LONGEST_FIRST = ("test_end_to_end", "tracking", "execution")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files go first."""
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    room = item.path.relative_to(ROOT / "tests").parts[0].removesuffix(".py")
    return _LONGEST_FIRST.index(room) if room in _LONGEST_FIRST else len(_LONGEST_FIRST)
