import copy
import sys

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
from transformers.dynamic_module_utils import get_class_from_dynamic_module

from collapse.errors import BadModel, BadParameter
from collapse.language.attention_layers import attention_layers
from collapse.probes.heads import SITES, head_matrices, head_ranks, qk_gains
from tests.probes.made_up_heads import (
    HEADS,
    LAYERS,
    MODELS,
    QK_NORM,
    ROPE,
    SHAPE,
    gpt2,
    made_up,
    tokens,
)


def by_head(x_BxTxHE, heads):
    """(H, B T, E) from what a projection gives, written the long way."""
    width = x_BxTxHE.shape[-1] // heads
    rows = x_BxTxHE.reshape(-1, x_BxTxHE.shape[-1])
    return torch.stack([rows[:, h * width : (h + 1) * width] for h in range(heads)])


def projected(model, ids):
    """Queries and keys of every layer from the hidden states that the model itself gives out."""
    with torch.no_grad():
        hidden = model(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
        for layer, states in enumerate(hidden[:LAYERS]):
            if model.config.model_type == "gpt2":
                block = model.transformer.h[layer]
                weight, bias = block.attn.c_attn.weight, block.attn.c_attn.bias
                wide = block.ln_1(states) @ weight + bias
                yield by_head(wide[..., :32], HEADS), by_head(wide[..., 32:64], HEADS)
            else:
                block = model.model.layers[layer]
                states = block.input_layernorm(states)
                attention = block.self_attn
                yield tuple(
                    by_head(torch.nn.functional.linear(states, p.weight, p.bias), heads)
                    for p, heads in (
                        (attention.q_proj, model.config.num_attention_heads),
                        (attention.k_proj, model.config.num_key_value_heads),
                    )
                )


def normed(x_HxNxE, norm):
    eps = getattr(norm, "eps", None) or norm.variance_epsilon
    return x_HxNxE / (x_HxNxE.square().mean(-1, keepdim=True) + eps).sqrt() * norm.weight


@pytest.mark.parametrize("kind", MODELS)
def test_projection_is_the_weights_times_the_normalised_stream(kind):
    model, ids = made_up(kind), tokens()
    found = head_matrices(model, ids, "projection")
    assert [one.layer for one in found] == list(range(LAYERS))
    for one, (queries, keys) in zip(found, projected(model, ids), strict=True):
        assert one.keys_KxNxE.dtype == one.queries_HxNxE.dtype == torch.float32
        torch.testing.assert_close(one.queries_HxNxE, queries)
        torch.testing.assert_close(one.keys_KxNxE, keys)


@pytest.mark.parametrize("kind", QK_NORM)
def test_post_norm_is_each_head_normalised_with_the_gains(kind):
    model, ids = made_up(kind), tokens()
    layers = attention_layers(model)
    found = head_matrices(model, ids, "post_norm")
    for layer, one, (queries, keys) in zip(layers, found, projected(model, ids), strict=True):
        torch.testing.assert_close(one.queries_HxNxE, normed(queries, layer.module.q_norm))
        torch.testing.assert_close(one.keys_KxNxE, normed(keys, layer.module.k_norm))


@pytest.mark.parametrize("kind", MODELS)
def test_post_rope_keys_are_to_the_bit_those_that_the_cache_keeps(kind):
    model, ids = made_up(kind), tokens()
    with torch.no_grad():
        cache = model(input_ids=ids, use_cache=True).past_key_values
    for layer, one in enumerate(head_matrices(model, ids, "post_rope")):
        keys_BxKxTxE = cache.layers[layer].keys
        assert torch.equal(one.keys_KxNxE, keys_BxKxTxE.transpose(0, 1).flatten(1, 2))


@pytest.mark.parametrize("kind", MODELS)
def test_post_rope_queries_and_keys_give_the_attention_weights(kind):
    model, ids = made_up(kind), tokens()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        weights = model(input_ids=ids, output_attentions=True, use_cache=False).attentions
    rows, length = ids.shape
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
    for layer, one in enumerate(head_matrices(model, ids, "post_rope")):
        queries, keys = (
            x.unflatten(1, (rows, length)).transpose(0, 1)
            for x in (one.queries_HxNxE, one.keys_KxNxE)
        )
        keys = keys.repeat_interleave(queries.shape[1] // keys.shape[1], dim=1)
        scores = queries @ keys.mT / queries.shape[-1] ** 0.5
        expected = scores.masked_fill(hidden, -torch.inf).softmax(-1)
        torch.testing.assert_close(weights[layer], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_sites_are_equal_exactly_where_a_step_is_absent(kind):
    model, ids = made_up(kind), tokens()
    by_site = {site: head_matrices(model, ids, site) for site in SITES}
    for before, after, models in (
        ("projection", "post_norm", QK_NORM),
        ("post_norm", "post_rope", ROPE),
    ):
        for one, other in zip(by_site[before], by_site[after], strict=True):
            for field in ("keys_KxNxE", "queries_HxNxE"):
                same = torch.equal(getattr(one, field), getattr(other, field))
                assert same == (kind not in models)


def test_rows_of_a_batch_lie_below_each_other_and_do_not_see_each_other():
    model, ids = made_up("decoder"), tokens(rows=2)
    whole = head_matrices(model, ids, "post_rope")
    alone = [head_matrices(model, row[None], "post_rope") for row in ids]
    for layer in range(LAYERS):
        together = torch.cat([one[layer].keys_KxNxE for one in alone], dim=1)
        torch.testing.assert_close(whole[layer].keys_KxNxE, together)


@pytest.mark.parametrize("kind", ["decoder_qk_norm", "qwen3", "gpt2"])
def test_training_is_to_the_bit_the_same_with_and_without_the_probe(kind):
    results = []
    for probed in (False, True):
        model = gpt2(attn_pdrop=0.2, resid_pdrop=0.2) if kind == "gpt2" else MODELS[kind]()
        model.load_state_dict(made_up(kind, scale=0.1).state_dict())
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        torch.manual_seed(7)
        losses = []
        for _ in range(3):
            loss = model(input_ids=tokens(), labels=tokens(), use_cache=False).loss
            loss.backward()
            if probed:
                for site in SITES:
                    head_ranks(model, tokens(2, 30), site)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        results.append((losses, model.state_dict(), torch.get_rng_state()))
    (losses, weights, state), (probed_losses, probed_weights, probed_state) = results
    assert losses == probed_losses
    assert torch.equal(state, probed_state)
    assert weights.keys() == probed_weights.keys()
    assert all(torch.equal(weights[name], probed_weights[name]) for name in weights)


def everything_about(model):
    return (
        {name: module.training for name, module in model.named_modules()},
        {name: parameter.requires_grad for name, parameter in model.named_parameters()},
        [name for name, module in model.named_modules() if module._forward_hooks],
        [name for name, module in model.named_modules() if module._forward_pre_hooks],
        copy.deepcopy(model.config.to_dict()),
        torch.backends.cuda.matmul.fp32_precision,
        torch.backends.mkldnn.matmul.fp32_precision,
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("kind", MODELS)
def test_the_model_is_left_as_it_was_even_after_an_error(kind, monkeypatch):
    model = made_up(kind).train()
    next(iter(model.children())).eval()  # a part of its own mode
    next(model.parameters()).requires_grad_(False)
    before, weights = everything_about(model), copy.deepcopy(model.state_dict())
    head_ranks(model, tokens(), "post_rope")
    assert everything_about(model) == before
    layer = attention_layers(model)[-1].module
    monkeypatch.setattr(layer, "forward", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        head_matrices(model, tokens(), "post_rope")
    assert everything_about(model) == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_autocast_and_dropout_do_not_reach_the_probe():
    model, ids = gpt2(attn_pdrop=0.5, resid_pdrop=0.5, embd_pdrop=0.5), tokens()
    expected = head_matrices(model.eval(), ids)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head_matrices(model.train(), ids)
    for one, other in zip(expected, found, strict=True):
        assert other.keys_KxNxE.dtype == torch.float32
        assert torch.equal(one.keys_KxNxE, other.keys_KxNxE)
        assert torch.equal(one.queries_HxNxE, other.queries_HxNxE)


def _dynamic_modules_in(folder, monkeypatch):
    """Copied code is imported from `folder`, also where a test before has imported other copies."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(folder))
    monkeypatch.syspath_prepend(folder)
    for name in [name for name in sys.modules if name.split(".")[0] == "transformers_modules"]:
        monkeypatch.delitem(sys.modules, name)


def test_a_decoder_with_code_of_its_own_copy_is_known_as_well(tmp_path, monkeypatch):
    model, ids = made_up("decoder_qk_norm"), tokens()
    model.save_pretrained(tmp_path)
    _dynamic_modules_in(tmp_path / "modules", monkeypatch)
    copied = get_class_from_dynamic_module("decoder.DecoderForCausalLM", str(tmp_path))
    assert copied is not type(model)
    foreign = copied.from_pretrained(tmp_path)
    found = zip(
        head_matrices(model, ids, "post_rope"),
        head_matrices(foreign, ids, "post_rope"),
        strict=True,
    )
    assert all(torch.equal(one.keys_KxNxE, other.keys_KxNxE) for one, other in found)


@pytest.mark.parametrize("kind", MODELS)
def test_gains_are_those_of_the_norms_and_none_where_there_are_none(kind):
    model = made_up(kind)
    gains = qk_gains(model)
    if kind not in QK_NORM:
        assert gains is None
        return
    assert [one.layer for one in gains] == list(range(LAYERS))
    for one, block in zip(gains, model.model.layers, strict=True):
        query, key = block.self_attn.q_norm.weight, block.self_attn.k_norm.weight
        assert one.query_E.tolist() == query.tolist()
        assert one.key_E.tolist() == key.tolist()
        assert one.product == pytest.approx((query.double() * key.double()).detach().numpy())
        kept = one.key_E.copy()
        with torch.no_grad():
            key.zero_()
        assert (one.key_E == kept).all()  # a record, not a view of what is being trained


def test_a_model_of_another_kind_is_refused_in_one_line():
    config = GPTNeoXConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    with pytest.raises(BadModel, match=r"GPTNeoX.*'gpt_neox'.*known are.*llama") as caught:
        head_matrices(GPTNeoXForCausalLM(config), tokens())
    assert "\n" not in str(caught.value)
    with pytest.raises(BadModel, match="Linear"):
        qk_gains(torch.nn.Linear(2, 2))


def test_weights_in_half_precision_are_refused():
    with pytest.raises(BadModel, match=r"float32"):
        head_matrices(made_up("llama").to(torch.bfloat16), tokens())


def test_damaged_weights_are_told():
    model = made_up("llama")
    with torch.no_grad():
        model.model.layers[1].self_attn.k_proj.weight[0, 0] = torch.nan
    with pytest.raises(BadModel, match=r"layer 1.*not finite"):
        head_matrices(model, tokens())


def test_a_batch_that_cannot_be_read_is_refused():
    model = made_up("decoder")
    with pytest.raises(BadParameter, match="unknown site 'rope'"):
        head_matrices(model, tokens(), "rope")
    for ids in (tokens()[0], tokens()[:0], tokens()[:, :0]):
        with pytest.raises(BadParameter, match=r"\(B, T\)"):
            head_matrices(model, ids)
    length = SHAPE["max_position_embeddings"] + 1
    with pytest.raises(BadParameter, match=f"{length} positions"):
        head_matrices(model, tokens(1, length))
