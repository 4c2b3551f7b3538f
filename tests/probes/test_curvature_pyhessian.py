"""PyHessian on the same batch: where it is right, where it is not, and that it leaves no trace.

What it gets wrong is the behaviour of the real package, pinned here so that a comparison with it
is read for what it is. Beside each fault stands our Lanczos on the same matrix.
"""

import contextlib
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from pyhessian import hessian
from torch import nn

from collapse.errors import BadModel, BadParameter
from collapse.language.model.decoder import DecoderForCausalLM
from collapse.language.presets import load_preset
from collapse.numerics.lanczos import Target, lanczos
from collapse.numerics.spectrum import Outlier, certify_outliers
from collapse.probes.curvature import Microbatch, microbatches, open_operator
from collapse.probes.curvature.pyhessian import (
    open_pyhessian,
    pyhessian_spectrum,
    repaired,
)

BULK = np.linspace(-1, 1, 397)
EIG_OF_TORCH = torch.eig  # raises: torch removed what it did
ROWS, TOKENS, VOCABULARY = 6, 10, 16


# A small language model whose whole Hessian is known.


def batch(parts: int = 1) -> tuple[Microbatch, ...]:
    """Rows that count upwards in steps of 1 to 3: something to learn, so that outliers stand out.

    The first row predicts only its end, so that parts of equal rows differ in predicted tokens.
    """
    starts_Bx1 = torch.arange(ROWS)[:, None]
    ids_BxT = (starts_Bx1 + torch.arange(TOKENS) * (1 + starts_Bx1 % 3)) % VOCABULARY
    labels_BxT = ids_BxT.clone()
    labels_BxT[0, :7] = -100
    return microbatches(ids_BxT, labels_BxT, size=ROWS // parts)


def loss_nats(model: DecoderForCausalLM) -> torch.Tensor:
    (one,) = batch()
    return model(input_ids=one.input_ids_BxT, labels=one.labels_BxT, use_cache=False).loss


@pytest.fixture(scope="module")
def model() -> DecoderForCausalLM:
    trained = load_preset(
        "pocket",
        vocab_size=VOCABULARY,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        initializer_range=0.3,
    )
    optimizer = torch.optim.Adam(trained.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        loss_nats(trained).backward()
        optimizer.step()
    optimizer.zero_grad()
    return trained.eval()


@pytest.fixture(scope="module")
def eigenvalues(model: DecoderForCausalLM) -> np.ndarray:
    """All of them, from products in float64 with every unit vector."""
    exact = load_preset("pocket", **{name: getattr(model.config, name) for name in SHAPE}).double()
    exact.load_state_dict(model.state_dict())
    with open_operator(exact, batch()) as operator:
        columns = [operator(unit) for unit in torch.eye(operator.dimension, dtype=torch.float64)]
    dense = torch.stack(columns)
    assert (dense - dense.T).abs().max() < 1e-12
    return torch.linalg.eigvalsh(dense).numpy()


SHAPE = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
)


@pytest.mark.parametrize("parts", [1, 3])
def test_separated_ends_of_a_language_model_are_right(
    model: DecoderForCausalLM, eigenvalues: np.ndarray, parts: int
) -> None:
    """In parts of unequal numbers of predicted tokens, too, whose mean PyHessian takes by rows."""
    found = pyhessian_spectrum(model, batch(parts), top_n=1, steps=60)
    # Power iteration stops at a relative change of 1e-3, which is not its error.
    assert found.top_eigenvalues[0] == pytest.approx(eigenvalues[-1], rel=1e-2)
    assert found.nodes[-1] == pytest.approx(eigenvalues[-1], rel=1e-4)
    assert found.nodes[0] == pytest.approx(eigenvalues[0], rel=1e-2)
    assert sum(found.weights) == pytest.approx(1, abs=1e-5)
    assert len(found.nodes) == len(found.weights) == 60


def test_our_ends_of_the_same_model_are_a_thousand_times_closer(
    model: DecoderForCausalLM, eigenvalues: np.ndarray
) -> None:
    with open_operator(model, batch()) as operator:
        start = torch.randn(operator.dimension, generator=torch.Generator().manual_seed(0))
        ours = lanczos(operator, start, 60)
    assert ours.ritz_values[-1] == pytest.approx(eigenvalues[-1], rel=1e-5)
    assert ours.ritz_values[0] == pytest.approx(eigenvalues[0], rel=1e-3)


def test_products_and_gradients_are_counted(model: DecoderForCausalLM) -> None:
    forwards = []
    handle = model.register_forward_hook(lambda *_: forwards.append(1))
    whole = pyhessian_spectrum(model, batch(), steps=7)
    in_one = len(forwards)
    parts = pyhessian_spectrum(model, batch(3), steps=7)
    handle.remove()
    assert whole.gradients == in_one == 1
    assert whole.products > 7 + 3
    assert parts.gradients == parts.products == (len(forwards) - in_one) / 3


# What it leaves behind.


def test_model_random_state_and_torch_are_left_as_they_were(model: DecoderForCausalLM) -> None:
    model.train()
    model.model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    gradients = [torch.full_like(p, 0.5) for p in model.parameters()]
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient
    weights = [p.detach().clone() for p in model.parameters()]
    attention = model.config._attn_implementation
    torch.rand(3)  # a state that no earlier call of ours left
    drawn = torch.get_rng_state()
    pyhessian_spectrum(model, batch(), steps=5)
    assert [module.training for module in model.modules()] == modes
    for parameter, gradient, weight in zip(model.parameters(), gradients, weights, strict=True):
        assert parameter.grad is gradient
        assert bool((gradient == 0.5).all())
        assert torch.equal(parameter, weight)
        parameter.grad = None
    assert model.config._attn_implementation == attention
    assert torch.equal(torch.get_rng_state(), drawn)
    assert torch.eig is EIG_OF_TORCH
    model.eval()


def test_repair_ends_with_its_block_even_by_an_error() -> None:
    module = sys.modules[hessian.__module__]
    product, through_loader = module.hessian_vector_product, hessian.dataloader_hv_product
    with contextlib.suppress(ZeroDivisionError), repaired():
        assert torch.eig is not EIG_OF_TORCH
        assert module.hessian_vector_product is not product
        raise ZeroDivisionError
    assert torch.eig is EIG_OF_TORCH
    assert module.hessian_vector_product is product
    assert hessian.dataloader_hv_product is through_loader


def test_same_seed_same_numbers_whatever_was_drawn_before(model: DecoderForCausalLM) -> None:
    first = pyhessian_spectrum(model, batch(), steps=5, seed=3)
    torch.rand(11)
    assert pyhessian_spectrum(model, batch(), steps=5, seed=3) == first
    assert pyhessian_spectrum(model, batch(), steps=5, seed=4).nodes != first.nodes


def test_without_the_repair_there_is_no_density(model: DecoderForCausalLM) -> None:
    with open_pyhessian(model, batch()) as peer, pytest.raises(RuntimeError, match="removed"):
        peer.density(iter=3)


def test_what_it_cannot_take_is_said(model: DecoderForCausalLM) -> None:
    (one,) = batch()
    ids, nothing = one.input_ids_BxT, torch.full_like(one.labels_BxT, -100)
    padded = Microbatch(ids, one.labels_BxT, torch.ones_like(ids))
    for bad, says in ((padded, "padding"), (Microbatch(ids, nothing), "nothing to predict")):
        with pytest.raises(BadParameter, match=says):
            pyhessian_spectrum(model, [bad])
    with pytest.raises(BadParameter, match="steps=0"):
        pyhessian_spectrum(model, [one], steps=0)
    exact = load_preset("pocket", vocab_size=VOCABULARY, hidden_size=8, num_attention_heads=2)
    with pytest.raises(BadModel, match=r"torch\.float64"):
        pyhessian_spectrum(exact.double(), [one])


# Prescribed spectra, through the package itself.


class Parabola(nn.Module):
    """The loss 0.5 theta^T A theta, whose Hessian is A."""

    def __init__(self, eigenvalues: np.ndarray) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        size = len(eigenvalues)
        turn = torch.randn(size, size, generator=generator, dtype=torch.float64)
        turn = torch.linalg.qr(turn)[0]
        self.matrix = ((turn * torch.from_numpy(eigenvalues)) @ turn.T).float()
        self.theta = nn.Parameter(torch.full((size,), 0.1))

    def forward(self, _inputs: torch.Tensor) -> torch.Tensor:
        return self.theta

    def loss(self, theta: torch.Tensor, _targets: torch.Tensor | None = None) -> torch.Tensor:
        return 0.5 * theta @ (self.matrix @ theta)


def spectrum(ends: Sequence[float], scale: float = 1.0) -> np.ndarray:
    return np.concatenate([BULK, ends]) * scale


def peer_of(parabola: Parabola) -> hessian:
    nothing = torch.zeros(1)
    return hessian(parabola, parabola.loss, data=(nothing, nothing), cuda=False)


def theirs(parabola: Parabola) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Its top 3, its 30 nodes, and the products of the top 3."""
    with repaired() as counted, torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        peer = peer_of(parabola)
        values, _ = peer.eigenvalues(top_n=3)
        products = list(counted)
        (nodes,), _ = peer.density(iter=30)
    return np.array(values), np.array(nodes, dtype=np.float64), products


def ours(parabola: Parabola) -> tuple[Outlier, ...]:
    start = torch.randn(len(parabola.theta), generator=torch.Generator().manual_seed(0))
    target = Target(magnitude=3, tolerance=1e-4)
    result = lanczos(lambda v: parabola.matrix @ v, start, 100, target=target)
    return certify_outliers(result.ritz_values, result.residual_bounds, 3, rounding=result.rounding)


def assert_ours_is_right(parabola: Parabola, ends: Sequence[float], scale: float = 1.0) -> None:
    found = ours(parabola)
    assert all(one.certified for one in found)
    assert np.array([one.value for one in found]) / scale == pytest.approx(ends, rel=1e-5)


def test_separated_ends_are_right_to_its_tolerance() -> None:
    ends = [10.0, -7.0, 5.0]
    parabola = Parabola(spectrum(ends))
    values, nodes, products = theirs(parabola)
    assert values == pytest.approx(ends, rel=3e-3)
    assert (nodes[0], nodes[-1]) == pytest.approx((-7, 10), rel=1e-5)
    assert len(products) < 300
    assert_ours_is_right(parabola, ends)


def test_near_equal_ends_stall_its_power_iteration() -> None:
    """It stops, content, a seventh below the top: its vector is a mixture of both ends."""
    ends = [10.0, -9.99, 5.0]
    parabola = Parabola(spectrum(ends))
    values, nodes, products = theirs(parabola)
    assert len(products) < 3 * 100  # it did not run out of iterations
    assert abs(values[0]) < 9
    assert abs(values[1]) < 9
    # Its Lanczos run sees them, in the same run: only the top eigenvalues are wrong.
    assert (nodes[0], nodes[-1]) == pytest.approx((-9.99, 10), rel=1e-5)
    assert_ours_is_right(parabola, ends)


def test_clusters_are_left_before_they_are_resolved() -> None:
    ends = [10.0, 9.8, 9.6]
    parabola = Parabola(spectrum(ends))
    values, _, products = theirs(parabola)
    assert len(products) < 3 * 100
    errors = np.abs(values - ends) / np.abs(ends)
    assert errors.max() > 5e-3  # five times its tolerance
    assert errors.min() > 1e-3
    assert_ours_is_right(parabola, ends)


@pytest.mark.parametrize("scale", [1e-9, 1e-6, 1.0, 1e6])
def test_small_hessians_are_lost_in_its_absolute_constants(scale: float) -> None:
    """It divides vectors by their norm + 1e-6, and stops by a change relative to value + 1e-6."""
    ends = [10.0, -7.0, 5.0]
    parabola = Parabola(spectrum(ends, scale))
    values, nodes, _ = theirs(parabola)
    power_is_right = values / scale == pytest.approx(ends, rel=3e-3)
    density_is_right = (nodes[0] / scale, nodes[-1] / scale) == pytest.approx((-7, 10), rel=1e-2)
    assert density_is_right == (scale >= 1)
    assert power_is_right == (scale >= 1e-6)
    if scale <= 1e-6:
        assert nodes[-1] / scale < 9  # lambda_max by the density, a tenth too small and worse
    if scale == 1e-9:
        assert values[2] / scale < 1  # 5, the third
    assert_ours_is_right(parabola, ends, scale)


def by_another_peer(parabola: Parabola) -> None:
    peer_of(parabola)


def by_a_double_backward(parabola: Parabola) -> None:
    parabola.loss(parabola.theta).backward(create_graph=True)


@pytest.mark.parametrize("leave", [by_another_peer, by_a_double_backward])
def test_gradients_with_a_graph_that_somebody_left_double_its_hessian(
    leave: Callable[[Parabola], None],
) -> None:
    """It adds its gradient to what stands in `.grad`, and differentiates both."""
    ends = [10.0, -7.0, 5.0]
    parabola = Parabola(spectrum(ends))
    leave(parabola)
    values, nodes, _ = theirs(parabola)
    assert values == pytest.approx([20, -14, 10], rel=3e-3)
    assert nodes[-1] == pytest.approx(20, rel=1e-5)
    assert_ours_is_right(parabola, ends)


def test_plain_gradients_leave_its_hessian_right_and_are_lost() -> None:
    """A constant has no derivative; but the caller's gradient is gone."""
    parabola = Parabola(spectrum([10.0, -7.0, 5.0]))
    parabola.theta.grad = torch.ones_like(parabola.theta)
    values, _, _ = theirs(parabola)
    assert values == pytest.approx([10, -7, 5], rel=3e-3)
    assert parabola.theta.grad is None


def test_neither_our_operator_nor_the_wrapper_sees_a_gradient_left_on_the_model(
    model: DecoderForCausalLM,
) -> None:
    def top_by_both() -> tuple[float, float]:
        with open_operator(model, batch()) as operator:
            start = torch.ones(operator.dimension)
            mine = lanczos(operator, start, 20).ritz_values[-1]
        return float(mine), pyhessian_spectrum(model, batch(), steps=3).top_eigenvalues[0]

    clean = top_by_both()
    loss_nats(model).backward(create_graph=True)
    assert top_by_both() == clean
    model.zero_grad()
