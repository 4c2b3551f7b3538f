"""Scores of weights on the way, as a table and as metrics."""

import math

import numpy as np
import pytest

from collapse.probes.likelihood import Likelihood
from collapse.probes.tasks.scores import TaskScore
from collapse.stages.dynamics import COLUMNS, dynamics_table, on_the_way

HUMAN = Likelihood(
    sequence_nll_nats=np.array([2.0, 4.0]),
    sequence_tokens=np.array([2, 2]),
    sequence_entropy_nats=np.zeros(2),
    sequence_top1=np.zeros(2),
)
SCORES = (
    TaskScore("piqa", 4, {"acc": 0.75, "acc_norm": 0.5}, {"acc": 0.25}, 0.5, {"acc": 0.5}),
    TaskScore("squad", 4, {"em": 0.25, "f1": 0.5}, {"em": 0.1}, 0.0, {"em": 0.0}),
)


def test_a_row_a_number_with_its_error_and_its_floor() -> None:
    table = dynamics_table(512, SCORES, HUMAN).set_index(["task", "metric"])
    assert list(table.reset_index()[list(COLUMNS)]) == list(COLUMNS)
    assert set(table["tokens"]) == {512}
    assert table["value"].to_dict() == pytest.approx(
        {
            ("piqa", "acc"): 0.75,
            ("piqa", "acc_norm"): 0.5,
            ("squad", "em"): 0.25,
            ("squad", "f1"): 0.5,
            ("overall", "overall"): (0.5 + 0.25) / 2,
            ("human", "nll_nats"): 6 / 4,
        }
    )
    assert table.loc[("piqa", "acc"), "floor"] == 0.5
    assert math.isnan(table.loc[("squad", "f1"), "floor"])
    assert math.isnan(table.loc[("squad", "f1"), "stderr"])
    # piqa's 0.25 over 1 - 0.5, squad's 0.1 as it is: independent, and halved.
    assert table.loc[("overall", "overall"), "stderr"] == pytest.approx(math.hypot(0.5, 0.1) / 2)


def test_metrics_bear_the_names_of_the_generation_behind_a_prefix() -> None:
    found = on_the_way(dynamics_table(512, SCORES, HUMAN))
    assert found.step == 512
    assert found.values["trajectory/benchmark/piqa/acc_stderr"] == 0.25
    assert found.values["trajectory/benchmark/overall"] == pytest.approx(0.375)
    assert found.values["trajectory/human/nll_nats"] == pytest.approx(1.5)
    assert "trajectory/benchmark/squad/f1_stderr" not in found.values
    assert all(name.startswith("trajectory/") for name in found.values)
