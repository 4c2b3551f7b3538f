"""How a study's time grows with chains, workers, tokens, parameters and Hessian steps, measured.

    python -m bench.growth --to docs/results/growth [tokens parameters ...]

Takes most of an hour on two free cores, or a part of it for the growths that are named. Writes
``growth.csv``, in which growths that are not named stay as they are, and ``growth.png``; ``shares``
prints the share of the default study that is not spent inside its stages.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

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
SHORT = ["--heldout_documents", "40", "--baseline_documents", "2000"]
DENSITY_STEPS = (15, 60, 120, 240, 480)
LABELS = {
    "chains": "chains",
    "tokens": "tokens trained on",
    "parameters": "parameters",
    "hessian": "Lanczos steps (products with the Hessian)",
}
COLUMNS = ["growth", "workers", "amount", "seconds"]
Point = tuple[int, float, float]
"""Workers, amount and seconds, measured in an empty folder."""


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
    """Measure the growths that are asked for, then the shares of the default study."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("build/growth"))
    parser.add_argument("only", nargs="*", help=f"of {', '.join(GROWTHS)} and shares; all of them")
    given = parser.parse_args()
    asked = given.only or [*GROWTHS, "shares"]
    given.to.mkdir(parents=True, exist_ok=True)
    file = given.to / "growth.csv"
    table = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=COLUMNS)
    table = table[~table["growth"].isin(asked)]
    for growth in [name for name in asked if name in GROWTHS]:
        for workers, amount, seconds in GROWTHS[growth]():
            print(f"{growth:12} {workers} {amount:12g} {seconds:8.2f} s", flush=True)
            row = pd.DataFrame([[growth, workers, amount, seconds]], columns=COLUMNS)
            table = pd.concat([table, row]) if len(table) else row
            table.to_csv(file, index=False)
    draw(table, given.to / "growth.png")
    if "shares" in asked:
        print(*shares(open_door("experiment", ["--workers", "2"]), workers=2), sep="\n")
    return 0


def chains() -> Iterator[Point]:
    """Studies of one arm, by their seeds."""
    for workers in WORKERS:
        for count in CHAINS:
            words = ["--arms", "fresh", "--generations", "1", "--seeds", str(count)]
            done = open_door("experiment", [*_ONE_CHAIN.split(), *words, "--workers", str(workers)])
            yield workers, count, done.seconds


def tokens() -> Iterator[Point]:
    """Trainings, by tokens."""
    for steps in TRAINING_STEPS:
        row = open_door("baseline", [*SHORT, "--baseline_steps", str(steps)]).last("baseline")
        yield 1, row["train/tokens_seen"], row["train/seconds"]


def parameters() -> Iterator[Point]:
    """A step of training, by the size of the model."""
    for overrides, steps in SHAPES.items():
        words = [*SHORT, "--preset_overrides", overrides, "--baseline_steps", str(steps)]
        row = open_door("baseline", words).last("baseline")
        yield 1, row["train/parameters"], row["train/seconds"] / steps


def hessian() -> Iterator[Point]:
    """A spectrum, by Lanczos steps: those of the first vector end where the ends are certified."""
    for steps in DENSITY_STEPS:
        words = [*SHORT, "--baseline_steps", "60", "--generation", "0", "--probe_texts", "human"]
        words += ["--probe_parts", "1", "--probe_vectors", "2", "--density_steps", str(steps)]
        row = open_door("hessian", words).last("hessian")
        yield 1, row["hessian/human/products"], row["computing"]


GROWTHS: dict[str, Callable[[], Iterator[Point]]] = {
    one.__name__: one for one in (chains, tokens, parameters, hessian)
}


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
            "start": run.info.start_time / 1000,
            "end": run.info.end_time / 1000,
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
    stages = done.stages[done.stages["stage"] != "report"]
    computing, runs = stages["computing"].sum(), (stages["end"] - stages["start"]).sum()
    ended = stages["end"].max()
    # The report's run is opened when it has been written, and is the last thing that a study does.
    report = workers * (done.stages["end"].max() - ended)
    full_until = all_at_work_until(stages, workers)
    after = (stages["end"] - stages["start"].clip(lower=full_until)).clip(lower=0).sum()
    tail = workers * (ended - full_until) - after
    rest = whole - runs - report - tail
    return [
        f"the default study: {done.seconds:.0f} s on {workers} workers, {len(stages)} runs",
        f"  inside stages                              {computing / whole:6.1%}",
        f"  the report                                 {report / whole:6.1%}",
        f"  a worker has nothing left to do            {tail / whole:6.1%}",
        f"  tracking and registry, in the stages' runs {(runs - computing) / whole:6.1%}",
        f"  start, planning, handing out               {rest / whole:6.1%}",
    ]


def all_at_work_until(stages: pd.DataFrame, workers: int) -> float:
    """The last moment at which as many stages ran as there are workers, in seconds since 1970."""
    ends = stages["end"].sort_values(ascending=False)
    running = [((stages["start"] < end) & (stages["end"] >= end)).sum() for end in ends]
    return float(next(end for end, n in zip(ends, running, strict=True) if n >= workers))


def draw(table: pd.DataFrame, path: Path) -> None:
    """A panel a growth, both axes logarithmic, with its exponent."""
    figure = new_figure(title(table), 6.0)
    for axes, (growth, label) in zip(figure.subplots(2, 2).flat, LABELS.items(), strict=True):
        some = table[table["growth"] == growth]
        if some.empty:
            axes.set_axis_off()
            continue
        _panel(axes, some)
        axes.set_xlabel(label)
        axes.set_ylabel("seconds a training step" if growth == "parameters" else "seconds")
        dress(axes)
    figure.savefig(path)


def title(table: pd.DataFrame) -> str:
    """How steep the growths are, without a full stop."""
    slopes = [exponent(line) for _, line in table.groupby(["growth", "workers"])]
    return f"Time grows as the work to the power of {min(slopes):.1f} to {max(slopes):.1f}"


def exponent(line: pd.DataFrame) -> float:
    """Of the power of the amount that the seconds grow with, by least squares of logarithms."""
    return float(np.polyfit(np.log(line["amount"]), np.log(line["seconds"]), 1)[0])


def _panel(axes: Axes, some: pd.DataFrame) -> None:
    for place, (workers, line) in enumerate(some.groupby("workers")):
        name = f"{workers} worker{'s' * (workers > 1)}: " * (some["workers"].nunique() > 1)
        axes.loglog(
            line["amount"],
            line["seconds"],
            MARKERS[place] + "-",
            color=PALETTE[place],
            label=f"{name}exponent {exponent(line):.2f}",
        )
    amounts = sorted(set(some["amount"]))
    axes.set_xticks(amounts, [_short(amount) for amount in amounts])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.legend(frameon=False)


def _short(amount: float) -> str:
    """Three digits of a large number."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if amount >= size:
            return f"{amount / size:.3g}{unit}"
    return f"{amount:g}"


if __name__ == "__main__":
    raise SystemExit(main())
