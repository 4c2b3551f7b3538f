import math

import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.numerics.origins import TextScores, log_mixture


def test_parts_are_neighbours_differences_and_add_up_for_every_text():
    rng = np.random.default_rng(0)
    truth, refit, model, decoded = rng.normal(-20, 5, (4, 100))
    parts = TextScores(truth, refit, model, decoded).parts()
    np.testing.assert_array_equal(parts["sampling"], truth - refit)
    np.testing.assert_array_equal(parts["fitting"], refit - model)
    np.testing.assert_array_equal(parts["decoding"], model - decoded)
    np.testing.assert_array_equal(parts["total"], truth - decoded)
    added = parts["sampling"] + parts["fitting"] + parts["decoding"]
    np.testing.assert_allclose(added, parts["total"], rtol=0, atol=1e-12)


def test_what_has_no_likelihood_as_it_is_written_has_no_whole():
    one = np.array([-3.0])
    assert list(TextScores(one, one, one, None).parts()) == ["sampling", "fitting"]


def test_a_mixture_by_hand():
    log_p = [np.log([0.5, 0.1]), np.log([0.25, 1e-300])]
    mixed = log_mixture(log_p, [3, 1])
    np.testing.assert_allclose(mixed, np.log([0.75 * 0.5 + 0.25 * 0.25, 0.075]))
    np.testing.assert_allclose(log_mixture(log_p, [0, 2]), [math.log(0.25), -300 * math.log(10)])


@pytest.mark.parametrize("weights", [[0, 0], [-1, 2]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(BadParameter, match="none below 0"):
        log_mixture([np.zeros(1), np.zeros(1)], weights)
