"""The local crew: one worker process a core of this machine, or one a GPU."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue

from collapse.errors import StoreError
from collapse.execution.progress import Told
from collapse.execution.task import Outcome, Task, run_task
from collapse.stages.device import GPU_VARIABLE
from collapse.tracking.store import silence


class LocalCrew:
    """A pool of worker processes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._running: dict[Future[Outcome], tuple[int, str]] = {}
        self._submitted = 0
        # Workers are fresh interpreters: a fork of one that has threads may hang.
        context = get_context("spawn")
        places = context.SimpleQueue()
        for place in range(size):
            places.put(place)
        self._told: SimpleQueue[tuple[int, tuple[Told, ...]]] = context.SimpleQueue()
        self._pool = ProcessPoolExecutor(
            size, context, initializer=_enter_worker, initargs=(os.getpid(), places, self._told)
        )

    def submit(self, task: Task) -> int:
        """Hand out a task, and return its number."""
        self._submitted += 1
        future = self._pool.submit(_work, self._submitted, task)
        self._running[future] = (self._submitted, task.step.key)
        return self._submitted

    def finished(self, seconds: float) -> Iterator[tuple[int, Outcome | Exception]]:
        """Tasks that ended within so many seconds, each with its outcome or its own error.

        Raises:
            StoreError: a worker was killed.
        """
        done, _ = wait(self._running, timeout=seconds, return_when=FIRST_COMPLETED)
        for future in done:
            number, key = self._running.pop(future)
            try:
                yield number, future.result()
            except BrokenProcessPool:
                # The pool fails all tasks at once, and does not say whose worker it was.
                at_work = [key, *(other for _, other in self._running.values())]
                raise StoreError(
                    f"a worker was killed while {' or '.join(at_work)} ran (out of memory?): the "
                    "same command goes on from what was finished"
                ) from None
            except Exception as error:
                yield number, error

    def told(self) -> Iterator[tuple[int, tuple[Told, ...]]]:
        """How far tasks have come, as they told since this was asked the last time."""
        while not self._told.empty():
            yield self._told.get()

    def stop(self) -> None:
        """Interrupt the workers, so that each closes its run as KILLED."""
        for process in list((self._pool._processes or {}).values()):
            if process.is_alive() and process.pid:
                os.kill(process.pid, signal.SIGTERM)

    def leave(self) -> None:
        """Let the workers go, once they have ended."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _work(number: int, task: Task) -> Outcome:
    """Run a task, and tell the parent how far it has come."""
    return run_task(task, lambda told: _told.put((number, told)))


_told: "SimpleQueue[tuple[int, tuple[Told, ...]]]"
"""To the parent, in a worker."""


def _enter_worker(
    parent: int,
    places: "SimpleQueue[int]",
    told: "SimpleQueue[tuple[int, tuple[Told, ...]]]",
) -> None:
    """A worker takes a GPU of its own, ends with its parent, however, and leaves Ctrl-C to it."""
    global _told
    _told = told
    os.environ[GPU_VARIABLE] = str(places.get())
    silence()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt_once)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _interrupt_once(number: int, _frame: object) -> None:
    """Closing a run takes a moment, and the pool sends a second signal meanwhile."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
