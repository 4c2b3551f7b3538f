import numpy as np
import pytest
import torch

from collapse.errors import BadParameter
from collapse.numerics.rank import (
    condition_number,
    participation_ratio,
    participation_ratio_sq,
    product_floor,
    rank_90,
    rounding_floor,
    score_singular_values,
    singular_values,
    summarise,
    triangle,
)
from collapse.numerics.streams import torch_stream

SINGLE = torch.float32


def gaussian(*shape, stream="rank", dtype=torch.float32):
    return torch.randn(*shape, generator=torch_stream(0, stream), dtype=dtype)


def with_values(values, rows, stream="made"):
    """A float64 matrix, (rows, n), with these singular values."""
    count = len(values)
    left = torch.linalg.qr(gaussian(rows, count, stream=stream, dtype=torch.float64)).Q
    right = torch.linalg.qr(gaussian(count, count, stream=stream + "2", dtype=torch.float64)).Q
    return left * torch.as_tensor(values, dtype=torch.float64) @ right.T


@pytest.mark.parametrize("used", [1, 2, 7, 10, 64])
def test_equal_directions_count_as_many(used):
    values = np.r_[np.full(used, 3.0), np.zeros(64 - used)]
    assert participation_ratio(values) == pytest.approx(used)
    assert participation_ratio_sq(values) == pytest.approx(used)
    assert rank_90(values) == -(-9 * used // 10)
    assert condition_number(values, 1e-6) == (1.0 if used == 64 else np.inf)


def test_geometric_values_have_the_closed_form():
    q, n = 0.8, 30
    values = q ** np.arange(n)
    total, squares, fourths = ((1 - q ** (k * n)) / (1 - q**k) for k in (1, 2, 4))
    assert participation_ratio(values) == pytest.approx(total**2 / squares)
    assert participation_ratio_sq(values) == pytest.approx(squares**2 / fourths)
    # 1 - q^(2r) >= 0.9 (1 - q^(2n)), solved for r.
    assert rank_90(values) == np.ceil(np.log(1 - 0.9 * (1 - q ** (2 * n))) / (2 * np.log(q)))
    assert condition_number(values, 1e-6) == pytest.approx(q ** (1 - n))


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1 / 3, 1e200])
def test_summaries_do_not_depend_on_scale_not_even_at_a_tie(scale):
    # Nine of ten equal energies are exactly 90 %.
    values = np.array([[1.0] * 10, [3.0, 1.0] + [0.0] * 8, [5.0, 4, 3, 2, 1, 1, 1, 1, 1, 1]])
    plain, scaled = (summarise(v, 1e-6) for v in (values, values * scale))
    assert plain.rank_90.tolist()[:2] == [9, 1]
    np.testing.assert_array_equal(scaled.rank_90, plain.rank_90)
    np.testing.assert_allclose(scaled.participation_ratio, plain.participation_ratio)
    np.testing.assert_allclose(scaled.participation_ratio_sq, plain.participation_ratio_sq)
    np.testing.assert_allclose(scaled.condition_number, plain.condition_number)


@pytest.mark.parametrize("percent", [[46, 44, 10], [57, 33, 10], [68, 22, 10], [70, 20, 10]])
def test_exactly_ninety_percent_is_enough_whatever_the_rounding(percent):
    assert rank_90(np.sqrt(percent)) == 1 + int((np.cumsum(percent) < 90).sum())


def test_a_zero_matrix_uses_no_direction():
    ranks = summarise(np.zeros((2, 5)), 1e-6)
    assert np.isnan(ranks.participation_ratio).all()
    assert np.isnan(ranks.participation_ratio_sq).all()
    assert ranks.rank_90.tolist() == [0, 0]
    assert np.isposinf(ranks.condition_number).all()


def test_tensors_and_arrays_of_any_batch_shape_agree():
    values = singular_values(gaussian(2, 3, 40, 8))
    from_tensor, from_array = summarise(values, 1e-6), summarise(values.numpy(), 1e-6)
    for name in ("participation_ratio", "participation_ratio_sq", "rank_90", "condition_number"):
        assert getattr(from_tensor, name).shape == (2, 3)
        np.testing.assert_array_equal(getattr(from_tensor, name), getattr(from_array, name))
    alone = summarise(values[1, 2], 1e-6)
    assert alone.rank_90 == from_array.rank_90[1, 2]
    assert alone.condition_number == from_array.condition_number[1, 2]


