import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from analysis.inference.power import (
    least_healthy_chains,
    least_t_effect,
    median_ranks,
    most_false_alarms,
    power_lines,
    reach,
)
from tests.analysis.made_up_inference import claim

UP = claim("increase", 0.1, ("replace", "fresh"), "up")
MIXED = claim("increase", 0.1, ("mixed", "fresh"), "dose")
LEAD = claim("increase", 2.0, ("replace", "fresh"), "lead", event="truth/valid_fraction")


@pytest.mark.parametrize("n", [3, 6, 12, 30])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_least_t_effect_is_statsmodels(n: int, alpha: float) -> None:
    # Its own search for the effect stops early for n = 3; its power at ours is 0.8.
    power = TTestPower().power(least_t_effect(n, alpha), nobs=n, alpha=alpha)
    assert power == pytest.approx(0.8, abs=1e-4)
    assert least_t_effect(1) is None


@pytest.mark.parametrize("n", [6, 7, 8, 10])
def test_effects_that_sign_flips_find_have_that_power(n: int) -> None:
    effect = reach(n).flip_effect
    assert effect is not None
    values = np.random.default_rng(n).normal(effect, 1.0, size=(8000, n))
    signs = np.array(list(itertools.product((1, -1), repeat=n)))
    sums = np.abs(values @ signs.T)
    power = np.mean((sums >= np.abs(values.sum(axis=1))[:, None] - 1e-9).mean(axis=1) <= 0.05)
    assert power == pytest.approx(0.8, abs=0.02)


def test_six_seeds_exactly() -> None:
    # All six of one sign, whichever.
    effect = float(reach(6).flip_effect or 0)
    assert stats.norm.cdf(effect) ** 6 == pytest.approx(0.8, abs=0.005)


def test_reach_follows_powers_of_two() -> None:
    assert [reach(n).can_decide for n in (5, 6)] == [False, True]
    assert reach(5).flip_effect is None
    # 2^(n - 1) of at least 20 m.
    for m in (2, 3, 8):
        enough = next(n for n in range(1, 20) if 2 ** (n - 1) >= 20 * m)
        assert [reach(n, m).can_decide for n in (enough - 1, enough)] == [False, True]


def test_bound_of_false_alarms() -> None:
    assert most_false_alarms(12) == pytest.approx(0.221, abs=5e-4)
    assert most_false_alarms(6) == pytest.approx(0.393, abs=5e-4)
    assert most_false_alarms(0) == 1.0
    # At this rate all chains stay silent in one study of twenty.
    assert (1 - most_false_alarms(9)) ** 9 == pytest.approx(0.05)
    assert least_healthy_chains() == 11


@pytest.mark.parametrize("n", [6, 9, 12, 25])
def test_ranks_of_a_median_cover_by_counting(n: int) -> None:
    low, high = median_ranks(n) or (0, 0)
    below = stats.binom(n, 0.5)
    assert below.cdf(high - 1) - below.cdf(low - 1) >= 0.95
    assert below.cdf(high - 2) - below.cdf(low) < 0.95
    assert low + high == n + 1
    assert median_ranks(5) is None


def test_lines_of_a_study_that_can_show_something() -> None:
    lines = power_lines(12, (UP, MIXED, LEAD), {})
    assert "12 seeds can reach p = 0.000488" in lines[0]
    assert "2 claims can be corrected together" in lines[1]
    assert "up to 22 % open: if so, leads can be decided" in lines[2]
    assert "from number 3 to 10" in lines[3]
    assert all(line.startswith("power: ") for line in lines)


def test_lines_of_a_study_that_cannot() -> None:
    lines = " ".join(power_lines(6, (UP, MIXED, LEAD), {"mixed": 3}))
    assert "would take 7 seeds" in lines
    assert "dose has 3 seeds, p = 0.25 at the least" in lines
    assert "39 % open: above 25 %, no lead can be decided; 11 would do" in lines
    lines = " ".join(power_lines(12, (LEAD,), {"static": 6}, ("fresh", "static")))
    assert "no alarm in 6 control chains" in lines
    assert "no lead can be decided" in lines
    (only,) = power_lines(2, (UP, MIXED), {})
    assert "2 seeds can reach p = 0.5" in only
    assert "6 are needed for 0.05" in only
