"""The processes that run rehearsals, in a store that is thrown away."""

import os
import resource
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from collapse.errors import StoreError
from collapse.execution.price.shrinking import SMALL
from collapse.stages.plan import Step

LEAVE_SECONDS = 2.0
"""A process that has nothing to do ends by itself within these."""
EXPERIMENT = "rehearsal"
NEVER_COLD = ("prepare", "judge")
"""Stages whose first run in a process costs little that a later one does not."""


@dataclass(frozen=True)
class Performance:
    """What a rehearsal took.

    Attributes:
        step: as it was run.
        seconds: of the whole step, with its records.
        metrics: what its run logged.
        peak_bytes: most memory of the process, on the processor's side.
        gpu_bytes: most memory on the GPU, 0 without one.
        text_bytes: what it left of texts that grow with the documents.
        other_bytes: what else it left.
        run_id: of its run.
    """

    step: Step
    seconds: float
    metrics: Mapping[str, float]
    peak_bytes: int
    gpu_bytes: int
    text_bytes: int
    other_bytes: int
    run_id: str


@contextmanager
def stage_hands(count: int, folder: Path, stages: Sequence[str]) -> Iterator[list[Connection]]:
    """Processes that run rehearsals, each behind a connection; at the end they leave."""
    # Fresh interpreters, as the local executor's workers are.
    context = get_context("spawn")
    hands, processes = [], []
    for place in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, folder, place, stages), daemon=True)
        process.start()
        theirs.close()
        hands.append(ours)
        processes.append(process)
        # The first one makes the store: two that make one at once race for its tables.
        if place == 0:
            _await_ready(ours)
    try:
        for hand in hands[1:]:
            _await_ready(hand)
        yield hands
    finally:
        for hand in hands:
            hand.close()
        for process in processes:
            process.join(LEAVE_SECONDS)
            process.kill()
            process.join()


def _await_ready(hand: Connection) -> None:
    try:
        said = hand.recv()
    except EOFError:
        raise StoreError("a process that was to rehearse ended before it began") from None
    if said != "ready":
        raise StoreError(said)


def _serve(hand: Connection, folder: Path, place: int, stages: Sequence[str]) -> None:
    """What a process does: run steps in the store of the rehearsals until its parent lets go."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _live_in(folder, place)
    with suppress(EOFError, BrokenPipeError):
        try:
            parent = _open_store(stages)
        except Exception as error:
            hand.send(f"the store of the rehearsals cannot be made: {error}")
            return
        hand.send("ready")
        warm = set(NEVER_COLD)
        while True:
            step, needs, corpus = hand.recv()
            try:
                if step.key.endswith(SMALL) and step.stage not in warm:
                    _perform(step, needs, corpus, parent, "cold")
                warm.add(step.stage)
                answer: Any = _perform(step, needs, corpus, parent)
            except Exception as error:
                answer = (str(error) or type(error).__name__).splitlines()[0]
            hand.send(answer)


def _live_in(folder: Path, place: int) -> None:
    """Nothing of a rehearsal may reach the study's store or the working folder."""
    from collapse.stages.device import GPU_VARIABLE

    os.environ[GPU_VARIABLE] = str(place)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"] = str(folder / "mlruns")
    os.environ["COLLAPSE_HOME"] = str(folder / "home")
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (as long as the process lives)


def _open_store(stages: Sequence[str]) -> str:
    """Open the store and the run that stands for all chains; load what stages load when they run.

    A worker of a study loads it once, for hundreds of steps: a rehearsal is not to pay for it.
    """
    from collapse.tracking import runs
    from collapse.tracking.store import connect

    connect()
    for name in ("mlflow.transformers", *(f"collapse.stages.{stage}" for stage in stages)):
        import_module(name)
    label = runs.RunLabel(EXPERIMENT, EXPERIMENT, {"fingerprint": f"{EXPERIMENT}{os.getpid()}"})
    return str(runs.open_run(label).info.run_id)


def _perform(
    step: Step, needs: Mapping[str, str], corpus: str, parent: str, name: str = "warm"
) -> Performance:
    """Run a step as the executor does, and see what it took and left."""
    from collapse.execution.task import Task, run_task
    from collapse.tracking import runs

    task = Task(
        study=EXPERIMENT,
        experiment=EXPERIMENT,
        step=step,
        fingerprint=f"{name}-{step.key.replace('/', '-')}",
        parents={chain.name: parent for chain in step.chains},
        needs=tuple(needs[need] for need in step.needs),
        corpus=corpus,
        teacher=step.teacher and needs[step.teacher],
        judge=step.judge and needs[step.judge],
    )
    _forget_peaks()
    outcome = run_task(task)
    run = runs.client().get_run(outcome.run_id)
    texts, others = _sizes(run)
    return Performance(
        step, outcome.seconds, dict(run.data.metrics), *_peaks(), texts, others, outcome.run_id
    )


def _sizes(run: Any) -> tuple[int, int]:
    """Bytes of the texts that a run left, and of all else, its model included."""
    from collapse.tracking import runs

    folder = runs.artifacts(run.info.run_id)
    texts = sum(_bytes_of(folder / name) for name in ("human_text", "synthetic_text"))
    model = run.data.tags.get(runs.MODEL_TAG)
    weights = _bytes_of(runs.download(model)) if model else 0
    return texts, _bytes_of(folder) - texts + weights


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _forget_peaks() -> None:
    """Begin to look for the most memory anew; where the system has no way, it is that of all."""
    import torch

    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _peaks() -> tuple[int, int]:
    """Most memory since then, in bytes: of the process, and on its GPU."""
    import torch

    gpu = torch.cuda.max_memory_reserved() if torch.cuda.is_available() else 0
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1]), gpu
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, gpu
