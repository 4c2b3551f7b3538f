import numpy as np
import pandas as pd
import pytest

from analysis.study import StudyRecord
from analysis.trends import arm_trend, chain_trend
from tests.analysis.made_up_study import made_up_study

METRIC = "hessian/human/lambda_max"


def study_of(*chains: list[float], arm: str = "replace") -> StudyRecord:
    """One arm's chains, one a seed; nan is a missing generation."""
    rows = [
        (arm, seed, generation, METRIC, value)
        for seed, chain in enumerate(chains)
        for generation, value in enumerate(chain)
    ]
    columns = ["arm", "seed", "generation", "metric", "value"]
    return made_up_study(
        seeds=range(len(chains)),
        generations=len(chains[0]) - 1,
        measurements=pd.DataFrame(rows, columns=columns),
    )


def test_trend_of_a_straight_line_is_exact() -> None:
    found = chain_trend([0, 1, 2, 3, 4], [2.0, 5.0, 8.0, 11.0, 14.0])
    assert found is not None
    assert found.slope == pytest.approx(3.0)
    assert found.interval == pytest.approx((3.0, 3.0))
    assert (found.tau, found.word) == (pytest.approx(1.0), "rises")


def test_slope_is_the_median_over_pairs() -> None:
    values = [0.0, 1.0, 2.0, 40.0]
    pairs = [(values[j] - values[i]) / (j - i) for i in range(4) for j in range(i + 1, 4)]
    found = chain_trend(range(4), values)
    assert found is not None
    assert found.slope == pytest.approx(np.median(pairs))
    assert chain_trend([0, 1, 3], values[:3]) is not None


@pytest.mark.parametrize(
    ("values", "tau", "word"),
    [
        ([4, 3, 2, 1], -1.0, "falls"),
        ([1, 2, 4, 3], 2 / 3, "rises"),
        ([1, 3, 4, 2], 1 / 3, "no trend"),
        ([5, 5, 5, 5], 0.0, "no trend"),
        # The published ratio by quartiles: three pairs of fifteen go up, just a trend.
        ([1.94, 1.98, 1.66, 1.12, 0.96, 1.14], -0.6, "falls"),
    ],
)
def test_word_follows_kendalls_tau(values: list[float], tau: float, word: str) -> None:
    found = chain_trend(range(len(values)), values)
    assert found is not None
    assert found.tau == pytest.approx(tau)
    assert found.word == word


def test_two_generations_are_no_trend() -> None:
    assert chain_trend([0, 1], [1.0, 9.0]) is None
    assert arm_trend(study_of([1.0, 9.0], [1.0, 9.0]), METRIC, "replace").word == "not measured"


def test_chain_is_the_unit() -> None:
    """Two slopes of 1 and 3: t with one degree of freedom, however many generations there are."""
    for length in (4, 8):
        chains = [[slope * g for g in range(length)] for slope in (1.0, 3.0)]
        found = arm_trend(study_of(*chains), METRIC, "replace")
        assert (found.n_chains, found.word) == (2, "rises")
        assert found.slope == pytest.approx(2.0)
        half = 12.706204736 * np.std([1, 3], ddof=1) / 2**0.5
        assert found.interval == pytest.approx((2 - half, 2 + half))


def test_chains_must_agree() -> None:
    found = arm_trend(study_of([1, 2, 3, 4], [4, 3, 2, 1]), METRIC, "replace")
    assert found.word == "no trend"
    assert found.tau == pytest.approx(0.0)


def test_missing_generations_and_arms_are_left_out() -> None:
    record = study_of([1, 2, 3, 4], [1, np.nan, np.nan, 9])
    found = arm_trend(record, METRIC, "replace")
    assert (found.n_chains, found.interval, found.word) == (1, None, "rises")
    absent = arm_trend(record, METRIC, "fresh")
    assert (absent.n_chains, absent.slope, absent.tau) == (0, None, None)
    assert absent.word == "not measured"
