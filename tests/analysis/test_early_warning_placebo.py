import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.early_warning.placebo import placebo_by_looks, placebo_by_runs
from collapse.errors import BadParameter
from collapse.numerics.streams import numpy_stream


def chains(values_RxT: np.ndarray) -> pd.DataFrame:
    """A table in no order."""
    runs, looks = values_RxT.shape
    table = pd.DataFrame(
        {
            "chain": np.repeat([f"seed{run}" for run in range(runs)], looks),
            "step": np.tile(10 * np.arange(looks), runs),
            "value": values_RxT.ravel(),
        }
    )
    return table.sample(frac=1.0, random_state=0)


def plateaus(runs: int, name: str) -> np.ndarray:
    return 3 + 0.1 * numpy_stream(0, name).normal(size=(runs, 80))


def test_by_looks_few_healthy_chains_alarm_and_planted_ones_do() -> None:
    values = plateaus(300, "looks")
    found = placebo_by_looks(chains(values), -1, burn_in=20)
    alarms = int(found["alarm_step"].notna().sum())
    assert alarms <= stats.binom.ppf(0.9999, 300, 0.05)
    assert (found["looks"] == 80).all()
    # A healthy chain may alarm before the change: that is what 5 % means.
    alarmed = found.loc[found["alarm_step"].notna(), "chain"]
    values[:, 50:] -= 0.6
    planted = placebo_by_looks(chains(values), -1, burn_in=20)
    planted = planted[~planted["chain"].isin(alarmed)]
    assert planted["alarm_step"].between(500, 620).mean() > 0.99
    assert (planted["evidence"] >= 20).all()
    # The other way no alarm follows the change.
    turned = placebo_by_looks(chains(values), 1, burn_in=20)["alarm_step"]
    assert not (turned >= 500).any()


def test_a_trend_alarms_in_its_own_direction_only() -> None:
    table = chains(plateaus(20, "raw") - 0.03 * np.arange(80))
    assert placebo_by_looks(table, -1, burn_in=20)["alarm_step"].notna().all()
    assert placebo_by_looks(table, 1, burn_in=20)["alarm_step"].isna().all()


def test_by_runs_one_alarm_at_most_among_twenty_and_it_is_the_sick_one() -> None:
    values = plateaus(20, "runs").cumsum(axis=1)  # memory is no matter here
    healthy = placebo_by_runs(chains(values), -1)
    assert healthy["alarm_step"].notna().sum() <= 1
    values[7, 50:] -= 30.0
    found = placebo_by_runs(chains(values), -1).set_index("chain")
    assert found["alarm_step"].dropna().to_dict() == {"seed7": 500.0}
    assert found.loc["seed7", "evidence"] == pytest.approx(20)


def test_by_runs_looks_at_common_steps_only() -> None:
    table = chains(plateaus(6, "common"))
    thinned = table[(table["chain"] != "seed1") | (table["step"] % 20 == 0)]
    assert (placebo_by_runs(thinned, -1)["looks"] == 40).all()


def test_bad_tables_are_refused() -> None:
    table = chains(plateaus(4, "bad"))
    with pytest.raises(BadParameter, match="without value"):
        placebo_by_looks(table.drop(columns="value"), 1, burn_in=3)
    with pytest.raises(BadParameter, match="twice"):
        placebo_by_runs(pd.concat([table, table]), 1)
    with pytest.raises(BadParameter, match="not finite"):
        placebo_by_runs(table.assign(value=np.nan), 1)
    with pytest.raises(BadParameter, match="2 healthy runs"):
        placebo_by_runs(table[table["chain"] < "seed3"], 1)
