"""Cells of tables: what was planned needs no remark, what is missing has one."""

import pytest

from analysis.study import StudyRecord
from analysis.tables import mean_and_sd, seeds_in_words
from tests.analysis.made_up_study import made_up_study

NLL = "human/nll_nats"


@pytest.fixture(scope="module")
def uneven() -> StudyRecord:
    """Four seeds, of replace two; one of either arm lacks the last generation."""
    whole = made_up_study(seeds=range(4), arm_seeds={"replace": 2})
    rows = whole.measurements
    planned = (rows["arm"] != "replace") | (rows["seed"] < 2)
    lost = (rows["generation"] == 3) & (
        ((rows["arm"] == "replace") & (rows["seed"] == 1))
        | ((rows["arm"] == "fresh") & (rows["seed"] == 3))
    )
    return made_up_study(
        seeds=range(4), arm_seeds={"replace": 2}, measurements=rows[planned & ~lost]
    )


def test_a_cell_says_how_many_seeds_it_has_where_fewer_than_planned(uneven: StudyRecord) -> None:
    cells = mean_and_sd(uneven, NLL)
    assert "(n =" not in cells.loc["replace", 0]
    assert "(n =" not in cells.loc["fresh", 0]
    assert cells.loc["replace", 3].endswith("(n = 1)")
    assert cells.loc["fresh", 3].endswith("(n = 3)")


def test_seeds_in_words(uneven: StudyRecord) -> None:
    assert seeds_in_words(uneven) == "4 seeds (2 under replace)"
    assert seeds_in_words(made_up_study(seeds=(0,))) == "1 seed"
    arms = {"replace": 2, "mixed": 2, "static": 3}
    several = made_up_study(("replace", "fresh", "mixed", "static"), seeds=range(4), arm_seeds=arms)
    assert seeds_in_words(several) == "4 seeds (3 under static; 2 under replace, mixed)"
