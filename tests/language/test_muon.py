"""The project's Muon: beside its closed form, a polar factor, and torch's own."""

import copy

import pytest
import torch
from torch import nn

from collapse.language.muon import COEFFICIENTS, ITERATIONS, Muon, orthogonalised
from collapse.language.precision import bf16_gain, bf16_pays, fast_type

SHAPES = [(8, 8), (24, 6), (6, 24), (24, 6), (1, 5), (16, 16)]
"""Square, tall and wide; two that share a batch with one on its side."""

CPU = torch.device("cpu")


def matrices(seed: int = 0, shapes: list[tuple[int, int]] = SHAPES) -> list[nn.Parameter]:
    stream = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=stream)) for shape in shapes]


def give_gradients(weights: list[nn.Parameter], step: int) -> None:
    stream = torch.Generator().manual_seed(1000 + step)
    for one in weights:
        one.grad = torch.randn(one.shape, generator=stream)


def trained(optimizer: torch.optim.Optimizer, weights: list[nn.Parameter], steps: range) -> None:
    for step in steps:
        give_gradients(weights, step)
        optimizer.step()


def polynomial(values: torch.Tensor) -> torch.Tensor:
    """What the iterations make of a singular value."""
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        values = a * values + b * values**3 + c * values**5
    return values


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (1, 4, 5)])
def test_singular_values_go_through_the_polynomial_and_vectors_stay(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
    left, values, right = torch.linalg.svd(x, full_matrices=False)
    expected = left @ torch.diag_embed(polynomial(values)) @ right
    torch.testing.assert_close(orthogonalised(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(orthogonalised(x.float()).double(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("shape", [(32, 32), (64, 16), (16, 64)])
def test_an_update_points_where_the_polar_factor_does(shape):
    """All singular values between 0.68 and 1.21 of it, as far as they were no rounding error."""
    (weight,) = matrices(shapes=[shape])
    give_gradients([weight], 0)
    left, values, right = torch.linalg.svd(weight.grad.double(), full_matrices=False)
    before = weight.detach().clone()
    Muon([weight], lr=1.0).step()
    scale = max(1.0, shape[0] / shape[1]) ** 0.5
    turned = left.T @ ((before - weight.detach()).double() / scale) @ right.T
    told = turned.diagonal()[values > 0.003 * values.norm()]
    assert len(told) > 10
    assert ((told > 0.67) & (told < 1.22)).all()
    off = turned - torch.diag(turned.diagonal())
    assert off.abs().max() < 1e-4


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_it_is_torchs_muon_within_its_bfloat16(decay):
    ours, theirs = matrices(), matrices()
    trained(Muon(ours, lr=0.02, weight_decay=decay), ours, range(5))
    trained(torch.optim.Muon(theirs, lr=0.02, weight_decay=decay), theirs, range(5))
    for one, other, start in zip(ours, theirs, matrices(), strict=True):
        moved = (other - start).norm()
        assert moved > 0.02
        assert (one - other).norm() < 0.02 * moved


def test_in_bfloat16_it_is_as_near_to_the_truth_as_torchs():
    exact, ours, theirs = (matrices() for _ in range(3))
    trained(Muon(exact, lr=0.02), exact, range(3))
    trained(Muon(ours, lr=0.02, dtype=torch.bfloat16), ours, range(3))
    trained(torch.optim.Muon(theirs, lr=0.02, weight_decay=0.0), theirs, range(3))
    for truth, one, other in zip(exact, ours, theirs, strict=True):
        assert 0 < (one - truth).norm() < 2 * (other - truth).norm() + 1e-3


def test_a_matrix_moves_as_if_it_were_alone():
    together, alone = matrices(), matrices()
    trained(Muon(together, lr=0.02), together, range(3))
    for place, one in enumerate(alone):
        optimizer = Muon([one], lr=0.02)
        for step in range(3):
            give_gradients(whole := matrices(), step)
            one.grad = whole[place].grad
            optimizer.step()
        torch.testing.assert_close(one, together[place], rtol=1e-5, atol=1e-6)


def test_batches_that_would_be_too_large_are_cut(monkeypatch):
    whole, cut = matrices(), matrices()
    trained(Muon(whole, lr=0.02), whole, range(2))
    monkeypatch.setattr("collapse.language.muon._MOST_ENTRIES", 1)
    trained(Muon(cut, lr=0.02), cut, range(2))
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_goes_on_to_the_bit_in_the_type_it_began_in(dtype, tmp_path):
    straight = matrices()
    trained(Muon(straight, lr=0.02, weight_decay=0.1, dtype=dtype), straight, range(6))
    cut = matrices()
    optimizer = Muon(cut, lr=0.02, weight_decay=0.1, dtype=dtype)
    trained(optimizer, cut, range(3))
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    resumed = [nn.Parameter(copy.deepcopy(one.data)) for one in cut]
    # Where it goes on, the other type may have seemed faster.
    other = torch.bfloat16 if dtype == torch.float32 else torch.float32
    again = Muon(resumed, lr=0.5, dtype=other)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    trained(again, resumed, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))


def test_a_gradient_of_nothing_moves_nothing_and_none_at_all_neither():
    still, frozen = matrices(shapes=[(4, 4), (4, 4)])
    before = still.detach().clone(), frozen.detach().clone()
    still.grad = torch.zeros(4, 4)
    Muon([still, frozen], lr=0.1, weight_decay=0.1).step()
    torch.testing.assert_close(still.detach(), before[0] * 0.99)
    assert torch.equal(frozen, before[1])


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r"Muon takes matrices: one parameter is \(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1)


def test_bfloat16_is_taken_only_where_it_is_faster(monkeypatch):
    for gain, dtype in ((0.04, torch.float32), (0.8, torch.float32), (2.0, torch.bfloat16)):
        monkeypatch.setattr("collapse.language.precision.bf16_gain", lambda _device, g=gain: g)
        assert fast_type(CPU) is dtype
        assert bf16_pays(CPU) is (dtype is torch.bfloat16)


def test_the_gain_is_measured_once():
    assert bf16_gain(CPU) > 0
    assert bf16_gain(CPU) == bf16_gain(CPU)
