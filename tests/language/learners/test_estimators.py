import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm

from collapse.errors import BadCorpus
from collapse.language.learners import ESTIMATORS
from collapse.language.presets import preset_names

END = 0
CATEGORICAL = ESTIMATORS["categorical"]
GAUSSIAN = ESTIMATORS["gaussian"]
UNBIASED = ESTIMATORS["gaussian-unbiased"]


def said(estimator, counts_PxV: np.ndarray) -> np.ndarray:
    """The estimated distributions, ``(P, V)``, from parameters and statistics."""
    statistics_VxK = estimator.statistics(counts_PxV.shape[1])
    return softmax(estimator.parameters(counts_PxV, END) @ statistics_VxK.T, axis=1)


def numbers(*rows: list[int], vocabulary: int) -> np.ndarray:
    """Counts of the numbers drawn at each position."""
    return np.stack([np.bincount(row, minlength=vocabulary) for row in rows])


def test_every_estimator_has_a_preset() -> None:
    assert set(ESTIMATORS) <= set(preset_names())


def test_categorical_says_the_relative_frequencies_and_never_what_did_not_come() -> None:
    counts = np.array([[0, 3, 1, 0], [2, 0, 0, 2], [4, 0, 0, 0]])
    found = said(CATEGORICAL, counts)
    assert found == pytest.approx(counts / 4, abs=1e-15)
    assert np.all(found[counts == 0].astype(np.float32) == 0)


def test_diversity_is_that_of_the_positions_inside_documents() -> None:
    counts = np.array([[0, 2, 2], [0, 4, 0], [3, 1, 0], [1, 0, 0]])
    # 1 - 1/4 - 1/4 and 1 - 1; documents end at the other two.
    assert CATEGORICAL.measure(counts, END) == {"learner/gini_simpson": pytest.approx(0.25)}


@pytest.mark.parametrize("estimator", [GAUSSIAN, UNBIASED])
def test_gaussian_is_scipys_density_at_the_whole_numbers(estimator) -> None:
    row = [90, 97, 104, 109, 120]
    found = said(estimator, numbers(row, vocabulary=200))[0]
    ddof = 1 if estimator is UNBIASED else 0
    density = norm.pdf(np.arange(200), np.mean(row), np.std(row, ddof=ddof))
    assert found == pytest.approx(density / density.sum(), rel=1e-9, abs=1e-300)


def test_the_written_variance_is_the_estimated_one() -> None:
    """No quantisation is added: the sum over the whole numbers has the density's own variance."""
    row = [96, 100, 103, 105]
    found = said(GAUSSIAN, numbers(row, vocabulary=200))[0]
    mean = found @ np.arange(200)
    assert mean == pytest.approx(np.mean(row), rel=1e-9)
    assert found @ np.square(np.arange(200) - mean) == pytest.approx(np.var(row), rel=1e-9)


def test_variances_are_measured_with_both_denominators() -> None:
    counts = numbers([10, 14], [20, 30], [0, 0], vocabulary=40)
    biased, unbiased = GAUSSIAN.measure(counts, END), UNBIASED.measure(counts, END)
    assert biased["learner/variance"] == pytest.approx((4 + 25) / 2)
    assert biased["learner/log_variance"] == pytest.approx(np.log([4, 25]).mean())
    assert unbiased["learner/variance"] == pytest.approx((8 + 50) / 2)


def test_what_does_not_vary_is_said_for_sure_and_has_no_logarithm() -> None:
    counts = numbers([7, 7, 7], [0, 0, 0], vocabulary=12)
    found = said(GAUSSIAN, counts)
    assert found[0, 7] == found[1, 0] == 1
    assert GAUSSIAN.measure(counts, END) == {"learner/variance": 0.0}


def test_documents_of_different_lengths_are_no_numbers() -> None:
    with pytest.raises(BadCorpus, match="one length"):
        GAUSSIAN.parameters(numbers([7, 8], [0, 9], vocabulary=12), END)


def test_empty_documents_have_nothing_to_measure() -> None:
    with pytest.raises(BadCorpus, match="a token or more"):
        CATEGORICAL.measure(np.array([[3, 0]]), END)
