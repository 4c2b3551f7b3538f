from dataclasses import replace

import pandas as pd
import pytest

from analysis.study import metric_values
from collapse.errors import BadInput
from tests.analysis.made_up_study import made_up_measurements, made_up_study


def test_missing_columns_and_odd_numbers_are_refused() -> None:
    rows = made_up_measurements(("replace",), (0,), 1)
    with pytest.raises(BadInput, match="no column metric"):
        made_up_study(measurements=rows.drop(columns="metric"))
    with pytest.raises(BadInput, match="generation must be a whole number"):
        made_up_study(measurements=rows.assign(generation="first"))


def test_repeated_rows_are_one_and_contradictions_are_refused() -> None:
    rows = made_up_measurements(("replace",), (0,), 1)
    twice = made_up_study(measurements=pd.concat([rows, rows]))
    assert len(twice.measurements) == len(rows)
    with pytest.raises(BadInput, match="two different values of human/nll_nats for arm replace"):
        made_up_study(measurements=pd.concat([rows, rows.assign(value=9.0)]))


def test_seeds_and_generations_may_come_as_text() -> None:
    rows = made_up_measurements(("replace", "fresh"), (0, 1), 3)
    record = made_up_study(measurements=rows.astype({"seed": str, "generation": str}))
    assert metric_values(record, "human/nll_nats").index.is_unique
    assert len(metric_values(record, "human/nll_nats")) == 16


def test_values_are_of_their_own_record_and_metric() -> None:
    record = made_up_study()
    for metric in ("human/nll_nats", "truth/valid_fraction"):
        rows = record.measurements[record.measurements["metric"] == metric]
        expected = rows.set_index(["arm", "seed", "generation"])["value"].sort_index()
        pd.testing.assert_series_equal(metric_values(record, metric), expected)
    missing = metric_values(record, "unheard/of")
    assert (len(missing), missing.dtype) == (0, float)
    assert list(missing.index.names) == ["arm", "seed", "generation"]
    fewer = replace(record, arms=("fresh",), generations=1)
    assert len(metric_values(fewer, "human/nll_nats")) == 1 * 2 * 2


def test_a_change_of_what_was_given_out_changes_no_record() -> None:
    record = made_up_study()
    values = metric_values(record, "human/nll_nats")
    values.iloc[:] = 0.0
    assert (metric_values(record, "human/nll_nats") > 1).all()


def test_values_are_of_planned_chains_and_finite() -> None:
    rows = made_up_measurements(("replace", "static"), (0, 1, 7), 5)
    # What a tracking store makes of infinity.
    rows.loc[0, "value"] = 1.7976931348623157e308
    record = made_up_study(measurements=rows)
    values = metric_values(record, str(rows.loc[0, "metric"]))
    assert len(values) == 2 * 4 - 1
    assert set(values.index.get_level_values("arm")) == {"replace"}
