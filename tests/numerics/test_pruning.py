import itertools

import numpy as np
import pytest
import torch

from collapse.errors import BadParameter
from collapse.numerics.pruning import (
    BASES,
    STRATEGIES,
    gain_pairs,
    plan_pruning,
    projectors,
    pruned_directions,
    random_coordinates,
    random_rotations,
    rank_directions,
    singular_directions,
)
from collapse.numerics.streams import torch_stream

KINDS = [("svd", "coordinate"), ("gamma", "coordinate"), *(("random", basis) for basis in BASES)]


def draws(*names):
    return torch_stream(0, "test of pruning", *names)


def made_keys(heads=3, tokens=40, width=8, layers=2):
    stream = draws("keys")
    scale_E = torch.logspace(0, -2, width)
    return [torch.randn(heads, tokens, width, generator=stream) * scale_E for _ in range(layers)]


def made_gains(width=8, layers=2):
    return [torch.randn(width, generator=draws("gains", layer)) for layer in range(layers)]


def plan(strategy, percent, *, basis="coordinate", names=("draw", 0), keys=None):
    keys = made_keys() if keys is None else keys
    return plan_pruning(strategy, keys, made_gains(), percent, draws(*names), basis=basis)


@pytest.mark.parametrize(
    ("width", "percent", "expected"),
    [
        (64, 0, 0),
        (64, 10, 6),  # 6.4
        (64, 90, 58),  # 57.6
        (10, 25, 3),  # 2.5, where round() would give 2
        (10, 35, 4),
        (4, 90, 3),  # 3.6 would be all four
        (1, 90, 0),
    ],
)
def test_number_of_pruned_directions(width, percent, expected):
    assert pruned_directions(width, percent) == expected


@pytest.mark.parametrize(("strategy", "basis"), KINDS)
@pytest.mark.parametrize("percent", [0, 10, 50, 90])
def test_projectors_are_symmetric_idempotent_and_of_the_right_rank(strategy, basis, percent):
    for projector_KxExE in plan(strategy, percent, basis=basis):
        assert projector_KxExE.shape == (3, 8, 8)
        assert torch.equal(projector_KxExE, projector_KxExE.mT)
        torch.testing.assert_close(
            projector_KxExE @ projector_KxExE, projector_KxExE, rtol=0, atol=1e-13
        )
        ranks = torch.linalg.matrix_rank(projector_KxExE)
        assert ranks.tolist() == [8 - pruned_directions(8, percent)] * 3


def test_projectors_are_symmetric_to_the_bit_whatever_a_plain_product_is():
    """On some processors a product with its own transpose is not, by its last bits."""
    directions = singular_directions(made_keys(width=64, tokens=100, layers=1)[0])
    kept = directions[..., :45]
    projector = projectors(directions, 30)
    assert torch.equal(projector, projector.mT)
    torch.testing.assert_close(projector, kept @ kept.mT, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("strategy", "basis"), KINDS)
def test_nothing_pruned_is_exactly_the_identity(strategy, basis):
    for projector_KxExE in plan(strategy, 0, basis=basis):
        assert torch.equal(projector_KxExE, torch.eye(8, dtype=torch.float64).expand(3, 8, 8))


@pytest.mark.parametrize(("strategy", "basis"), KINDS)
def test_what_is_gone_stays_gone_at_a_larger_percentage(strategy, basis):
    for low, high in itertools.pairwise([0, 10, 30, 60, 90]):
        for less, more in zip(
            plan(strategy, low, basis=basis), plan(strategy, high, basis=basis), strict=True
        ):
            torch.testing.assert_close(more @ less, more, rtol=0, atol=1e-13)


def test_svd_loses_exactly_the_bottom_singular_values():
    """Eckart and Young, with numpy's decomposition; no other projector of that rank loses less."""
    (keys_KxNxE,) = made_keys(layers=1)
    singular_KxE = np.linalg.svd(keys_KxNxE.double().numpy(), compute_uv=False)
    directions = singular_directions(keys_KxNxE)
    for pruned in range(8):
        projector = projectors(directions, 100 * pruned / 8) if pruned else torch.eye(8).double()
        lost_K = (keys_KxNxE.double() @ (projector - torch.eye(8))).square().sum((1, 2))
        least_K = (singular_KxE[:, 8 - pruned :] ** 2).sum(1)
        np.testing.assert_allclose(lost_K.numpy(), least_K, rtol=1e-10, atol=1e-18)
        for basis in BASES if pruned else ():
            other = plan_pruning(
                "random", [keys_KxNxE], None, 100 * pruned / 8, draws("other"), basis=basis
            )[0]
            lost = (keys_KxNxE.double() @ (other - torch.eye(8))).square().sum((1, 2)).numpy()
            assert (lost > least_K).all()


