"""Bad input: one clear line, exit code 2, nothing written, no run left RUNNING."""

import errno
import os
import resource
import runpy
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collapse.execution import prepared, stage_door, study_door, task
from collapse.execution.prepared import prepare_plan
from collapse.parameters.doors import DOORS
from collapse.parameters.mlproject import MODULES
from tests.conftest import MICRO, door_process, environment, open_door
from tests.execution.bad_input_cases import CALLS, STUDY_FILES, write_files

Call = Callable[[Path, str, list[str]], tuple[object, str]]

LONGEST_LINE = 600
"""Characters; the longest lines list names that are known."""


def one_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with everything that the rows name."""
    made = tmp_path_factory.mktemp("bad_input")
    write_files(made)
    return made


@pytest.fixture
def call(monkeypatch, capsys) -> Call:
    """Opens a door in this process, up to where its plan is ready and the store would be opened."""

    def not_refused(*given: object) -> None:
        prepare_plan(*given)
        raise AssertionError("this was not refused before anything runs")

    for module in (prepared, stage_door, study_door):
        monkeypatch.setattr(module, "prepare_plan", not_refused)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def opened(folder: Path, door: str, words: list[str]) -> tuple[object, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", [door, *words])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(f"entrypoints.{door}", run_name="__main__")
        said = capsys.readouterr()
        assert said.out == ""
        return ended.value.code, said.err

    return opened


def state(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of all that lies in a folder."""
    found = [folder, *folder.rglob("*")]
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}


def rows(table: list[tuple]) -> list:
    """The rows of a table as parameters, called by what is wrong with them."""
    return [pytest.param(*row, id=f"{row[0]!r:.40}-{row[1]!r:.40}"[:70]) for row in table]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize(("door", "words", "value", "remedy"), rows(CALLS))
def test_call_is_refused(
    folder: Path, call: Call, door: str, words: str, value: str, remedy: str
) -> None:
    before = state(folder)
    code, stderr = call(folder, door, shlex.split(words))
    line = one_line(stderr)
    assert code == 2
    assert value in line
    assert remedy in line
    assert len(line) < LONGEST_LINE
    assert state(folder) == before


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
@pytest.mark.parametrize(("text", "value", "remedy"), rows(STUDY_FILES))
def test_study_file_is_refused(
    tmp_path: Path, call: Call, text: str | bytes, value: str, remedy: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = state(tmp_path)
    code, stderr = call(tmp_path, "experiment", ["--study", "mine.yaml"])
    line = one_line(stderr)
    assert code == 2
    assert "mine.yaml" in line
    assert value in line.replace("mine.yaml", "")
    assert remedy in line
    assert len(line) < LONGEST_LINE
    assert state(tmp_path) == before


def test_every_door_has_rows() -> None:
    assert {row[0] for row in CALLS} == {MODULES.get(name, name) for name in DOORS}


def test_unreadable_file_is_named(tmp_path: Path, call: Call, monkeypatch) -> None:
    """Root may read anything: a disk that fails stands for a permission that lacks."""
    (tmp_path / "mine.txt").write_text("A story.")

    opened = Path.open

    def fails(path: Path, *given: object, **named: object) -> object:
        if path.suffix == ".txt":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *given, **named)

    monkeypatch.setattr(Path, "open", fails)
    code, stderr = call(tmp_path, "prepare", ["--corpus", "mine.txt"])
    assert code == 2
    assert "mine.txt cannot be read: Permission denied" in one_line(stderr)


IN_A_PROCESS = [
    ("recurse_step", "--genration 3"),
    ("prepare", "--corpus utf16.txt"),
    ("baseline", "--preset m_pickle"),
    ("experiment", "--study nowhere.yaml"),
]


@pytest.mark.parametrize(("door", "words"), IN_A_PROCESS)
def test_a_process_says_one_line_and_ends_with_2(folder: Path, door: str, words: str) -> None:
    before = state(folder)
    made = door_process(folder, door, *shlex.split(words))
    assert made.returncode == 2
    assert made.stdout == ""
    assert "Traceback" not in one_line(made.stderr)
    assert state(folder) == before


