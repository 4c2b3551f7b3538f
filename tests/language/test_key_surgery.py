import copy

import pytest
import torch
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from collapse.errors import BadModel, BadParameter
from collapse.language.attention_layers import attention_layers
from collapse.language.key_surgery import SITE_OF, key_gains, natural_place, pruned_keys
from collapse.language.model.decoder import DecoderConfig, DecoderForCausalLM
from collapse.language.model.decoder_layers import rotary_angles, rotate
from collapse.numerics.pruning import plan_pruning
from collapse.numerics.streams import torch_stream
from collapse.probes.heads import head_matrices
from collapse.probes.likelihood import token_nll

VOCABULARY = 40
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.4,
}


def decoder(**flags):
    return DecoderForCausalLM(DecoderConfig(**SHAPE | flags))


def gpt2():
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, initializer_range=0.4, **sizes))


MODELS = {
    "decoder": decoder,
    "decoder_learned": lambda: decoder(positions="learned", norm="layer"),
    "decoder_qk_norm": lambda: decoder(qk_norm=True),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=12)),
    "gpt2": gpt2,
}
NORMED = ("decoder_qk_norm", "qwen3")
PLAIN = tuple(name for name in MODELS if name not in NORMED)
PLACES_OF = [
    *((name, "weights") for name in MODELS),
    *((name, where) for name in NORMED for where in ("rescaled", "after_norm")),
]


def draws(*names):
    return torch_stream(0, "test of key surgery", *names)


