"""Bad input: one clear line, exit code 2, no run left RUNNING (issue 2, point 11)."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import MICRO, environment, open_door

BAD = {
    "unknown parameter": (["--genration", "3"], "did you mean generation"),
    "unknown preset": (["--preset", "pokcet"], "pocket"),
    "unknown study": (["--study", "quickstrt"], "quickstart"),
    "negative generation": (["--generation", "-1"], "1 or more"),
    "missing file": (["--corpus", "./nowhere.jsonl"], "nowhere.jsonl"),
    "model without folder": (["--preset", "./nowhere"], "nowhere"),
    "hub corpus": (["--corpus", "roneneldan/TinyStories"], "roneneldan/TinyStories"),
    "hub model": (["--preset", "Qwen/Qwen2.5-0.5B"], "Qwen/Qwen2.5-0.5B"),
    "bad override": (["--preset_overrides", "hidden_sice=3"], "hidden_size"),
}


def one_line(stderr: str) -> str:
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("name", BAD)
def test_refused_before_anything_heavy_is_loaded(name: str, tmp_path: Path) -> None:
    words, says = BAD[name]
    made = open_door(tmp_path, "recurse_step", *words)
    assert made.returncode == 2
    assert says in one_line(made.stderr)
    assert not (tmp_path / "mlflow.db").exists()


def test_hub_name_without_network_is_refused_within_two_seconds(tmp_path: Path) -> None:
    """The check itself, as seen by a process that may use the network and has none."""
    code = (
        "import sys, time; from collapse.language.corpora.source import corpus_fingerprint\n"
        "from collapse.errors import BadCorpus\n"
        "start = time.perf_counter()\n"
        "try: corpus_fingerprint('roneneldan/TinyStories')\n"
        "except BadCorpus as error: print(error)\n"
        "assert time.perf_counter() - start < 2\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\n"
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


def test_empty_and_too_small_corpora(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    made = open_door(tmp_path, "prepare", "--corpus", "empty.jsonl")
    assert made.returncode == 2
    assert "empty" in one_line(made.stderr)

    rows = [json.dumps({"text": f"A story about number {i}."}) for i in range(4)]
    (tmp_path / "small.jsonl").write_text("\n".join(rows))
    made = open_door(tmp_path, "prepare", "--corpus", "small.jsonl")
    assert made.returncode == 2
    assert "too small" in one_line(made.stderr)
    assert running(tmp_path) == 0


def running(folder: Path) -> int:
    if not (folder / "mlflow.db").exists():
        return 0
    with sqlite3.connect(folder / "mlflow.db") as store:
        return store.execute("select count(*) from runs where status = 'RUNNING'").fetchone()[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; the next test covers root")
def test_unwritable_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    made = open_door(tmp_path, "recurse_step", *MICRO)
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


def test_disk_that_fills_up_in_the_middle_of_a_stage(tmp_path: Path) -> None:
    """A stage may write no file over 20 KB: its run fails in one line, as on a full disk."""
    code = (
        "import resource, sys; from collapse.execution import task\n"
        "real = task.stage_function\n"
        "def small(name):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "    import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    return lambda *a: (yield from lifted(real(name)(*a)))\n"
        "def lifted(measurements):\n"
        "    try: yield from measurements\n"
        "    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "task.stage_function = small\n"
        "sys.argv = ['prepare', *sys.argv[1:]]\n"
        "from collapse.execution.stage_door import run_stage_door\n"
        "sys.exit(run_stage_door('prepare'))\n"
    )
    words = ["--heldout_documents", "500", "--tokenizer_documents", "300"]
    made = subprocess.run(
        [sys.executable, "-c", code, *words, "--vocabulary_size", "300"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert made.returncode == 2, made.stderr
    assert "cannot be written" in one_line(made.stderr)
    assert running(tmp_path) == 0


def test_scratch_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / ".collapse").write_text("a file, where a folder is wanted")
    made = open_door(tmp_path, "prepare", *MICRO[:6])
    assert made.returncode == 2
    assert "cannot be written" in one_line(made.stderr)
    assert running(tmp_path) == 0


def test_damaged_version_is_named_and_nothing_is_lost(micro_chain: Path, tmp_path: Path) -> None:
    """The store is moved, so that it still names the files of the first folder: damage those."""
    folder = tmp_path / "copy"
    shutil.copytree(micro_chain, folder)
    with sqlite3.connect(folder / "mlflow.db") as store:
        for table, column in (
            ("runs", "artifact_uri"),
            ("experiments", "artifact_location"),
            ("logged_models", "artifact_location"),
            ("model_versions", "storage_location"),
        ):
            store.execute(
                f"update {table} set {column} = replace({column}, ?, ?)",
                (str(micro_chain), str(folder)),
            )
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


def test_bad_input_is_refused_fast(tmp_path: Path) -> None:
    start = time.perf_counter()
    open_door(tmp_path, "recurse_step", "--generation", "-1")
    # Loading torch and transformers alone takes longer than this on any of our machines.
    assert time.perf_counter() - start < 5
