"""Scores of weights that were kept on the way through a training."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from collapse.measurement import Measurement
from collapse.probes.likelihood import Likelihood
from collapse.probes.tasks.scores import HEADLINES, TaskScore, rescaled_overall

COLUMNS = ("tokens", "task", "metric", "value", "stderr", "floor")
_OF_NO_TASK = {"overall": "benchmark/overall", "human": "human/nll_nats"}


def dynamics_table(tokens: int, scores: Sequence[TaskScore], human: Likelihood) -> pd.DataFrame:
    """A row a number of one set of weights.

    Args:
        tokens: trained on by then.
        scores: of the tasks.
        human: of text by people that is not trained on.

    Returns:
        Columns :data:`COLUMNS`: of each task; of all together as task ``overall``, each rescaled so
        that 0 is its floor and 1 all right; and as task ``human`` the nats a token. ``stderr`` is
        nan where there is none, ``floor`` where chance has no say.
    """
    rows = [
        (one.task, name, value, one.errors.get(name), one.floor if name in HEADLINES else None)
        for one in scores
        for name, value in one.values.items()
    ]
    overall = rescaled_overall(scores)
    rows.append(("overall", "overall", overall.value, overall.error, 0.0))
    rows.append(("human", "nll_nats", human.nll_nats, human.nll_nats_se, None))
    table = pd.DataFrame([(tokens, *row) for row in rows], columns=list(COLUMNS))
    return table.astype({"value": float, "stderr": float, "floor": float})


def metric_name(task: str, metric: str) -> str:
    """The name that a row's number has of trained weights."""
    return _OF_NO_TASK.get(task, f"benchmark/{task}/{metric}")


def on_the_way(table: pd.DataFrame) -> Measurement:
    """The rows of one set of weights as metrics at step = tokens.

    They bear the names that those of the last weights have, behind ``trajectory/``, whose steps are
    no generations.
    """
    values: dict[str, float] = {}
    for row in table.to_dict("records"):
        name = metric_name(row["task"], row["metric"])
        values[f"trajectory/{name}"] = row["value"]
        if np.isfinite(row["stderr"]):
            values[f"trajectory/{name}_stderr"] = row["stderr"]
    return Measurement(int(table["tokens"].iloc[0]), values)
