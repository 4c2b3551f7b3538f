"""The price of a study beside what it then took: one run, one machine.

    python -m bench.price [-- --study quickstart --seeds 1 --workers 2]

Without words of its own it prices and runs a quickstart of one seed and one generation. The price
is that of `-P dry_run=true`; beside it stand the seconds of all runs of each stage, and the time
from the start of the study to the end of its last stage.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow

from collapse.execution.door import chosen, read_call
from collapse.execution.price.quote import Quote, lines_of, quote_study
from collapse.execution.study_door import prepare_study

ROOT = Path(__file__).resolve().parents[1]
SHORT = ["--seeds", "1", "--generations", "1", "--baseline_steps", "400", "--samples", "500"]


def main() -> int:
    """Price, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", help="of the study, behind --")
    words = parser.parse_args().words or SHORT
    folder = Path(tempfile.mkdtemp(prefix="price-"))
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith("MLFLOW")]:
        del os.environ[name]  # neither price nor study is to know another store
    quote = price(words)
    print("\n".join(lines_of(quote)), flush=True)
    started = time.time()
    command = [sys.executable, "-m", "entrypoints.experiment", *words]
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    took, ended = what_it_took(folder)
    print(f"{'':14} {'price':>9} {'took':>9}  took over price")
    for stage, seconds in sorted(quote.by_stage.items(), key=lambda one: -one[1]):
        print(_row(stage, seconds, took[stage]))
    print(_row("all steps", quote.work_seconds, sum(took[stage] for stage in quote.by_stage)))
    print(_row("the study", quote.wall_seconds, ended - started))
    with_report = time.time() - started
    print(f"with its report it took {with_report:.0f} s; {folder} holds it")
    return 0


def price(words: list[str]) -> Quote:
    """The quote of a study that is not there yet."""
    study, given = read_call("main", words)
    quote = quote_study(prepare_study(study, given), chosen("main", study, given))
    assert quote is not None, "a folder that was empty holds the study"
    return quote


def what_it_took(folder: Path) -> tuple[dict[str, float], float]:
    """Seconds of all runs of each stage, and when the last of them ended, in seconds since 1970."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [one.experiment_id for one in client.search_experiments()]
    took: dict[str, float] = {}
    ended = 0.0
    for run in client.search_runs(experiments, "tags.run_kind = 'stage'", max_results=5000):
        stage, info = run.data.tags["stage"], run.info
        if stage != "report":
            took[stage] = took.get(stage, 0.0) + (info.end_time - info.start_time) / 1000
            ended = max(ended, info.end_time / 1000)
    return took, ended


def _row(what: str, price_seconds: float, took_seconds: float) -> str:
    ratio = took_seconds / price_seconds
    return f"{what:14} {price_seconds:7.1f} s {took_seconds:7.1f} s  {ratio:.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
