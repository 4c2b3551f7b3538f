from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.anova import AnovaRM

from analysis.inference.anova import arms_compared, blocked, one_way
from tests.analysis.made_up_inference import METRIC, study

# Three seeds, three arms. By hand: sums of squares 98/3 of arms, 32/3 of seeds, 2/3 left, of 44.
BY_HAND = np.array([[3.0, 5.0, 7.0], [4.0, 6.0, 9.0], [5.0, 8.0, 10.0]])


def test_both_designs_by_hand() -> None:
    alone = one_way(BY_HAND)
    assert (alone.df_arms, alone.df_rest) == (2, 6)
    assert alone.f == pytest.approx((98 / 3 / 2) / (34 / 3 / 6))
    assert alone.share == pytest.approx(98 / 3 / 44)
    with_seeds = blocked(BY_HAND)
    assert (with_seeds.df_arms, with_seeds.df_rest) == (2, 4)
    assert with_seeds.f == pytest.approx(98.0)
    assert with_seeds.p == pytest.approx(stats.f.sf(98.0, 2, 4))


def test_designs_are_scipys_and_statsmodels() -> None:
    values_SxA = np.random.default_rng(0).normal([0.0, 0.5, 1.0, 0.2], 1.0, size=(7, 4))
    foreign = stats.f_oneway(*values_SxA.T)
    assert (one_way(values_SxA).f, one_way(values_SxA).p) == pytest.approx(tuple(foreign))
    seeds, arms = np.indices(values_SxA.shape)
    frame = pd.DataFrame({"s": seeds.ravel(), "a": arms.ravel(), "v": values_SxA.ravel()})
    row = AnovaRM(frame, "v", "s", within=["a"]).fit().anova_table.iloc[0]
    found = blocked(values_SxA)
    assert (found.f, found.p) == pytest.approx((row["F Value"], row["Pr > F"]))
    assert (found.df_arms, found.df_rest) == (row["Num DF"], row["Den DF"])


def test_seeds_as_blocks_are_uniform_where_arms_are_alike_and_one_way_is_not() -> None:
    drawn = np.random.default_rng(1)
    values = drawn.normal(size=(1500, 6, 4)) + 2 * drawn.normal(size=(1500, 6, 1))
    p = [blocked(one).p for one in values]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    # Seeds that differ hide the arms from a test that takes them for noise.
    assert np.mean([float(one_way(one).p or 1) <= 0.05 for one in values]) < 0.01


def test_equal_seeds_give_no_f() -> None:
    assert blocked(np.array([[1.0, 2.0], [2.0, 3.0], [4.0, 5.0]])).f is None


def test_arms_of_a_study_are_compared_on_the_seeds_that_all_have() -> None:
    record = study({"up": 1.0, "flat": 0.0, "base": 0.0}, seeds=6)
    rows = record.measurements
    gone = (rows["arm"] == "up") & (rows["seed"] == 2) & (rows["generation"] == 4)
    record = replace(record, measurements=rows[~gone])
    found = arms_compared(record, METRIC)
    assert (found.left_out, found.tables[0].n_seeds) == ((2,), 5)
    assert found.tables[1].p < 0.05
    last = record.measurements.query("generation == 4 and metric == @METRIC")
    wide = last.pivot(index="seed", columns="arm", values="value")
    by_arms = {(p.first, p.second): p for p in found.post_hoc}
    foreign = stats.ttest_rel(wide["flat"], wide["base"])
    assert by_arms["flat", "base"].p == pytest.approx(foreign.pvalue)
    # The pair that lacks no seed keeps all six.
    assert len(by_arms["flat", "base"].pairs.seeds) == 6
    assert len(by_arms["up", "base"].pairs.seeds) == 5
    p = sorted(float(one.p or 1) for one in found.post_hoc)
    assert min(float(one.p_holm or 1) for one in found.post_hoc) == pytest.approx(3 * p[0])


def test_one_seed_has_post_hoc_pairs_without_p() -> None:
    found = arms_compared(study({"up": 1.0, "base": 0.0}, seeds=1), METRIC)
    assert found.tables == ()
    assert [one.p for one in found.post_hoc] == [None]
