"""What the machine does while a stage runs, as MLflow measures it.

MLflow's own thread asks the store before each sample and ends for good where it does not answer;
here the samples go the way of all measurements.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from collapse.measurement import Measurement
from collapse.tracking.metrics import MetricLog

PREFIX = "system/"
SAMPLING_VARIABLE = "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL"
SAMPLING_SECONDS = 5.0


@contextmanager
def machine_watched(log: MetricLog) -> Iterator[None]:
    """Log processor, memory, disk, network and GPU every few seconds while the context is open."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(log, ended), daemon=True, name="machine")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(log: MetricLog, ended: threading.Event) -> None:
    # No sensor that fails may end what is measured beside it.
    with suppress(Exception):
        monitors = _monitors(log.run_id)
        seconds = float(os.environ.get(SAMPLING_VARIABLE, SAMPLING_SECONDS))
        step = log.next_step(PREFIX)
        while True:
            for monitor in monitors:
                monitor.collect_metrics()
            if ended.wait(seconds):
                return
            log.log(Measurement(step, _values(monitors)))
            step += 1


def _monitors(run_id: str) -> list[Any]:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    return list(SystemMetricsMonitor(run_id).monitors)  # never started


def _values(monitors: list[Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for monitor in monitors:
        values |= {PREFIX + name: value for name, value in monitor.aggregate_metrics().items()}
        monitor.clear_metrics()
    return values