def made(name):
    """A model of which nothing is at its neutral value: biases and gains, too, are drawn."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = MODELS[name]()
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.4 * torch.randn_like(parameter))
    return model.eval()


def tokens(rows=4, length=24):
    return torch.randint(VOCABULARY, (rows, length), generator=draws("tokens"))


def heldout():
    return torch.randint(VOCABULARY, (6, 30), generator=draws("held-out")).tolist()


def loss_nats(model):
    return token_nll(model, heldout(), batch_size=6).nll_nats


@torch.no_grad()
def logits(model):
    return model(input_ids=tokens()).logits


def keys_at(model, input_ids_BxT, where):
    """Keys (K, N, E) of each layer, from where an edit would meet them."""
    return [layer.keys_KxNxE for layer in head_matrices(model, input_ids_BxT, SITE_OF[where])]


def plan(model, where, strategy="random", percent=50, basis="rotated", names=("draw",)):
    keys = keys_at(model, tokens(), where)
    gains = key_gains(model) if strategy == "gamma" else None
    return plan_pruning(strategy, keys, gains, percent, draws(*names), basis=basis)


def by_hand(model, projectors_per_layer):
    """A copy whose weights themselves are edited: W_k <- P W_k for each key-value head."""
    edited = copy.deepcopy(model)
    layers = edited.transformer.h if hasattr(edited, "transformer") else edited.model.layers
    for layer, projectors in zip(layers, projectors_per_layer, strict=True):
        block = torch.block_diag(*projectors).float()
        with torch.no_grad():
            if hasattr(layer, "attn"):
                keys = slice(32, 64)
                fused = layer.attn.c_attn
                fused.weight[:, keys] = fused.weight[:, keys] @ block
                fused.bias[keys] = fused.bias[keys] @ block
            else:
                projection = layer.self_attn.k_proj
                projection.weight.copy_(block @ projection.weight)
                if projection.bias is not None:
                    projection.bias.copy_(block @ projection.bias)
    return edited


@pytest.mark.parametrize("name", MODELS)
def test_pruning_through_weights_is_what_edited_weights_do(name):
    model = made(name)
    projectors = plan(model, "weights")
    with pruned_keys(model, projectors, where="weights") as edit:
        pruned = logits(model)
    torch.testing.assert_close(pruned, logits(by_hand(model, projectors)), rtol=1e-4, atol=1e-4)
    assert (pruned - logits(model)).abs().max() > 0.1
    heads = 4 if name == "gpt2" else 2
    width = 12 if name == "qwen3" else 8
    assert (edit.where, edit.width) == ("weights", width)
    assert edit.pruned == ((width // 2,) * heads,) * 2


@pytest.mark.parametrize("name", NORMED)
def test_pruning_after_the_norm_by_gain_is_zeroing_the_gains(name):
    model = made(name)
    projectors = plan(model, "after_norm", "gamma", 50)
    edited = copy.deepcopy(model)
    for layer, projectors_KxExE in zip(edited.model.layers, projectors, strict=True):
        layer.self_attn.k_norm.weight.data *= projectors_KxExE[0].diagonal()
    with pruned_keys(model, projectors, where="after_norm"):
        torch.testing.assert_close(logits(model), logits(edited), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "where"), PLACES_OF)
def test_the_model_is_as_before_to_the_bit_also_after_an_error(name, where):
    model = made(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    storages = {key: value.data_ptr() for key, value in model.state_dict().items()}
    answer = logits(model.eval())
    model.train()
    projectors = plan(model, where, percent=90)
    assert all(module.training for module in model.modules())
    with pruned_keys(model, projectors, where=where):
        within = model.state_dict()
        assert all(torch.equal(within[key], value) for key, value in before.items())
        assert (logits(model.eval()) - answer).abs().max() > 0.1
    with pytest.raises(ZeroDivisionError), pruned_keys(model, projectors, where=where):
        raise ZeroDivisionError
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert {key: value.data_ptr() for key, value in after.items()} == storages
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.equal(logits(model), answer)


@pytest.mark.parametrize(("name", "where"), PLACES_OF)
def test_nothing_pruned_is_the_untouched_model_to_the_bit(name, where):
    model = made(name)
    untouched = loss_nats(model)
    for strategy in ("svd", "random"):
        with pruned_keys(model, plan(model, where, strategy, 0), where=where) as edit:
            assert loss_nats(model) == untouched
            # Nor is anything multiplied by one, which rounds where matrices are of fewer bits.
            assert not any(module._forward_hooks for module in model.modules())
        assert set(sum(edit.pruned, ())) == {0}


def in_subspace(name, rank):
    """A model whose keys lie, head by head, in a drawn subspace of so many dimensions."""
    model = made(name)
    for layer in attention_layers(model):
        inside = [
            basis @ basis.T
            for basis in torch.linalg.qr(
                torch.randn(layer.kv_heads, layer.width, rank, generator=draws("subspace"))
            ).Q
        ]
        block = torch.block_diag(*inside)
        columns = layer.key_columns
        weight = layer.key_projection.weight.data
        if isinstance(layer.key_projection, nn.Linear):
            weight.copy_(block @ weight)
        else:
            weight[:, columns] = weight[:, columns] @ block
        if getattr(layer.key_projection, "bias", None) is not None:
            bias = layer.key_projection.bias.data
            bias[columns] = bias[columns] @ block
    return model


@pytest.mark.parametrize(("name", "where"), PLACES_OF)
def test_directions_without_keys_can_go_and_random_ones_cannot(name, where):
    """Keys of rank E / 2: half of the singular directions are free, not half of any others."""
    width = attention_layers(made(name))[0].width
    model = in_subspace(name, width // 2)
    untouched = loss_nats(model)
    with pruned_keys(model, plan(model, where, "svd", 50), where=where):
        assert loss_nats(model) == pytest.approx(untouched, abs=1e-6)
    with pruned_keys(model, plan(model, where, "svd", 75), where=where):
        assert abs(loss_nats(model) - untouched) > 1e-3
    for basis in ("coordinate", "rotated"):
        with pruned_keys(model, plan(model, where, basis=basis), where=where):
            assert abs(loss_nats(model) - untouched) > 1e-3


@pytest.mark.parametrize("name", NORMED)
def test_norm_re_inflates_what_is_pruned_before_it(name):
    """With gains of one, pruned keys are of rms one again, but for those that the norm spared."""
    model = made(name)
    for layer in attention_layers(model):
        nn.init.ones_(layer.key_norm.weight)
    projectors = plan(model, "weights", basis="coordinate", percent=50)
    rms = {}
    for where in ("weights", "rescaled", "after_norm"):
        with pruned_keys(model, projectors, where=where):
            # The first layer's keys only: those of the second hang on its output.
            keys = keys_at(model, tokens(), "after_norm")[0]
        rms[where] = keys.square().mean(-1).sqrt()
    whole = keys_at(model, tokens(), "after_norm")[0]
    left = (whole.double() @ projectors[0]).square().mean(-1).sqrt().float()
    torch.testing.assert_close(rms["weights"], torch.ones_like(left), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(rms["after_norm"], left)
    torch.testing.assert_close(rms["rescaled"], left)
    assert left.mean() < 0.8


@pytest.mark.parametrize("name", NORMED)
def test_rescaling_is_pruning_after_the_norm_where_gains_do_not_mix(name):
    model = made(name)
    projectors = plan(model, "weights", basis="coordinate")
    found = {}
    for where in ("weights", "rescaled", "after_norm"):
        with pruned_keys(model, projectors, where=where) as edit:
            found[where] = logits(model)
        assert ("re-inflate" in edit.reason) == (where != "rescaled")
    torch.testing.assert_close(found["rescaled"], found["after_norm"], rtol=1e-4, atol=1e-4)
    assert (found["weights"] - found["after_norm"]).abs().max() > 0.1


@pytest.mark.parametrize("name", NORMED)
def test_rescaling_prunes_before_the_gains(name):
    """Off the coordinates the gains are in between: g * (x P) / rms(x), computed here by hand."""
    model = made(name)
    for layer in attention_layers(model):
        epsilon = "eps" if name == "decoder_qk_norm" else "variance_epsilon"
        setattr(layer.key_norm, epsilon, 0.5)  # large enough to be seen
    projectors = plan(model, "rescaled", "svd")
    raw = keys_at(model, tokens(), "rescaled")[0].double()
    with pruned_keys(model, projectors, where="rescaled"):
        found = keys_at(model, tokens(), "after_norm")[0]
    rms = (raw.square().mean(-1, keepdim=True) + 0.5).sqrt()
    expected = (raw @ projectors[0]) / rms * key_gains(model)[0].double()
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_rotation_spreads_what_is_kept_over_more_directions():
    """Pruned keys have the rank that was kept; rotated, those of many positions span more."""
    model = made("decoder")
    projectors = plan(model, "weights", "svd", 50)
    with pruned_keys(model, projectors, where="weights"):
        keys = keys_at(model, tokens(rows=1), "weights")[0]
    angles = rotary_angles(model.config, torch.arange(24)[None], torch.float32)
    angles = torch.cat((angles, angles), dim=-1)
    rotated = rotate(keys[None], angles.cos(), angles.sin())[0]
    assert torch.linalg.matrix_rank(keys, rtol=1e-5).tolist() == [4, 4]
    assert (torch.linalg.matrix_rank(rotated, rtol=1e-5) > 4).all()


@pytest.mark.parametrize("name", MODELS)
def test_attention_sees_the_projected_keys(name):
    """The cache holds what attention scores; at position 0 RoPE has turned nothing yet."""
    model = made(name)
    where = natural_place(model)
    assert where == ("after_norm" if name in NORMED else "weights")
    ids = tokens()[:, :1]
    projectors = plan(model, where)
    # The first layer's keys only: those of the second hang on its output.
    expected = keys_at(model, ids, where)[0].double() @ projectors[0]
    with pruned_keys(model, projectors, where=where) as edit, torch.no_grad():
        cache = model(input_ids=ids, use_cache=True).past_key_values
    found = cache.layers[0].keys[:, :, 0].transpose(0, 1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    assert edit.site == ("post_norm" if name in NORMED else "projection")


def test_generation_from_a_cache_is_pruned_like_the_whole_text():
    model = made("qwen3")
    ids = tokens(rows=1)
    with pruned_keys(model, plan(model, "after_norm"), where="after_norm"), torch.no_grad():
        cache = model(input_ids=ids[:, :-1], use_cache=True).past_key_values
        last = model(input_ids=ids[:, -1:], past_key_values=cache).logits[:, -1]
        torch.testing.assert_close(last, model(input_ids=ids).logits[:, -1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PLAIN)
def test_a_model_without_gains_is_refused_with_a_reason(name):
    with pytest.raises(BadModel, match=r"'gamma': a model of type .* has no gains to prune by"):
        key_gains(made(name))
    for where in ("rescaled", "after_norm"):
        with (
            pytest.raises(BadParameter, match="does not norm its keys: take 'weights'"),
            pruned_keys(made(name), [], where=where),
        ):
            pass


def test_gains_are_a_copy():
    model = made("qwen3")
    key_gains(model)[0].zero_()
    assert key_gains(model)[0].abs().min() > 0


def test_what_does_not_fit_is_refused_before_anything_is_hooked():
    model = made("decoder")
    projectors = plan(model, "weights")
    for given, where, complaint in [
        (projectors, "nowhere", "'nowhere'; known are weights, rescaled, after_norm"),
        (projectors[:1], "weights", "projectors of 1 layers for a model of 2"),
        ([projectors[0], projectors[1][:1]], "weights", "layer 1's projectors have the shape"),
    ]:
        with pytest.raises(BadParameter, match=complaint), pruned_keys(model, given, where=where):
            pass
    assert not any(module._forward_hooks for module in model.modules())


def test_an_unknown_model_is_refused_by_its_type():
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    stranger = GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=10, num_attention_heads=2, **sizes))
    with pytest.raises(BadModel, match="'gpt_neox' cannot be found; known are collapse_decoder"):
        natural_place(stranger)
    with pytest.raises(BadModel, match="'Linear' cannot be found"):
        natural_place(nn.Linear(2, 2))
    with pytest.raises(BadModel, match="give the model with its head"):
        natural_place(made("llama").model)
