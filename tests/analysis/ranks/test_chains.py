import numpy as np
import pandas as pd
import pytest

from analysis.ranks.chains import (
    EqualLoss,
    at_equal_loss,
    chain_conditions,
    chain_ranks,
    halfway,
    positions,
    schedule,
)
from analysis.ranks.tables import RankTables, Roles, roles_of
from collapse.errors import BadInput
from tests.analysis.made_up_ranks import SCHEDULE, made_up_ranks


def rank_rows(*rows: tuple[int, int, float, float], which: str = "K", **changes: object):
    """Rows of layer, head, participation ratio and condition, of one checkpoint."""
    return pd.DataFrame(
        [
            {
                **{"arm": "a", "seed": 0, "generation": 0, "tokens": 0, "which": which},
                **{"layer": layer, "head": head, "site": "projection"},
                **{"participation_ratio": ratio, "participation_ratio_sq": ratio},
                **{"rank_90": 3, "condition_number": condition},
                **changes,
            }
            for layer, head, ratio, condition in rows
        ]
    )


def test_heads_are_averaged_within_layers_first() -> None:
    rows = rank_rows((0, 0, 10.0, 1.0), (0, 1, 20.0, 1.0), (1, 0, 40.0, 1.0))
    assert chain_ranks(RankTables(ranks=rows)).to_dict() == {("a", 0, 0): 27.5}


def test_other_sites_and_other_matrices_are_left_out() -> None:
    rows = pd.concat(
        [
            rank_rows((0, 0, 10.0, 1.0)),
            rank_rows((0, 0, 90.0, 1.0), site="post_norm"),
            rank_rows((0, 0, 50.0, 1.0), which="Q"),
        ]
    )
    assert chain_ranks(RankTables(ranks=rows)).tolist() == [10.0]
    assert chain_ranks(RankTables(ranks=rows), "Q").tolist() == [50.0]


def test_a_zero_matrix_has_no_rank_and_spoils_no_mean() -> None:
    rows = rank_rows((0, 0, np.nan, 1.0), (0, 1, 20.0, 1.0), (1, 0, np.nan, 1.0))
    assert chain_ranks(RankTables(ranks=rows)).tolist() == [20.0]


def test_conditions_are_medians_of_logarithms() -> None:
    rows = rank_rows((0, 0, 1.0, 10.0), (0, 1, 1.0, 1e3), (1, 0, 1.0, 1.8e308))
    assert chain_conditions(RankTables(ranks=rows)).tolist() == pytest.approx([3.0])
    deficient = rank_rows((0, 0, 1.0, 1.8e308), (0, 1, 1.0, np.inf), (1, 0, 1.0, 10.0))
    assert chain_conditions(RankTables(ranks=deficient)).tolist() == [np.inf]


def test_later_generations_and_unplanned_chains_are_left_out() -> None:
    rows = pd.concat(
        [
            rank_rows((0, 0, 10.0, 1.0)),
            rank_rows((0, 0, 11.0, 1.0), generation=1),
            rank_rows((0, 0, 12.0, 1.0), seed=7),
            rank_rows((0, 0, 13.0, 1.0), arm="b"),
        ]
    )
    kept = RankTables(ranks=rows).planned(["a"], [0])
    assert chain_ranks(kept).tolist() == [10.0]
    assert schedule(made_up_ranks()) == SCHEDULE


def test_positions_have_a_place_for_no_tokens() -> None:
    assert positions([0, 10, 30, 70]) == pytest.approx([0, 1, 2, 3])


LOG_LINE = pd.Series([4.0, 3.0, 2.0, 1.0], index=[100, 200, 400, 800])