def test_hub_name_without_network_is_refused_by_little_code(tmp_path: Path) -> None:
    """The check itself, as seen by a process that may use the network and has none."""
    code = (
        "import sys; from collapse.language.corpora.source import corpus_fingerprint\n"
        "from collapse.errors import BadCorpus\n"
        "try: corpus_fingerprint('roneneldan/TinyStories')\n"
        "except BadCorpus as error: print(error)\n"
        # The hub's own client would try again for most of a minute.
        "assert not {'torch', 'transformers', 'datasets', 'huggingface_hub'} & set(sys.modules)\n"
    )
    variables = environment()
    del variables["HF_HUB_OFFLINE"]
    variables["HF_HOME"] = str(tmp_path)
    # A proxy that refuses at once stands for a machine without network.
    variables |= {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    run = subprocess.run(
        [sys.executable, "-c", code], env=variables, cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "roneneldan/TinyStories" in run.stdout


def running(folder: Path) -> int:
    if not (folder / "mlflow.db").exists():
        return 0
    with sqlite3.connect(folder / "mlflow.db") as store:
        return store.execute("select count(*) from runs where status = 'RUNNING'").fetchone()[0]


def test_unwritable_folder(tmp_path: Path) -> None:
    """Root may write anywhere but in /proc."""
    folder = Path("/proc") if os.geteuid() == 0 else tmp_path
    tmp_path.chmod(0o500)
    made = open_door(folder, "recurse_step", *MICRO)
    tmp_path.chmod(0o700)
    assert made.returncode == 2
    assert "cannot be written" in one_line(made.stderr)


def test_store_in_a_folder_that_is_not_there(tmp_path: Path) -> None:
    uri = "sqlite:////nowhere/at/all/mlflow.db"
    made = open_door(tmp_path, "recurse_step", *MICRO, MLFLOW_TRACKING_URI=uri)
    assert made.returncode == 2
    assert "/nowhere/at/all" in one_line(made.stderr)


def test_store_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is not a database, however you look at it\n" * 50)
    made = open_door(tmp_path, "recurse_step", *MICRO)
    assert made.returncode == 2
    assert "does not answer" in one_line(made.stderr)


def test_full_disk_is_said_before_anything_runs(tmp_path: Path, monkeypatch) -> None:
    from collapse.errors import StoreError
    from collapse.tracking import store

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(store, "LEAST_FREE_BYTES", 2**60)
    with pytest.raises(StoreError, match="is full"):
        store.connect()


def test_disk_that_fills_up_in_the_middle_of_a_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage may write no file over 20 KB: its run fails in one line, as on a full disk."""
    real, before = task.stage_function, resource.getrlimit(resource.RLIMIT_FSIZE)

    def on_a_small_disk(*given: object) -> Iterator[object]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        try:
            yield from real("prepare")(*given)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(task, "stage_function", lambda _: on_a_small_disk)
    # Python ignores SIGXFSZ by itself: a write that is too much fails.
    words = ["--heldout_documents", "500", "--tokenizer_documents", "300"]
    made = open_door(tmp_path, "prepare", *words, "--vocabulary_size", "300")
    assert made.returncode == 2, made.stderr
    assert "cannot be written" in one_line(made.stderr)
    assert running(tmp_path) == 0


def test_scratch_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / ".collapse").write_text("a file, where a folder is wanted")
    made = open_door(tmp_path, "prepare", *MICRO[:6])
    assert made.returncode == 2
    assert "cannot be written" in one_line(made.stderr)
    assert running(tmp_path) == 0


def test_damaged_version_is_named_and_nothing_is_lost(micro_copy: Path) -> None:
    folder = micro_copy
    weights = sorted(folder.rglob("model.safetensors"), key=lambda path: path.stat().st_mtime)
    for path in weights:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    made = open_door(folder, "recurse_step", "--generation", "3", *MICRO)
    assert made.returncode == 2
    line = made.stderr.strip().splitlines()[-1]
    assert "is not the file that was registered" in line
    assert "rerun=true" in line
    assert running(folder) == 0
    assert all(path.is_file() for path in weights)
