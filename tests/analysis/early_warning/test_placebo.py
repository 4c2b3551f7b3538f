"""Healthy chains are judged by others that were chosen before anything was seen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.early_warning.indicators import Indicator
from analysis.early_warning.placebo import PLACEBO_COLUMNS, placebo
from analysis.study import StudyRecord
from collapse.numerics.streams import numpy_stream
from tests.analysis.made_up_chains import NLL, without
from tests.analysis.made_up_study import made_up_study

RISES = Indicator(NLL, "increase", "likelihood", "likelihood")
FALLS = replace(RISES, direction="decrease")


def study(values_SxT: np.ndarray, arm: str = "fresh") -> StudyRecord:
    """One healthy arm whose chains go like this, and a replace arm that goes anywhere."""
    seeds, looks = values_SxT.shape
    rows = [
        (which, seed, generation, NLL, value * (1.0 if which == arm else 1e6))
        for which in (arm, "replace")
        for seed, chain in enumerate(values_SxT)
        for generation, value in enumerate(chain)
    ]
    columns = ["arm", "seed", "generation", "metric", "value"]
    return made_up_study(
        *((arm, "replace"), tuple(range(seeds)), looks - 1),
        kinds={arm: arm, "replace": "replace"},
        measurements=pd.DataFrame(rows, columns=columns),
    )


def walks(seeds: int, looks: int, *names: object) -> np.ndarray:
    """Memory within a chain is no matter to the rule of whole runs."""
    generator = numpy_stream(0, "placebo chains", *map(str, names))
    return 3 + 0.1 * generator.normal(size=(seeds, looks)).cumsum(axis=1)


def test_seeds_are_split_by_their_order_and_rotations_told_apart() -> None:
    found = placebo(study(walks(12, 5)), RISES, 0.1)
    assert list(found.columns) == list(PLACEBO_COLUMNS)
    assert found["calibration_seeds"].tolist() == [
        "0 1 2 3 4 5 6 7 8",
        "3 4 5 6 7 8 9 10 11",
        "6 7 8 9 10 11 0 1 2",
        "9 10 11 0 1 2 3 4 5",
    ]
    assert found["judged_seeds"].tolist() == ["9 10 11", "0 1 2", "3 4 5", "6 7 8"]
    assert (found["judged"] == 3).all()
    assert (found["generations"] == 5).all()
    many = placebo(study(walks(24, 5)), RISES, 0.1)
    assert many["judged"].tolist() == [15, 15]
    assert many["calibration_seeds"].tolist()[1] == "9 10 11 12 13 14 15 16 17"


@pytest.mark.parametrize("seeds", [4, 9])
def test_too_few_chains_judge_nobody(seeds: int) -> None:
    assert placebo(study(walks(seeds, 5)), RISES, 0.1).empty


def test_a_chain_with_a_hole_is_left_out() -> None:
    record = study(walks(12, 5))
    rows = without(record, arm="fresh", seed=4, generation=2)
    found = placebo(replace(record, measurements=rows), RISES, 0.1)
    assert found["calibration_seeds"][0] == "0 1 2 3 5 6 7 8 9"


@pytest.mark.slow
def test_false_alarms_of_the_rule_of_whole_runs_keep_the_bound_and_are_no_constant() -> None:
    """200 studies, of each the first rotation: one chain that is judged by nine others."""
    alarms = [
        placebo(study(walks(10, 6, trial)), RISES, 0.1)["runs_alarms"][0] for trial in range(200)
    ]
    assert stats.binom.ppf(1e-4, 200, 0.05) <= sum(alarms) <= stats.binom.ppf(0.9999, 200, 0.1)


def test_chains_that_are_not_as_healthy_as_the_calibration_can_all_alarm() -> None:
    """The check can fail: here half of the seeds are of another kind."""
    values = walks(24, 8)
    values[:9] -= np.linspace(0, 9, 8)
    found = placebo(study(values), RISES, 0.1)
    assert found["runs_alarms"].tolist() == [15, 0]
    # In the other direction it is those nine that leave their calibration.
    down = placebo(study(values), FALLS, 0.1)["runs_alarms"].tolist()
    assert down[0] == 0
    assert down[1] >= 9


def test_looks_alarm_on_what_rises_in_the_chain_itself() -> None:
    """Every chain rises alike, which whole runs cannot mind."""
    values = walks(12, 40) + np.arange(40.0)
    up, down = placebo(study(values), RISES, 0.1), placebo(study(values), FALLS, 0.1)
    assert (up["looks_alarms"] == 3).all()
    assert (down["looks_alarms"] == 0).all()
    assert up["runs_alarms"].sum() < 6