def test_equal_loss_on_straight_lines() -> None:
    """Rank 10 + 3 a doubling; the second learns twice as fast, and has 1 direction less."""
    ranks = pd.Series([10.0, 13.0, 16.0, 19.0], index=LOG_LINE.index)
    fast = pd.Series([4.0, 2.0, 0.0, -2.0], index=LOG_LINE.index)
    found = at_equal_loss((ranks, ranks - 1), (LOG_LINE, fast))
    # Both reach 1.0 at best: after 3 doublings, and after 1.5.
    assert found == EqualLoss(1.0, 19.0, pytest.approx(13.5))
    swapped = at_equal_loss((ranks - 1, ranks), (fast, LOG_LINE))
    assert swapped == EqualLoss(1.0, pytest.approx(13.5), 19.0)


def test_a_loss_is_reached_when_it_is_first_reached() -> None:
    bumpy = pd.Series([4.0, 2.0, 3.0, 1.5], index=LOG_LINE.index)
    ranks = pd.Series([0.0, 1.0, 2.0, 3.0], index=LOG_LINE.index)
    stopped = pd.Series([4.0, 2.0], index=[100, 200])
    found = at_equal_loss((ranks, ranks[:2]), (bumpy, stopped))
    assert found == EqualLoss(2.0, 1.0, 1.0)
    rising = pd.Series([4.0, 2.0, 2.5, 2.5], index=LOG_LINE.index)
    again = at_equal_loss((ranks, ranks), (rising, bumpy))
    assert again == EqualLoss(2.0, 1.0, 1.0)


def test_chains_that_share_no_loss_are_refused() -> None:
    ranks = pd.Series([0.0, 1.0, 2.0, 3.0], index=LOG_LINE.index)
    assert at_equal_loss((ranks, ranks), (LOG_LINE, LOG_LINE - 3.5)) is None
    # Random weights are no common ground: all arms share those.
    with_start = pd.concat([pd.Series([7.0], index=[0]), LOG_LINE])
    ranks_0 = pd.concat([pd.Series([0.0], index=[0]), ranks])
    far = pd.concat([pd.Series([7.0], index=[0]), LOG_LINE - 3.5])
    assert at_equal_loss((ranks_0, ranks_0), (with_start, far)) is None
    assert at_equal_loss((ranks[:1], ranks), (LOG_LINE, LOG_LINE)) is None
    assert at_equal_loss((ranks, ranks), (LOG_LINE * np.nan, LOG_LINE)) is None


def test_halfway_is_on_the_axis_of_doublings() -> None:
    values = pd.Series([8.0, 8.0, 4.0, 0.0], index=[0, 10, 30, 70])
    assert halfway(values) == pytest.approx(2.0)
    assert halfway(-values) == pytest.approx(2.0)
    assert halfway(pd.Series([0.0, 10.0, 12.0], index=[0, 10, 30])) == pytest.approx(0.6)
    assert halfway(values * 0) is None
    assert halfway(values[:1]) is None


def test_roles_may_be_named_otherwise() -> None:
    roles = roles_of({"roles": {"simple": "children"}, "steps": 3})
    assert roles == Roles(simple="children")
    assert roles.label("children") == "simple text"
    assert roles.label("another") == "another"
    assert roles_of({}) == Roles()


@pytest.mark.parametrize("roles", [{"easy": "children"}, "simple"])
def test_roles_that_there_are_not_are_refused(roles: object) -> None:
    with pytest.raises(BadInput, match="they must map some of qknorm_muon"):
        roles_of({"roles": roles})


def test_tables_are_checked_once() -> None:
    rows = rank_rows((0, 0, 10.0, 1.0))
    with pytest.raises(BadInput, match="ranks has no column site; it must have arm"):
        RankTables(ranks=rows.drop(columns="site"))
    with pytest.raises(BadInput, match="two different values at arm a, seed 0"):
        RankTables(ranks=pd.concat([rows, rank_rows((0, 0, 11.0, 1.0))]))
    with pytest.raises(BadInput, match="must be whole numbers"):
        RankTables(ranks=rows.assign(layer="first"))
    assert len(RankTables(ranks=pd.concat([rows, rows])).ranks) == 1
    assert RankTables().is_empty
    assert not RankTables(ranks=rows).is_empty
