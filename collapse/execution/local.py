"""The local executor: walks a plan with one worker a core, or in this process alone."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue

from tqdm import tqdm

from collapse.errors import StoreError
from collapse.execution.task import Outcome, Task, run_task
from collapse.stages.device import GPU_VARIABLE
from collapse.stages.plan import Plan, Step
from collapse.tracking.store import silence

MakeTask = Callable[[Step, Mapping[str, Outcome]], Task]


@dataclass
class Walk:
    """How far a plan has been walked.

    Attributes:
        outcomes: steps that finished, by key.
        errors: steps that failed, by key.
        skipped: steps that stood on one that failed, by key, with the key of that one.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    errors: dict[str, Exception] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def blocked_by(self, step: Step) -> str | None:
        """The failed step that a step stands on, if there is one."""
        return next((n for n in step.needs if n in self.errors or n in self.skipped), None)


def walk_alone(walk: Walk, plan: Plan, make_task: MakeTask, *, stop_at_first: bool) -> None:
    """Run the steps one after the other in this process."""
    for step in plan.steps:
        if failed := walk.blocked_by(step):
            walk.skipped[step.key] = failed
            continue
        try:
            walk.outcomes[step.key] = run_task(make_task(step, walk.outcomes))
        except Exception as error:
            if stop_at_first:
                raise
            walk.errors[step.key] = error


def walk_together(walk: Walk, plan: Plan, make_task: MakeTask, workers: int) -> None:
    """Run the steps on several processes, each as soon as what it needs has finished.

    A step that fails takes with it only what stands on it; the other chains go on.
    """
    running: dict[Future[Outcome], Step] = {}
    waiting = list(plan.steps)
    bar = tqdm(
        total=sum(weight(step) for step in plan.steps),
        desc=f"{plan.experiment}: {len(plan.steps)} steps on {workers} workers",
        bar_format="{desc} |{bar}| {percentage:3.0f}% [{elapsed}<{remaining}]",
        disable=not sys.stderr.isatty(),
    )
    # Workers are fresh interpreters: a fork of one that has threads may hang.
    context = get_context("spawn")
    places = context.SimpleQueue()
    for place in range(workers):
        places.put(place)
    pool = ProcessPoolExecutor(
        workers, context, initializer=_enter_worker, initargs=(os.getpid(), places)
    )
    try:
        while waiting or running:
            waiting = _submit(pool, waiting, running, walk, make_task, workers)
            done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            for future in done:
                step = running.pop(future)
                _settle(future, step, walk)
                bar.update(weight(step))
            bar.refresh()
    except BaseException:
        _stop(pool)
        raise
    finally:
        bar.close()
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(
    pool: ProcessPoolExecutor,
    waiting: list[Step],
    running: dict[Future[Outcome], Step],
    walk: Walk,
    make_task: MakeTask,
    workers: int,
) -> list[Step]:
    """Hand out what is ready, training before probes, and return what still waits."""
    still: list[Step] = []
    # A chain's next generation waits for training only, so probes may come later.
    for step in sorted(waiting, key=lambda step: step.stage not in TRAINING):
        if failed := walk.blocked_by(step):
            walk.skipped[step.key] = failed
        elif len(running) < workers and all(need in walk.outcomes for need in step.needs):
            running[pool.submit(run_task, make_task(step, walk.outcomes))] = step
        else:
            still.append(step)
    return still


TRAINING = ("prepare", "baseline", "recurse_step")


def _settle(future: Future[Outcome], step: Step, walk: Walk) -> None:
    try:
        walk.outcomes[step.key] = future.result()
    except BrokenProcessPool:
        raise StoreError(
            f"a worker was killed while {step.key} ran (out of memory?): the same command goes on "
            "from what was finished"
        ) from None
    except Exception as error:  # of any kind: the other chains have nothing to do with it
        walk.errors[step.key] = error


def weight(step: Step) -> int:
    """Rough cost of a step, in optimizer steps, so that the time left can be told."""
    if step.stage == "baseline":
        return step.parameters.baseline_steps
    if step.stage == "recurse_step":
        return 2 * step.parameters.steps
    return 50


def _enter_worker(parent: int, places: "SimpleQueue[int]") -> None:
    """A worker takes a GPU of its own, ends with its parent, however, and leaves Ctrl-C to it."""
    os.environ[GPU_VARIABLE] = str(places.get())
    silence()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _stop(pool: ProcessPoolExecutor) -> None:
    """Interrupt the workers, so that each closes its run as KILLED."""
    for process in list((pool._processes or {}).values()):
        if process.is_alive() and process.pid:
            os.kill(process.pid, signal.SIGTERM)
