"""How a study's time grows with chains, workers, tokens, parameters and Hessian steps, measured.

    python -m bench.growth --to docs/results/growth

Takes about half an hour on two free cores. Writes ``growth.csv`` and ``growth.png``, and prints the
exponent of each growth and the share of the default study that is not spent inside its stages.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from collapse.figures.style import MARKERS, PALETTE, dress, new_figure

ROOT = Path(__file__).resolve().parents[1]
_ONE_CHAIN = (
    "--heldout_documents 40 --baseline_documents 2000 --documents 100 --baseline_steps 60 "
    "--steps 20 --samples 60 --prompts 0 --judge none --intervals false --tasks arithmetic "
    "--limit 20 --probe_texts human --probe_vectors 2"
)
CHAINS, WORKERS = (1, 2, 4, 8, 16), (1, 2)
TRAINING_STEPS = (50, 100, 200, 400, 800)
SHAPES = {  # from half a million parameters to twenty; training steps to time
    "hidden_size=128,intermediate_size=512": 40,
    "hidden_size=256,intermediate_size=1024": 20,
    "hidden_size=384,intermediate_size=1536,num_hidden_layers=4,num_attention_heads=6": 10,
    "hidden_size=640,intermediate_size=2560,num_hidden_layers=4,num_attention_heads=10": 6,
}
LANCZOS_STEPS = (30, 60, 120, 240)
LABELS = {
    "chains": "chains",
    "tokens": "tokens trained on",
    "parameters": "parameters",
    "hessian": "Lanczos steps",
}


@dataclass(frozen=True)
class Done:
    """A door that was opened in an empty folder.

    Attributes:
        seconds: from its first line to its last.
        stages: of each stage run its name, its seconds, its seconds of computing and its metrics.
    """

    seconds: float
    stages: pd.DataFrame

    def last(self, stage: str) -> pd.Series:
        """The row of the last run of a stage."""
        return self.stages[self.stages["stage"] == stage].iloc[-1]


def main() -> int:
    """Measure every growth, then the shares of the default study."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("build/growth"))
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    rows = []
    for growth, workers, amount, seconds in points():
        rows.append({"growth": growth, "workers": workers, "amount": amount, "seconds": seconds})
        print(f"{growth:12} {workers} {amount:12g} {seconds:8.2f} s", flush=True)
        pd.DataFrame(rows).to_csv(given.to / "growth.csv", index=False)
    table = pd.DataFrame(rows)
    draw(table, given.to / "growth.png")
    print(*shares(open_door("experiment", ["--workers", "2"]), workers=2), sep="\n")
    return 0


def points() -> Iterator[tuple[str, int, float, float]]:
    """(growth, workers, amount, seconds), each measured in an empty folder."""
    for workers in WORKERS:
        for chains in CHAINS:
            words = ["--arms", "fresh", "--generations", "1", "--seeds", str(chains)]
            done = open_door("experiment", [*_ONE_CHAIN.split(), *words, "--workers", str(workers)])
            yield "chains", workers, chains, done.seconds
    for steps in TRAINING_STEPS:
        row = open_door("baseline", [*SHORT, "--baseline_steps", str(steps)]).last("baseline")
        yield "tokens", 1, row["train/tokens_seen"], row["train/seconds"]
    for overrides, steps in SHAPES.items():
        words = [*SHORT, "--preset_overrides", overrides, "--baseline_steps", str(steps)]
        row = open_door("baseline", words).last("baseline")
        yield "parameters", 1, row["train/parameters"], row["train/seconds"] / steps
    for steps in LANCZOS_STEPS:
        words = [*SHORT, "--baseline_steps", "60", "--generation", "0", "--probe_texts", "human"]
        done = open_door("hessian", [*words, "--lanczos_steps", str(steps)])
        yield "hessian", 1, steps, done.last("hessian")["computing"]


SHORT = ["--heldout_documents", "40", "--baseline_documents", "2000"]


def open_door(door: str, words: list[str]) -> Done:
    """Run a door by itself, in a folder that is thrown away."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", f"entrypoints.{door}", *words],
            cwd=folder,
            env=kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
        )
        seconds = time.monotonic() - started
        return Done(seconds, stages_in(folder))


def stages_in(folder: str) -> pd.DataFrame:
    """A row a stage run, with its metrics."""
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [one.experiment_id for one in client.search_experiments()]
    rows = [
        {
            "stage": run.data.tags["stage"],
            "seconds": (run.info.end_time - run.info.start_time) / 1000,
            "computing": float(run.data.tags.get("stage_seconds", "nan")),
            **run.data.metrics,
        }
        for run in client.search_runs(experiments, order_by=["start_time ASC"], max_results=5000)
        if run.data.tags.get("run_kind") == "stage"
    ]
    return pd.DataFrame(rows)


def shares(done: Done, workers: int) -> list[str]:
    """Where the time of a study goes: into its stages, around them, or nowhere."""
    whole = workers * done.seconds
    computing, runs = done.stages["computing"].sum(), done.stages["seconds"].sum()
    return [
        f"the default study: {done.seconds:.0f} s on {workers} workers, {len(done.stages)} runs",
        f"  inside stages                      {computing / whole:6.1%}",
        f"  their runs: tracking, registry     {(runs - computing) / whole:6.1%}",
        f"  start, waiting, report             {1 - runs / whole:6.1%}",
        f"  tracking beside computing          {(runs - computing) / computing:6.1%}",
    ]


def draw(table: pd.DataFrame, path: Path) -> None:
    """A panel a growth, both axes logarithmic, with its exponent."""
    figure = new_figure("Time grows in proportion to the work, or more slowly", 6.0)
    for axes, (growth, label) in zip(figure.subplots(2, 2).flat, LABELS.items(), strict=True):
        said = []
        some = table[table["growth"] == growth]
        for place, (workers, line) in enumerate(some.groupby("workers")):
            slope = np.polyfit(np.log(line["amount"]), np.log(line["seconds"]), 1)[0]
            name = f"{workers} worker{'s' * (workers > 1)}: " * (growth == "chains")
            said.append(f"{name}exponent {slope:.2f}")
            axes.loglog(line["amount"], line["seconds"], MARKERS[place] + "-", color=PALETTE[place])
        axes.set_xlabel(label)
        axes.set_ylabel("seconds a training step" if growth == "parameters" else "seconds")
        axes.legend(said, frameon=False)
        dress(axes)
    figure.savefig(path)


if __name__ == "__main__":
    raise SystemExit(main())
