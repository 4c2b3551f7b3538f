import numpy as np
import pandas as pd
import pytest
import torch

from collapse.language.attention_layers import attention_layers
from collapse.language.presets import load_preset
from collapse.numerics.rank import rounding_floor
from collapse.numerics.streams import torch_stream
from collapse.probes.heads import SITES, head_matrices, head_ranks, head_spectra, rank_table
from collapse.probes.heads.spectra import OF_KEYS, WHICH
from tests.probes.made_up_heads import HEADS, LAYERS, MODELS, made_up, tokens

COLUMNS = [
    "layer",
    "head",
    "which",
    "site",
    "participation_ratio",
    "participation_ratio_sq",
    "rank_90",
    "condition_number",
]
NUMBERS = COLUMNS[4:]


def whole_matrices(layer, heads):
    """Every matrix that ``which`` names, in full and in float64, head by head."""
    keys, queries = heads.keys_KxNxE.double(), heads.queries_HxNxE.double()
    W_k, W_q = layer.key_weights.double(), layer.query_weights.double()
    served = layer.heads // layer.kv_heads
    centred = keys - keys.mean(1, keepdim=True)
    return {
        "K": list(keys),
        "Q": list(queries),
        "K_centred": list(centred),
        "W_k": list(W_k),
        "W_q": list(W_q),
        "scores": [queries[h] @ keys[h // served].T for h in range(layer.heads)],
        "scores_centred": [queries[h] @ centred[h // served].T for h in range(layer.heads)],
        "W_qk": [W_q[h].T @ W_k[h // served] for h in range(layer.heads)],
    }


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("kind", MODELS)
def test_spectra_are_those_that_numpy_finds_of_the_whole_matrices(kind, site):
    model, ids = made_up(kind), tokens()
    layers, matrices = attention_layers(model), head_matrices(model, ids, site)
    spectra = head_spectra(model, ids, site)
    assert [(one.layer, one.which) for one in spectra] == [
        (layer, which) for layer in range(LAYERS) for which in WHICH
    ]
    for one in spectra:
        whole = whole_matrices(layers[one.layer], matrices[one.layer])[one.which]
        assert one.site == site
        assert len(one.singular_values_Gxn) == len(one.relative_floor_G) == len(whole)
        for found, matrix in zip(one.singular_values_Gxn, whole, strict=True):
            expected = np.linalg.svd(matrix.numpy(), compute_uv=False)
            tolerance = 1e-7 * expected[0] if "centred" in one.which else 1e-12 * expected[0]
            np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-6, atol=tolerance)


@pytest.mark.parametrize("kind", MODELS)
def test_the_table_has_the_definitions_of_every_head(kind):
    model, ids = made_up(kind), tokens()
    table = head_ranks(model, ids, "post_rope")
    assert list(table.columns) == COLUMNS
    assert set(table["site"]) == {"post_rope"}
    pd.testing.assert_frame_equal(table, rank_table(head_spectra(model, ids, "post_rope")))
    kv_heads = attention_layers(model)[0].kv_heads
    for (_, which), rows in table.groupby(["layer", "which"]):
        assert rows["head"].tolist() == list(range(kv_heads if which in OF_KEYS else HEADS))
    layers, matrices = attention_layers(model), head_matrices(model, ids, "post_rope")
    for row in table.itertuples():
        whole = whole_matrices(layers[row.layer], matrices[row.layer])[row.which][row.head]
        values = np.linalg.svd(whole.numpy(), compute_uv=False)[: layers[0].width]
        assert row.participation_ratio == pytest.approx(values.sum() ** 2 / (values**2).sum())
        assert row.participation_ratio_sq == pytest.approx(
            (values**2).sum() ** 2 / (values**4).sum()
        )
        shares = (values**2).cumsum() / (values**2).sum()
        assert row.rank_90 == 1 + int((shares < 0.9).sum())
        assert row.condition_number == pytest.approx(values[0] / values[-1], rel=1e-4)


@pytest.mark.parametrize("preset", ["pocket", "llama-102m", "qknorm-88m"])
def test_random_weights_have_nearly_full_rank(preset):
    shape = {"num_hidden_layers": 2, "vocab_size": 1024, "hidden_size": 128}
    model = load_preset(preset, **shape, num_attention_heads=4, intermediate_size=256)
    ids = torch.randint(1024, (4, 250), generator=torch_stream(0, "random"))
    table = head_ranks(model, ids, "projection")
    # Heads are 32 wide; a Gaussian 128 x 32 matrix has a participation ratio of 30, and products
    # of two or three of them are less even.
    full = table.set_index("which")["participation_ratio"] / 32
    assert full[["W_k", "W_q"]].min() > 0.92
    assert full[["K", "Q", "K_centred", "W_qk"]].min() > 0.85
    assert full[["scores", "scores_centred"]].min() > 0.75
    assert table["condition_number"].max() < 12


def gap(table, other, which):
    """Largest relative difference of any number of one kind of matrix."""
    rows, others = table[table["which"] == which], other[other["which"] == which]
    return float((others[NUMBERS] / rows[NUMBERS].to_numpy() - 1).abs().max(axis=None))


def same_model(model, ids, logits):
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, logits, atol=2e-4, rtol=1e-3)


def logits_of(model, ids):
    with torch.no_grad():
        return model(input_ids=ids).logits


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("kind", ["decoder", "llama", "qwen2"])
def test_scaling_a_pair_of_keys_moves_their_rank_and_nothing_gauge_free(kind, site):
    model, ids = made_up(kind), tokens()
    logits, before = logits_of(model, ids), head_ranks(model, ids, site)
    for layer in attention_layers(model):
        half = layer.width // 2
        key_head = torch.ones(layer.width)
        key_head[[1, 1 + half]] = 20.0  # rotates together
        for module, heads, factors in (
            (layer.module.k_proj, layer.kv_heads, key_head),
            (layer.module.q_proj, layer.heads, 1 / key_head),
        ):
            with torch.no_grad():
                module.weight *= factors.repeat(heads)[:, None]
                if module.bias is not None:
                    module.bias *= factors.repeat(heads)
    after = head_ranks(model, ids, site)
    same_model(model, ids, logits)
    for which in ("K", "Q", "K_centred", "W_k", "W_q"):
        assert gap(before, after, which) > 0.3
    for which in ("scores", "scores_centred", "W_qk"):
        assert gap(before, after, which) < 1e-3


@pytest.mark.parametrize("kind", ["decoder", "decoder_learned", "llama", "qwen2"])
def test_scaling_whole_heads_moves_singular_values_of_keys_but_no_rank(kind):
    model, ids, c = made_up(kind), tokens(), 3.0
    logits, before = logits_of(model, ids), head_spectra(model, ids, "post_rope")
    for layer in attention_layers(model):
        with torch.no_grad():
            for module, factor in ((layer.module.k_proj, c), (layer.module.q_proj, 1 / c)):
                for parameter in module.parameters():
                    parameter *= factor
    same_model(model, ids, logits)
    factors = {"K": c, "K_centred": c, "W_k": c, "Q": 1 / c, "W_q": 1 / c}
    after = head_spectra(model, ids, "post_rope")
    for one, other in zip(before, after, strict=True):
        expected = one.singular_values_Gxn * factors.get(one.which, 1.0)
        np.testing.assert_allclose(other.singular_values_Gxn, expected, rtol=1e-3)
    for which in WHICH:
        assert gap(rank_table(before), rank_table(after), which) < 1e-3


@pytest.mark.parametrize("site", ["post_norm", "post_rope"])
@pytest.mark.parametrize("kind", ["decoder_qk_norm", "qwen3"])
def test_with_qk_norm_the_gains_are_the_gauge(kind, site):
    model, ids = made_up(kind), tokens()
    logits, before = logits_of(model, ids), head_ranks(model, ids, site)
    projection = head_ranks(model, ids, "projection")
    for layer in attention_layers(model):
        factors = torch.ones(layer.width)
        factors[[1, 1 + layer.width // 2]] = 20.0
        with torch.no_grad():
            layer.key_norm.weight *= factors
            layer.query_norm.weight /= factors
    same_model(model, ids, logits)
    after = head_ranks(model, ids, site)
    for which in ("K", "Q", "K_centred"):
        assert gap(before, after, which) > 0.3
    for which in ("scores", "scores_centred", "W_qk", "W_k", "W_q"):
        assert gap(before, after, which) < 1e-3
    # Before the norm nothing has moved in the first layer, as its input is the same.
    first = head_ranks(model, ids, "projection")
    pd.testing.assert_frame_equal(first[first["layer"] == 0], projection[projection["layer"] == 0])


def test_without_rotation_any_change_of_basis_and_any_bias_of_keys_is_a_gauge():
    model, ids = made_up("gpt2"), tokens()
    logits, before = logits_of(model, ids), head_ranks(model, ids)
    generator = torch_stream(0, "basis")
    for layer in attention_layers(model):
        with torch.no_grad():
            weight, bias = layer.module.c_attn.weight, layer.module.c_attn.bias
            for head in range(HEADS):
                basis = torch.randn(8, 8, generator=generator) + 2 * torch.eye(8)
                query = slice(8 * head, 8 * head + 8)
                key = slice(32 + query.start, 32 + query.stop)
                for part, change in ((query, basis.inverse().T), (key, basis)):
                    weight[:, part] = weight[:, part] @ change
                    bias[part] = bias[part] @ change
    turned = head_ranks(model, ids)
    same_model(model, ids, logits)
    for which in ("K", "Q", "K_centred", "W_k", "W_q"):
        assert gap(before, turned, which) > 0.3
    for which in ("scores", "scores_centred", "W_qk"):
        assert gap(before, turned, which) < 1e-3
    for layer in attention_layers(model):
        with torch.no_grad():
            layer.module.c_attn.bias[32:64] += 5.0
    shifted = head_ranks(model, ids)
    same_model(model, ids, logits)
    for which in ("K", "scores"):
        assert gap(turned, shifted, which) > 0.1
    for which in ("Q", "K_centred", "scores_centred", "W_k", "W_q", "W_qk"):
        assert gap(turned, shifted, which) < 1e-3


@pytest.mark.parametrize("kind", ["decoder", "gpt2"])
def test_a_head_that_uses_few_directions_is_found_and_named(kind):
    model, ids, kept, damaged = made_up(kind), tokens(), 3, 1
    layer = attention_layers(model)[1]
    basis = torch.linalg.qr(torch.randn(8, 8, generator=torch_stream(0, "basis"))).Q[:, :kept]
    with torch.no_grad():
        if kind == "gpt2":
            columns = slice(32 + 8 * damaged, 40 + 8 * damaged)
            weight, bias = layer.module.c_attn.weight, layer.module.c_attn.bias
            weight[:, columns] = weight[:, columns] @ basis @ basis.T
            bias[columns] = bias[columns] @ basis @ basis.T
        else:
            weight = layer.module.k_proj.weight[8 * damaged : 8 * damaged + 8]
            weight.copy_(basis @ basis.T @ weight)
    served = layer.heads // layer.kv_heads
    table = head_ranks(model, ids, "projection")
    for row in table.itertuples():
        key_head = row.head if row.which in OF_KEYS else row.head // served
        of_keys = row.which not in ("Q", "W_q")
        deficient = row.layer == 1 and of_keys and key_head == damaged
        assert np.isinf(row.condition_number) == deficient
        if deficient:
            assert row.participation_ratio < kept + 0.01
            assert row.rank_90 <= kept
    matrices = head_matrices(model, ids, "projection")[1]
    assert np.linalg.matrix_rank(matrices.keys_KxNxE[damaged].numpy()) == kept


def test_centred_keys_are_known_no_better_than_the_keys_were():
    model, ids = made_up("gpt2"), tokens()
    layer = attention_layers(model)[0]
    with torch.no_grad():
        layer.module.c_attn.bias[32:40] += 1e6  # float32 keeps nothing below 0.06 of the rest
    table = head_ranks(model, ids)
    row = table[(table["layer"] == 0) & (table["head"] == 0)].set_index("which")
    assert row["condition_number"]["K_centred"] == np.inf
    assert row["condition_number"]["scores_centred"] == np.inf
    other = table[(table["layer"] == 0) & (table["head"] == 1)].set_index("which")
    assert other["condition_number"]["K_centred"] < 1e4


def test_fewer_tokens_than_a_head_is_wide_leave_as_many_directions():
    model, ids = made_up("llama"), tokens(1, 5)
    for one in head_spectra(model, ids):
        of_weights = one.which.startswith("W")
        assert one.singular_values_Gxn.shape[1] == (8 if of_weights else 5)
        if one.which == "K_centred":
            assert one.relative_floor_G[0] >= rounding_floor(5, 8, torch.float32)
    table = head_ranks(model, ids).set_index("which")
    assert np.isinf(table["condition_number"]["K_centred"]).all()
    assert np.isinf(table["condition_number"]["scores_centred"]).all()
    assert np.isfinite(table["condition_number"][["K", "Q", "W_k", "W_q"]]).all()


def test_a_single_token_has_no_centred_rank():
    table = head_ranks(made_up("gpt2"), tokens(1, 1)).set_index("which")
    assert (table["participation_ratio"]["K"] == 1).all()
    assert table["participation_ratio"]["K_centred"].isna().all()
    assert (table["rank_90"]["K_centred"] == 0).all()