def test_gaussian_matrices_have_the_ranks_that_the_design_states():
    ranks = summarise(singular_values(gaussian(30, 1000, 64)), rounding_floor(1000, 64, SINGLE))
    assert ranks.participation_ratio.mean() == pytest.approx(62.9, abs=0.1)
    assert ranks.participation_ratio.std() < 0.1
    assert set(ranks.rank_90.tolist()) <= {54, 55, 56}
    assert np.median(ranks.rank_90) == 55
    assert ranks.condition_number.mean() == pytest.approx(1.65, abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 100, 16), (2, 2, 16, 100), (5, 12, 12), (1, 7), (7, 1)])
def test_singular_values_are_those_of_numpy(shape, dtype):
    matrices = gaussian(*shape, dtype=dtype)
    expected = np.linalg.svd(matrices.double().numpy(), compute_uv=False)
    found = singular_values(matrices)
    assert found.dtype == torch.float64
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(singular_values(matrices.numpy()), found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rank_deficient_matrices_agree_with_numpy_and_are_known_as_such(dtype):
    matrices = gaussian(4, 200, 10, dtype=dtype) @ gaussian(4, 10, 32, stream="b", dtype=dtype)
    found = singular_values(matrices).numpy()
    expected = np.linalg.svd(matrices.double().numpy(), compute_uv=False)
    np.testing.assert_allclose(found, expected, atol=1e-13 * expected[0, 0])
    floor = rounding_floor(200, 32, dtype)
    assert ((found > floor * found[:, :1]).sum(axis=1) == 10).all()
    assert np.linalg.matrix_rank(matrices.numpy()).tolist() == [10] * 4
    ranks = summarise(found, floor)
    assert np.isposinf(ranks.condition_number).all()
    assert (ranks.participation_ratio < 10.01).all()
    assert (ranks.rank_90 <= 10).all()


def test_small_singular_values_of_float32_matrices_are_those_of_their_entries():
    values = np.logspace(0, -6, 32)
    made = with_values(values, 300)
    rounded = made.float()
    # The decomposition adds nothing to what rounding the entries did.
    np.testing.assert_allclose(
        singular_values(rounded),
        np.linalg.svd(rounded.double().numpy(), compute_uv=False),
        rtol=1e-8,
    )
    np.testing.assert_allclose(singular_values(rounded), values, rtol=0.02)


@pytest.mark.parametrize(("condition", "resolved"), [(1e3, True), (1e5, True), (1e8, False)])
def test_condition_is_told_as_far_as_float32_can_know_it(condition, resolved):
    matrix = with_values(np.geomspace(1, 1 / condition, 64), 1000).float()
    found = condition_number(singular_values(matrix), rounding_floor(1000, 64, SINGLE))
    assert found == (pytest.approx(condition, rel=0.01) if resolved else np.inf)
    if resolved:
        assert found == pytest.approx(np.linalg.cond(matrix.double().numpy()), rel=1e-8)


@pytest.mark.parametrize("width", [64, 512, 2048])
def test_products_of_deficient_weights_in_float32_fall_below_the_floor(width):
    weights = gaussian(width, 20) @ gaussian(20, 64, stream="b")
    values = singular_values(gaussian(1000, width, stream="c") @ weights)
    noise = float(values[20] / values[0])
    floor = rounding_floor(1000, 64, SINGLE)
    assert 0 < noise < floor / 5
    assert float(values[19] / values[0]) > 100 * floor


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (6, 1)])
@pytest.mark.parametrize(("tokens", "width"), [(60, 8), (5, 8)])
def test_score_singular_values_are_those_of_the_whole_matrix(heads, kv_heads, tokens, width):
    queries = gaussian(heads, tokens, width, stream="q")
    keys = gaussian(kv_heads, tokens, width, stream="k")
    found = score_singular_values(queries, keys)
    assert found.shape == (heads, min(tokens, width))
    for head in range(heads):
        key = keys[head // (heads // kv_heads)].double()
        scores_TxT = queries[head].double() @ key.T
        expected = np.linalg.svd(scores_TxT.numpy(), compute_uv=False)
        np.testing.assert_allclose(found[head], expected[: min(tokens, width)], rtol=1e-9)
        np.testing.assert_allclose(expected[min(tokens, width) :], 0, atol=1e-12 * expected[0])


def test_triangles_stand_for_their_matrices():
    queries, keys = gaussian(4, 60, 8, stream="q"), gaussian(2, 70, 8, stream="k")
    np.testing.assert_allclose(
        score_singular_values(triangle(queries), triangle(keys)),
        score_singular_values(queries, keys),
        rtol=1e-12,
    )
    np.testing.assert_allclose(singular_values(triangle(keys)), singular_values(keys), rtol=1e-12)


def scores_of(query_values, key_values):
    """Condition of the scores of float32 factors, told by the product's floor."""
    queries = with_values(query_values, 500, "pq").float()[None]
    keys = with_values(key_values, 500, "pk").float()[None]
    factors = [singular_values(one) for one in (queries, keys)]
    values = score_singular_values(queries, keys)
    floor = rounding_floor(500, len(query_values), SINGLE)
    told = condition_number(values, product_floor(*factors, values, floor, floor))
    # Rounded to float32, the factors are what they are: their product in float64 is the truth.
    dense = np.linalg.svd((queries[0].double() @ keys[0].double().T).numpy(), compute_uv=False)
    return told[0], dense[0] / dense[len(query_values) - 1]


def test_scores_of_factors_of_full_rank_are_resolved_far_below_float32():
    steep = np.geomspace(1, 1e-4, 16)
    told, true = scores_of(steep, steep)
    assert true > 1e5  # the floor of either factor alone would call this rounding
    assert told == pytest.approx(true, rel=1e-6)


@pytest.mark.parametrize("side", ["query", "key"])
def test_scores_of_a_deficient_factor_are_deficient(side):
    full, deficient = np.ones(16), np.r_[np.ones(12), np.zeros(4)]
    told, true = scores_of(*((deficient, full) if side == "query" else (full, deficient)))
    assert true < 1e12  # rounding looks like a finite condition
    assert told == np.inf


def test_a_product_that_vanishes_has_no_finite_condition():
    ones, zeros = np.ones((1, 3)), np.zeros((1, 3))
    floor = product_floor(zeros, ones, zeros, 1e-6, 1e-6)
    assert condition_number(zeros, floor).tolist() == [np.inf]


@pytest.mark.parametrize(
    "values", [np.zeros((3, 0)), np.float64(1.0), [1.0, -0.5], [1.0, np.nan], [np.inf, 1.0]]
)
def test_what_cannot_be_singular_values_is_refused(values):
    for measure in (participation_ratio, participation_ratio_sq, rank_90):
        with pytest.raises(BadParameter, match="singular value"):
            measure(values)
    with pytest.raises(BadParameter, match="singular value"):
        condition_number(values, 1e-6)


@pytest.mark.parametrize("matrix", [torch.ones(3), torch.ones(2, 0), torch.ones(0, 2)])
def test_what_is_no_matrix_is_refused(matrix):
    with pytest.raises(BadParameter, match="shape"):
        singular_values(matrix)


def test_entries_that_are_not_finite_are_refused():
    for bad in (torch.nan, torch.inf):
        with pytest.raises(BadParameter, match="not finite"):
            singular_values(torch.tensor([[1.0, bad], [0.0, 1.0]]))


def test_heads_that_do_not_fit_are_refused():
    with pytest.raises(BadParameter, match="widths"):
        score_singular_values(torch.ones(2, 5, 4), torch.ones(2, 5, 3))
    with pytest.raises(BadParameter, match="multiple"):
        score_singular_values(torch.ones(3, 5, 4), torch.ones(2, 5, 4))
    with pytest.raises(BadParameter, match="heads"):
        score_singular_values(torch.ones(5, 4), torch.ones(5, 4))
