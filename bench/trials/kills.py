"""Kills a study again and again, and looks whether it ends in the bits of an undisturbed one.

    python -m bench.trials.kills --kills 20 --courses 4 -- --study quickstart

Each course starts the study, kills the parent or one of its workers with SIGKILL at a random
moment, starts it again, and so on; at last it is let through. A line a kill, a line a course.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import psutil

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run the undisturbed study, then the courses."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--courses", type=int, default=1, help="studies the kills are spread over")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("words", nargs="*", help="of the study, behind --")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    place = Path(tempfile.mkdtemp(prefix="survival-"))
    started = time.monotonic()
    finish(launch(place / "undisturbed", given.words))
    seconds = time.monotonic() - started
    expected = what_is_there(place / "undisturbed")
    print(f"undisturbed: {seconds:.0f} s, {len(expected)} numbers and seals", flush=True)
    equal = 0
    for course in range(given.courses):
        folder = place / f"course{course}"
        kills = given.kills // given.courses + (course < given.kills % given.courses)
        for _ in range(kills):
            # So that the kills of a course are spread over what is left of it.
            print(f"  {kill_once(folder, given.words, seconds / (kills + 1), rng)}", flush=True)
        finish(launch(folder, given.words))
        found = what_is_there(folder)
        same = found == expected
        equal += same
        differing = {key for key in expected | found if expected.get(key) != found.get(key)}
        print(f"course {course}: {kills} kills, equal bits: {same} {sorted(differing)[:5]}")
        shutil.rmtree(folder)
    print(f"{given.kills} kills in {given.courses} courses, {equal} ended in the same bits")
    return int(equal < given.courses)


def launch(folder: Path, words: list[str]) -> subprocess.Popen[bytes]:
    """The study in a folder of its own; what it says goes to a file beside it."""
    folder.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    with log_of(folder).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "entrypoints.experiment", *words],
            cwd=folder,
            env=kept | {"PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )


def log_of(folder: Path) -> Path:
    """Where a study in a folder says what it says."""
    return folder.with_name(f"{folder.name}.log")


def finish(study: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a study that nobody disturbs."""
    if study.wait():
        raise SystemExit("a study that nobody disturbed ended with an error: see its log")


def kill_once(folder: Path, words: list[str], mean_seconds: float, rng: random.Random) -> str:
    """Start the study and kill one of its processes at a random moment; says which, and when."""
    study = launch(folder, words)
    moment = rng.uniform(0.2, 1.8) * mean_seconds
    try:
        study.wait(moment)
        return f"ended by itself before {moment:.0f} s"
    except subprocess.TimeoutExpired:
        pass
    parent = psutil.Process(study.pid)
    workers = [one for one in parent.children(recursive=True) if "spawn_main" in str(one.cmdline())]
    victim = rng.choice([parent, *workers])
    who = "the parent" if victim is parent else "a worker"
    victim.send_signal(signal.SIGKILL)
    study.wait()
    return f"after {moment:.0f} s: killed {who}, exit code {study.returncode}"


def what_is_there(folder: Path) -> dict[str, object]:
    """Every number on every chain but for those of time, and the hash of every version."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    found: dict[str, object] = {
        f"{version.name}@{version.tags['generation']}": version.tags["sha256"]
        for version in client.search_model_versions()
    }
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id], max_results=5000):
            if run.data.tags.get("run_kind") != "chain":
                continue
            for name in run.data.metrics:
                if "second" not in name and "_hour" not in name:
                    for one in client.get_metric_history(run.info.run_id, name):
                        found[f"{run.info.run_name} {name} {one.step}"] = one.value
    return found


if __name__ == "__main__":
    raise SystemExit(main())
