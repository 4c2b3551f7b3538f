"""Numbers on their way into the store: of a run, and mirrored on its chain by generation."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd
from mlflow.entities import Metric, Run, RunTag
from mlflow.utils.time import get_current_time_millis

from collapse.measurement import Measurement
from collapse.tracking.runs import client


class MetricLog:
    """Logs the measurements of one run; a resumed run does not log a step twice."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._steps: dict[str, int] = {}
        for name in client().get_run(run_id).data.metrics:
            history = client().get_metric_history(run_id, name)
            self._steps[name] = max(metric.step for metric in history)

    def log(self, measurement: Measurement) -> None:
        """Log one measurement."""
        new = {
            name: value
            for name, value in measurement.values.items()
            if measurement.step > self._steps.get(name, -1)
        }
        log_metrics(self.run_id, new, measurement.step)


def log_metrics(run_id: str, values: Mapping[str, float], step: int) -> None:
    """Log metrics in one call."""
    now = get_current_time_millis()
    metrics = [Metric(name, float(value), now, step) for name, value in values.items()]
    for start in range(0, len(metrics), 500):
        client().log_batch(run_id, metrics=metrics[start : start + 500])


def mirror(
    parent: str, stage: str, generation: int, run_id: str, values: Mapping[str, float]
) -> None:
    """Write a stage's last values on its chain with step = generation, once a run."""
    key = f"mirrored.{stage}.{generation}"
    if client().get_run(parent).data.tags.get(key) == run_id:
        return
    log_metrics(parent, values, generation)
    client().log_batch(parent, tags=[RunTag(key, run_id)])


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
