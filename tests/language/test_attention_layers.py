"""Where queries and keys are, asked of one model of every kind; what they are, of the probe."""

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from collapse.errors import BadModel
from collapse.language.attention_layers import attention_layers
from collapse.probes.heads import head_matrices
from tests.probes.made_up_heads import LAYERS, MODELS, QK_NORM, made_up, tokens


def by_head(x_NxHE, heads):
    """(H, N, E), written the long way."""
    width = x_NxHE.shape[-1] // heads
    return torch.stack([x_NxHE[:, h * width : (h + 1) * width] for h in range(heads)])


@pytest.mark.parametrize("kind", MODELS)
def test_weights_of_a_head_turn_inputs_into_its_projection(kind):
    model = made_up(kind)
    for layer in attention_layers(model):
        inputs = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
        for weights, heads, place in (
            (layer.query_weights, layer.heads, 0),
            (layer.key_weights, layer.kv_heads, 1),
        ):
            with torch.no_grad():
                if kind == "gpt2":
                    whole = layer.module.c_attn(inputs).split(32, dim=-1)[place]
                    zero = layer.module.c_attn(inputs * 0).split(32, dim=-1)[place]
                else:
                    projection = (layer.module.q_proj, layer.module.k_proj)[place]
                    whole, zero = projection(inputs), projection(inputs * 0)
            expected = by_head(whole - zero, heads)
            torch.testing.assert_close(inputs @ weights.mT, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", MODELS)
def test_keys_lie_in_their_columns_of_what_the_projection_gives(kind):
    """Those columns set to zero, and no others, are keys of zero."""
    model, ids = made_up(kind), tokens()
    queries = [one.queries_HxNxE for one in head_matrices(model, ids, "projection")]
    layer = attention_layers(model)[-1]

    def without_keys(_module, _inputs, output):
        output = output.clone()
        output[..., layer.key_columns] = 0
        return output

    layer.key_projection.register_forward_hook(without_keys)
    last = head_matrices(model, ids, "projection")[-1]
    assert not last.keys_KxNxE.any()
    assert torch.equal(last.queries_HxNxE, queries[-1])


@pytest.mark.parametrize("kind", MODELS)
def test_norms_are_there_exactly_where_keys_are_normed(kind):
    for layer in attention_layers(made_up(kind)):
        norms = (layer.query_norm, layer.key_norm)
        assert all((norm is not None) == (kind in QK_NORM) for norm in norms)
        if kind in QK_NORM:
            assert norms == (layer.module.q_norm, layer.module.k_norm)
            assert len(layer.key_norm.weight) == layer.width


def test_outputs_are_to_the_bit_the_same_while_the_hooks_hang():
    model, ids = made_up("decoder_qk_norm"), tokens()
    with torch.no_grad():
        before = model(input_ids=ids).logits
        handles = [h for one in attention_layers(model) for h in one.watch({}, "post_rope")]
        watched = model(input_ids=ids).logits
    assert len(handles) == 3 * LAYERS
    assert torch.equal(before, watched)


def test_a_model_of_another_kind_is_refused_in_one_line():
    config = GPTNeoXConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    with pytest.raises(BadModel, match=r"GPTNeoX.*'gpt_neox' cannot.*known are.*llama") as caught:
        attention_layers(GPTNeoXForCausalLM(config))
    assert "\n" not in str(caught.value)
    with pytest.raises(BadModel, match="type 'Linear' cannot be found"):
        attention_layers(torch.nn.Linear(2, 2))


def test_a_trunk_without_its_head_is_refused():
    with pytest.raises(BadModel, match=r"LlamaModel has no model\.layers.*with its head"):
        attention_layers(made_up("llama").model)
