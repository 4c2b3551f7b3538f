import numpy as np

from collapse.stages.quality.coded import _by_prompt


def test_completions_of_one_prompt_are_one_value():
    values = [1, 0, 1, 1, np.nan, 1, np.nan, np.nan]
    np.testing.assert_array_equal(_by_prompt(values, 2), [0.5, 1.0, 1.0, np.nan])
    np.testing.assert_array_equal(_by_prompt([True, False], 1), [1.0, 0.0])
