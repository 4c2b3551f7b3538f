from dataclasses import replace

import pandas as pd
import pytest

from analysis.report.alarms import alarms
from analysis.report.writing import markdown_summary, write_report
from tests.analysis.made_up_study import made_up_study


def with_values(record, rows):
    """The study, in which these metrics are as given; (arm, seed, generation, metric, value)."""
    new = pd.DataFrame(rows, columns=["arm", "seed", "generation", "metric", "value"])
    keys = ["arm", "seed", "generation", "metric"]
    old = record.measurements
    replaced = old.set_index(keys).index.isin(new.set_index(keys).index)
    measurements = pd.concat([old[~replaced], new], ignore_index=True)
    return replace(record, measurements=measurements)


def sees_future(arm, seed, logits, perplexity):
    return [
        (arm, seed, 0, "train/future_leak_logits", logits),
        (arm, seed, 0, "train/sees_future", float(logits > 1e-3)),
        (arm, seed, 0, "human/perplexity", perplexity),
    ]


def test_causal_chains_alarm_nobody():
    record = made_up_study(seeds=range(2))
    assert alarms(record) == {}
    rounding = [row for seed in (0, 1) for row in sees_future("fresh", seed, 3e-6, 4.2)]
    assert alarms(with_values(record, rounding)) == {}


def test_a_model_that_sees_the_tokens_to_come_is_named_with_the_measure_and_the_number_to_doubt():
    record = with_values(made_up_study(seeds=range(2)), sees_future("replace", 1, 12.34, 1.03))
    (told,) = alarms(record).values()
    assert told.startswith("The model of replace sees the tokens that it is to predict (seed 1)")
    assert "12.3" in told
    assert "perplexity of 1.030 says nothing" in told


@pytest.mark.parametrize(("perplexity", "is_alarming"), [(1.19, True), (1.21, False)])
def test_a_perplexity_too_good_to_be_true_alarms_without_a_leak(perplexity, is_alarming):
    rows = sees_future("fresh", 0, 1e-6, perplexity)
    told = alarms(with_values(made_up_study(seeds=range(2)), rows))
    assert bool(told) == is_alarming
    if is_alarming:
        assert "perplexity of fresh falls to 1.190" in told["fresh"]
        assert "seed 0)" in told["fresh"]


def test_alarms_stand_before_the_verdicts(tmp_path):
    record = with_values(made_up_study(seeds=range(2)), sees_future("replace", 0, 9.0, 1.01))
    (told,) = alarms(record).values()
    page = write_report(record, tmp_path).read_text()
    assert page.index("The model of replace sees") < page.index('id="control"')
    summary = markdown_summary(record)
    assert f"**ALARM**: {told}" in summary
    assert summary.index("ALARM") < summary.index("Positive control")
