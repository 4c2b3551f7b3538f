"""The crew of a Ray cluster: steps as tasks with demands, on as many machines as there are.

Every machine has the project, its environment and the working directory at the same paths, as on a
shared disk or in one image. Ray is loaded when a crew is made, and not before.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collapse.errors import BadParameter, StoreError
from collapse.execution.progress import Told, say
from collapse.execution.task import Outcome, Task, run_task
from collapse.tracking import runs
from collapse.tracking.store import first_line, silence, tracking_uri

TRIES = 4
"""Times that a task is begun before a machine that dies under it is no accident any more."""

_PASSED_ON = ("MLFLOW_", "COLLAPSE_", "HF_", "TOKENIZERS_", "PYTHONPATH", "GIT_PYTHON_")


@dataclass
class _Running:
    task: Task
    tries: int


class RayCrew:
    """Tasks on a Ray cluster."""

    def __init__(self, address: str, size: int, threads: int, device: str) -> None:
        """Join a cluster, or start one on this machine.

        Args:
            address: of the cluster, such as ``ray://head:10001`` or ``auto``; empty to start one.
            size: tasks at once, 0 for as many as the cluster has cores or GPUs for.
            threads: cores that each task asks for.
            device: ``auto``, ``cpu`` or ``cuda``: whether a task asks for a GPU, where there are.

        Raises:
            BadParameter: Ray is not installed, or several machines would share a local store.
            StoreError: no cluster answers there.
        """
        if not address:
            _require_token()
        self._ray = _load_ray()
        self._join(address)
        has = self._ray.cluster_resources()
        gpus = has.get("GPU", 0) if device != "cpu" else 0
        self.size = size or max(1, int(gpus or has.get("CPU", 1) // threads))
        self._remote = self._ray.remote(_run_in_worker).options(
            num_cpus=threads, num_gpus=1 if gpus else 0, max_retries=0
        )
        # It lives on when its machine dies; what it was told until then is told again.
        board = self._ray.remote(_Board).options(num_cpus=0, max_restarts=-1)
        self._board = board.remote()
        self._running: dict[int, _Running] = {}
        self._numbers: dict[Any, int] = {}
        self._submitted = 0

    def _join(self, address: str) -> None:
        environment = {k: v for k, v in os.environ.items() if k.startswith(_PASSED_ON)}
        try:
            self._ray.init(
                address=address or "local",
                runtime_env={"env_vars": environment},
                include_dashboard=False if not address else None,
                log_to_driver=False,
                logging_level="error",
            )
        except Exception as error:  # of many unrelated classes
            raise StoreError(
                f"address={address}: no Ray cluster answers there: {first_line(error)}"
            ) from error
        machines = {node["NodeManagerHostname"] for node in self._ray.nodes() if node["Alive"]}
        if len(machines) > 1 and not tracking_uri().startswith("http"):
            self._ray.shutdown()
            raise BadParameter(
                f"executor=ray on {len(machines)} machines needs a tracking server that all of "
                "them reach: set MLFLOW_TRACKING_URI=http://HOST:PORT (make server starts one)"
            )

    def submit(self, task: Task) -> int:
        """Hand out a task, and return its number."""
        self._submitted += 1
        self._begin(self._submitted, _Running(task, 1))
        return self._submitted

    def _begin(self, number: int, running: _Running) -> None:
        self._running[number] = running
        reference = self._remote.remote(number, running.task, str(Path.cwd()), self._board)
        self._numbers[reference] = number

    def finished(self, seconds: float) -> Iterator[tuple[int, Outcome | Exception]]:
        """Tasks that ended within so many seconds, each with its outcome or its own error.

        A task whose machine or process died is begun again, elsewhere if need be, and goes on from
        what it had kept.

        Raises:
            StoreError: tasks die again and again.
        """
        done, _ = self._ray.wait(list(self._numbers), timeout=seconds)
        for reference in done:
            number = self._numbers.pop(reference)
            running = self._running.pop(number)
            try:
                yield number, self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                cause = error.cause
                yield number, cause if isinstance(cause, Exception) else error
            except self._ray.exceptions.RayError as error:
                self._begin_again(number, running, error)

    def _begin_again(self, number: int, running: _Running, error: Exception) -> None:
        key = running.task.step.key
        if running.tries == TRIES:
            raise StoreError(
                f"{key} died {TRIES} times on the Ray cluster ({first_line(error)}): the same "
                "command goes on from what was finished"
            ) from error
        say(f"{key} lost its process ({type(error).__name__}): begun again")
        runs.disown(running.task.experiment, running.task.fingerprint)
        self._begin(number, _Running(running.task, running.tries + 1))

    def told(self) -> Iterator[tuple[int, tuple[Told, ...]]]:
        """How far tasks have come, as they told since this was asked the last time."""
        with suppress(self._ray.exceptions.RayError):
            yield from self._ray.get(self._board.take.remote(), timeout=1).items()

    def stop(self) -> None:
        """Interrupt what runs, so that each closes its run as KILLED."""
        for reference in self._numbers:
            self._ray.cancel(reference, force=False)
        self._ray.wait(list(self._numbers), num_returns=len(self._numbers) or 1, timeout=30)

    def leave(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()


def _require_token() -> None:
    """A cluster that is started here obeys nobody else: Ray listens on every address of a machine.

    Whoever reaches a cluster may run code on it, unless it asks for a token. What the user has set
    stays as it is. Ray looks at these variables once, when it is loaded.
    """
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _load_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise BadParameter(
            "executor=ray needs the package ray: pip install -e '.[ray]' in the repository's root, "
            "or executor=local"
        ) from None
    return ray


class _Board:
    """Where tasks write down how far they have come."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[Told, ...]] = {}

    def write(self, number: int, told: tuple[Told, ...]) -> None:
        """In the place of what the task told before."""
        self._told[number] = told

    def take(self) -> dict[int, tuple[Told, ...]]:
        """What was written since this was asked the last time."""
        found, self._told = self._told, {}
        return found


def _run_in_worker(number: int, task: Task, folder: str, board: Any) -> Outcome:
    """A step on whatever machine: from the study's folder, so that relative paths mean the same."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise StoreError(
            f"{folder} is not there on this machine of the cluster: run the study from a folder "
            "that all machines share"
        ) from error
    silence()
    return run_task(task, lambda told: board.write.remote(number, told))