def test_svd_of_keys_in_a_known_subspace_finds_it():
    known_Ex3 = random_rotations(1, 8, draws("subspace"))[0, :, :3]
    keys = torch.randn(1, 50, 3, generator=draws("inside")).double() @ known_Ex3.T
    (found,) = plan_pruning("svd", [keys], None, 62.5, draws())
    torch.testing.assert_close(found[0], known_Ex3 @ known_Ex3.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tokens", [1, 5])
def test_svd_has_all_directions_of_fewer_tokens_than_the_width(tokens):
    keys = torch.randn(2, tokens, 8, generator=draws("few"))
    directions = singular_directions(keys)
    torch.testing.assert_close(
        directions.mT @ directions, torch.eye(8).double().expand(2, 8, 8), rtol=0, atol=1e-13
    )
    kept = projectors(directions, 100 * (8 - tokens) / 8 if tokens > 1 else 87.5)
    torch.testing.assert_close(keys.double() @ kept, keys.double(), rtol=0, atol=1e-12)


def test_svd_of_zero_keys_is_still_a_basis():
    directions = singular_directions(torch.zeros(2, 5, 4))
    torch.testing.assert_close(
        directions.mT @ directions, torch.eye(4).double().expand(2, 4, 4), rtol=0, atol=1e-13
    )


def test_gamma_zeroes_the_smallest_gains_of_either_sign_in_every_head():
    gains = [torch.tensor([3.0, -0.1, 0.5, -4.0]), torch.tensor([-0.2, 1.0, 0.3, 2.0])]
    keys = [torch.ones(2, 3, 4)] * 2
    first, second = plan_pruning("gamma", keys, gains, 50, draws())
    assert torch.equal(first, torch.diag(torch.tensor([1.0, 0, 0, 1])).double().expand(2, 4, 4))
    assert torch.equal(second, torch.diag(torch.tensor([0.0, 1, 0, 1])).double().expand(2, 4, 4))


def test_equal_gains_go_in_a_drawn_order():
    keys = [torch.ones(1, 3, 6)]
    gains = [torch.tensor([1.0, 1, 1, 1, 1, 2])]
    gone = set()
    for draw in range(60):
        (projector,) = plan_pruning("gamma", keys, gains, 100 / 6, draws("tie", draw))
        gone.add(int(projector[0].diagonal().argmin()))
    assert gone == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("basis", BASES)
def test_draws_can_be_repeated_and_differ(basis):
    first = plan("random", 50, basis=basis)
    again = plan("random", 50, basis=basis)
    other = plan("random", 50, basis=basis, names=("draw", 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    heads = torch.cat(first)  # heads and layers are drawn apart
    assert len({head.numpy().tobytes() for head in heads}) > 3


def test_coordinates_are_masks_and_rotations_are_not():
    for projector in plan("random", 50):
        assert set(projector.unique().tolist()) == {0.0, 1.0}
        assert torch.equal(projector, torch.diag_embed(projector.diagonal(dim1=1, dim2=2)))
    for projector in plan("random", 50, basis="rotated"):
        assert (projector.abs() > 1e-6).all()


def test_every_coordinate_is_pruned_as_often_as_any_other():
    kept = projectors(random_coordinates(6000, 5, draws("fair")), 40)
    often_E = kept.diagonal(dim1=1, dim2=2).mean(0)
    standard_error = (0.6 * 0.4 / 6000) ** 0.5
    assert ((often_E - 0.6).abs() < 4.5 * standard_error).all()


def test_rotations_are_uniform():
    """Under the Haar measure on E = 3: E[Q] = 0, E[Q_ij^2] = 1/3, E[Q_ij^4] = 1/5.

    Without the signs of R's diagonal the mean of Q's diagonal would be far from zero.
    """
    basis = random_rotations(20_000, 3, draws("haar"))
    for power, mean, variance in [
        (1, 0, 1 / 3),
        (2, 1 / 3, 1 / 5 - 1 / 9),
        (4, 1 / 5, 1 / 9 - 1 / 25),
    ]:
        error = (variance / 20_000) ** 0.5
        assert ((basis**power).mean(0) - mean).abs().max() < 4.5 * error


def test_coordinate_carries_its_share_of_the_singular_values():
    keys, gains = made_keys(), made_gains()
    pairs = gain_pairs(keys, gains)
    assert len(pairs.layer) == 2 * 3 * 8
    rows = zip(*vars(pairs).values(), strict=True)
    for layer, head, coordinate, gain, key_rms, unit_rms in rows:
        _, s, vh = np.linalg.svd(keys[layer][head].double().numpy(), full_matrices=False)
        energy = float((s**2 * vh[:, coordinate] ** 2).sum())
        assert key_rms == pytest.approx((energy / 40) ** 0.5, rel=1e-12)
        assert gain == pytest.approx(abs(float(gains[layer][coordinate])))
        assert unit_rms * gain == pytest.approx(key_rms)


def test_a_zero_gain_has_no_unit_rms():
    pairs = gain_pairs([torch.zeros(1, 3, 2) + torch.tensor([0.0, 2.0])], [torch.tensor([0, 4.0])])
    assert np.isnan(pairs.unit_rms[0])
    assert pairs.unit_rms[1] == 0.5


@pytest.mark.parametrize("percent", [-1, 91, float("nan")])
def test_a_percentage_out_of_range_is_refused(percent):
    with pytest.raises(BadParameter, match="percent pruned"):
        plan("svd", percent)


def test_what_cannot_be_ranked_is_refused():
    keys = made_keys()
    equal = [torch.full((8,), 0.5), torch.full((8,), -1.0)]
    for strategy, given, gains, basis, complaint in [
        ("magic", keys, None, "coordinate", "'magic' is unknown; known are svd, gamma, random"),
        ("random", keys, None, "skew", "'skew' is unknown"),
        ("gamma", keys, None, "coordinate", "needs gains"),
        ("gamma", keys, equal, "coordinate", "all gains within a layer are equal"),
        ("gamma", keys, made_gains(width=4), "coordinate", "layer 0's gains have the shape"),
        ("gamma", keys, made_gains(layers=1), "coordinate", "gains of 1 layers for keys of 2"),
        ("svd", [], None, "coordinate", "no layer"),
        ("svd", [torch.ones(5, 4)], None, "coordinate", "shape"),
        ("svd", [torch.full((1, 5, 4), torch.inf)], None, "coordinate", "not finite"),
    ]:
        with pytest.raises(BadParameter, match=complaint):
            rank_directions(strategy, given, gains, draws(), basis=basis)
    assert set(STRATEGIES) == {kind for kind, _ in KINDS}
