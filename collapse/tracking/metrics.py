"""Numbers on their way into the store: of a run, and mirrored on its chain by generation."""

import math
import re
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Self

import mlflow
import pandas as pd
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis

from collapse.measurement import Measurement
from collapse.tracking.outbox import Letter, Outbox
from collapse.tracking.patience import patiently
from collapse.tracking.runs import client


class MetricLog:
    """The measurements of one run on their way into the store, which may be silent for a while.

    Each is written to an outbox first, and delivered by a thread: what a stage yields waits for no
    store. A resumed step does not log a step twice, and a new run of it is given what the earlier
    ones measured. As a context it ends when everything is delivered.
    """

    def __init__(self, run_id: str, outbox: Path) -> None:
        self.run_id = run_id
        self._outbox = Outbox(outbox)
        self._before = {(name, one.step) for one in self._outbox.letters for name in one.values}
        self._waiting = deque(self._outbox.letters)
        self._known_elsewhere: set[tuple[str, int]] | None = None
        self._in_doubt = True
        self._changed = threading.Condition()
        self._closing = False
        self._carrier = threading.Thread(target=self._carry, daemon=True, name="MetricLog")
        self._carrier.start()

    def log(self, measurement: Measurement) -> None:
        """Write one measurement down; it is delivered as soon as the store takes it."""
        new = {
            name: float(value)
            for name, value in measurement.values.items()
            if (name, measurement.step) not in self._before
        }
        if not new:
            return
        letter = Letter(measurement.step, get_current_time_millis(), new)
        with self._changed:
            # A disk that is full ends no training by this: the thread has the letter all the same.
            with suppress(OSError):
                self._outbox.write(letter)
            self._waiting.append(letter)
            self._changed.notify()

    def next_step(self, prefix: str) -> int:
        """The step after the last one that earlier processes measured under a prefix."""
        return max((step + 1 for name, step in self._before if name.startswith(prefix)), default=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        """Deliver the rest; where something else went wrong already, as far as it goes.

        Raises:
            StoreError: the store is silent for longer than the patience is.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if kind is None:
            self._carrier.join()
            patiently(self._deliver)
        elif issubclass(kind, Exception):
            with suppress(Exception):
                self._carrier.join()
                patiently(self._deliver)
        else:  # someone wants to leave: what does not go at once stays in the outbox
            self._carrier.join(LEAVING_SECONDS)
        self._outbox.close()

    def _carry(self) -> None:
        """What the thread does: deliver what waits, and what a silent store did not take later."""
        pause = 0.0
        while not self._closing:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._waiting)
                self._changed.wait_for(lambda: self._closing, timeout=pause)
            try:
                self._deliver()
                pause = GATHERING_SECONDS
            except Exception:  # of any kind: it is said when the stage has ended
                pause = OUTAGE_SECONDS

    def _deliver(self) -> None:
        """Send what waits, in order; after a failure only what has not arrived."""
        while self._waiting:
            letters = list(islice(self._waiting, LETTERS_AT_ONCE))
            metrics = [metric for letter in letters for metric in letter.metrics()]
            if self._in_doubt:
                metrics = self._missing(metrics)
            known = self._known_elsewhere or set()
            self._in_doubt = True
            _send(self.run_id, [one for one in metrics if (one.key, one.step) not in known])
            self._in_doubt = False
            for _ in letters:
                self._waiting.popleft()

    def _missing(self, metrics: Sequence[Metric]) -> list[Metric]:
        """Those of some metrics that have not arrived.

        The first look also finds what a run holds that is not of this outbox, which may have been
        lost with its machine: of that no step is logged twice either.
        """
        store = mlflow.MlflowClient()
        held = set()
        for name in store.get_run(self.run_id).data.metrics:
            if self._known_elsewhere is None or any(one.key == name for one in metrics):
                history = store.get_metric_history(self.run_id, name)
                held |= {(name, one.step, one.timestamp) for one in history}
        if self._known_elsewhere is None:
            ours = {
                (one.key, one.step, one.timestamp)
                for x in self._outbox.letters
                for one in x.metrics()
            }
            self._known_elsewhere = {(name, step) for name, step, _ in held - ours}
        return [one for one in metrics if (one.key, one.step, one.timestamp) not in held]


LETTERS_AT_ONCE = 50
GATHERING_SECONDS = 0.2
OUTAGE_SECONDS = 3.0
LEAVING_SECONDS = 5.0


def _send(run_id: str, metrics: Sequence[Metric]) -> None:
    for start in range(0, len(metrics), 500):
        mlflow.MlflowClient().log_batch(run_id, metrics=metrics[start : start + 500])


def log_metrics(
    run_id: str, values: Mapping[str, float], step: int, timestamp: int | None = None
) -> None:
    """Log metrics of one step; the store takes what bears the same timestamp only once."""
    moment = get_current_time_millis() if timestamp is None else timestamp
    metrics = [Metric(name, float(value), moment, step) for name, value in values.items()]
    patiently(lambda: _send(run_id, metrics))


def mirrored_tag(stage: str, generation: int) -> str:
    """The tag of a chain's run that names the run whose values it holds."""
    return f"mirrored.{stage}.{generation}"


def mirrored(chain: Run, stage: str) -> list[tuple[int, str]]:
    """Generation and run of each look of a stage whose values a chain's run holds."""
    tags = chain.data.tags.items()
    found = [(tag.rpartition("."), run_id) for tag, run_id in tags if tag.startswith("mirrored.")]
    return sorted((int(g), run_id) for (s, _, g), run_id in found if s == f"mirrored.{stage}")


def mirror(
    parent: str, stage: str, generation: int, run_id: str, values: Mapping[str, float]
) -> None:
    """Write a stage's last values on its chain with step = generation, once a run.

    What the run before measured and this one did not becomes nan: a chain holds values of one look.
    Of a mirroring that was cut off, the next one takes the moment over, so that the store sees what
    has arrived.
    """
    done, begun = mirrored_tag(stage, generation), f"mirroring.{stage}.{generation}"
    tags = client().get_run(parent).data.tags
    if tags.get(done) == run_id:
        return
    whose, _, moment = tags.get(begun, "").partition(" ")
    if whose != run_id:
        moment = str(get_current_time_millis())
        client().set_tag(parent, begun, f"{run_id} {moment}")
    withdrawn = dict.fromkeys(_measured_by(tags.get(done)), math.nan)
    log_metrics(parent, withdrawn | dict(values), generation, int(moment))
    client().set_tag(parent, done, run_id)


def _measured_by(run_id: str | None) -> Sequence[str]:
    """The metrics that a run mirrored, as far as the store still has it."""
    if run_id is None:
        return ()
    try:
        return tuple(last_values(client().get_run(run_id)))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return ()
        raise


def keep_study_metrics(chains: Sequence[Run], rows: pd.DataFrame) -> None:
    """Log on each chain what can only be measured once the study's chains are there together.

    Args:
        chains: runs of chains.
        rows: columns arm, seed, generation, metric, value; what a chain has already is left out.
    """
    for run in chains:
        here = rows[(rows["arm"] == run.data.tags["arm"])]
        here = here[here["seed"] == int(run.data.tags["seed"])]
        for (generation, name), value in (
            here.groupby(["generation", "metric"])["value"].last().items()
        ):
            known = client().get_metric_history(run.info.run_id, name)
            latest = {one.step: one.value for one in known}
            if latest.get(generation) != value:
                log_metrics(run.info.run_id, {name: value}, generation)


def last_values(run: Run) -> dict[str, float]:
    """The last value of each metric of a run.

    Those of the machine are left out, and those whose steps are no generations and whose last value
    says nothing of the generation: tokens along a schedule, percentages of a surgery.
    """
    return {k: v for k, v in run.data.metrics.items() if not _OWN_AXIS.match(k)}


_OWN_AXIS = re.compile(r"system/|trajectory/|surgery/\w+/nll_nats")
