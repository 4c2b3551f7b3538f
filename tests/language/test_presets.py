import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from collapse.errors import BadModel
from collapse.language.presets import (
    body_parameter_count,
    load_preset,
    parameter_count,
    preset_config,
    preset_names,
    training_flops_per_token,
)

TOTALS = {
    "llama-102m": 102_082_560,
    "code-28m": 28_355_328,
    "code-char": 2_748_672,
    "qknorm-88m": 88_630_528,
    "qknorm-2m": 1_820_608,
    "pocket": 524_928,
    "thimble": 147_776,
}
# d, layers, d_ff: attention 4 d^2, two-matrix feed-forward 2 d d_ff, two gains a layer and one more
TINY = {
    "tiny-small": (256, 4, 1024, 3.1),
    "tiny-medium": (384, 6, 1536, 10.6),
    "tiny-large": (512, 8, 2048, 25.2),
    "tiny-xlarge": (768, 12, 3072, 85.0),
}


@pytest.mark.parametrize(("name", "count"), TOTALS.items())
def test_parameter_counts_of_the_studies(name, count):
    assert parameter_count(load_preset(name, device="meta")) == count


def test_qk_norm_is_all_that_sets_the_two_arms_apart():
    without = load_preset("qknorm-88m", device="meta", qk_norm=False)
    assert parameter_count(without) == 88_627_712


@pytest.mark.parametrize("name", TINY)
def test_bodies_of_the_scaling_study(name):
    width, layers, inner, millions = TINY[name]
    model = load_preset(name, device="meta")
    body = layers * (4 * width**2 + 2 * width * inner + 2 * width) + width
    assert body_parameter_count(model) == body
    assert round(body / 1e6, 1) == pytest.approx(millions, abs=0.051)
    assert parameter_count(model) == body + 49_152 * width


def test_body_leaves_out_positions_and_an_untied_head():
    model = load_preset("llama-102m", device="meta")
    outer = 2 * 50_257 * 512 + 512 * 512
    assert body_parameter_count(model) == 102_082_560 - outer
    assert body_parameter_count(load_preset("code-char", device="meta")) == 2_623_744


def test_meta_allocates_nothing_and_every_preset_builds():
    for name in preset_names():
        model = load_preset(name, device="meta")
        assert all(p.is_meta for p in model.parameters())


def test_initialisation_depends_on_the_seed_alone_and_leaves_the_global_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = load_preset("pocket", seed=3).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    second = load_preset("pocket", seed=3).state_dict()
    other = load_preset("pocket", seed=4).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])
    assert not load_preset("pocket").training


def test_overrides():
    config = preset_config("qknorm-88m", num_hidden_layers=2, vocab_size=300, qk_norm=False)
    assert (config.num_hidden_layers, config.vocab_size, config.qk_norm) == (2, 300, False)
    assert config.num_key_value_heads == 4
    twelve = preset_config(
        "code-28m",
        num_hidden_layers=12,
        hidden_size=768,
        num_attention_heads=12,
        intermediate_size=3072,
        tie_word_embeddings=True,
    )
    assert twelve.num_key_value_heads == 12
    # Two heads share keys there, and go on sharing.
    for heads, sharing in ((8, 4), (16, 8), (7, 7)):
        config = preset_config("qknorm-88m", num_attention_heads=heads, hidden_size=112 * heads)
        assert config.num_key_value_heads == sharing


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("llama", {}, r"unknown preset 'llama'; did you mean 'llama-102m'\? \(known: pocket, "),
        ("pocket", {"layers": 3}, r"override of preset 'pocket' 'layers'.*num_hidden_layers"),
        ("pocket", {"norm": "batch"}, "norm='batch' is unknown; known are rms, layer"),
        ("pocket", {"hidden_size": 130}, "hidden_size=130 is not a multiple of 4"),
        ("pocket", {"vocab_size": -1}, "vocab_size=-1 is not a whole number above 0"),
        ("pocket", {"vocab_size": "many"}, "pocket"),
    ],
)
def test_what_is_unknown_is_named_in_one_line(name, overrides, message):
    with pytest.raises(BadModel, match=message) as caught:
        load_preset(name, **overrides)
    assert "\n" not in str(caught.value)


def test_names_cost_no_heavy_import():
    code = (
        "import sys; from collapse.language.presets import preset_names; preset_names(); "
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_token_ids_are_in_both_configurations_and_end_generation(tmp_path):
    from transformers import AutoModelForCausalLM

    ids = {"bos_token_id": 3, "eos_token_id": 5, "pad_token_id": 4}
    model = load_preset("pocket", vocab_size=20, tie_word_embeddings=False, norm="layer", **ids)
    with torch.no_grad():  # the final norm gives ones, and of all rows of the head only eos's is 1
        model.model.norm.weight.zero_()
        model.model.norm.bias.fill_(1.0)
        model.lm_head.weight.zero_()
        model.lm_head.weight[5] = 1.0
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    for one in (model, loaded):
        for name, token in ids.items():
            assert getattr(one.config, name) == token
            assert getattr(one.generation_config, name) == token
        written = one.generate(torch.tensor([[3, 7]]), max_new_tokens=10, do_sample=False)
        assert written.tolist() == [[3, 7, 5]]
    with torch.no_grad():  # token 6 instead: there is no end
        loaded.lm_head.weight[[5, 6]] = loaded.lm_head.weight[[6, 5]]
    written = loaded.generate(torch.tensor([[3, 7]]), max_new_tokens=10, do_sample=False)
    assert written.tolist() == [[3, 7] + [6] * 10]


@pytest.mark.parametrize("name", ["pocket", "qknorm-2m", "code-char"])
def test_flops_of_training_are_those_that_torch_counts(name):
    """torch leaves the gains of norms out, and counts attention over the whole square."""
    model = load_preset(name, num_hidden_layers=2)
    model.set_attn_implementation("eager")
    length, rows = 32, 3
    ids = torch.randint(100, (rows, length), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, use_cache=False).logits.float().sum().backward()
    found = {str(name): flops for name, flops in counter.get_flop_counts()["Global"].items()}
    products = sum(flops for name, flops in found.items() if "bmm" not in name)
    attention = sum(flops for name, flops in found.items() if "bmm" in name)
    gains = sum(p.numel() for p in model.parameters() if p.ndim == 1)
    expected = products + 6 * gains * rows * length + attention / 2
    assert training_flops_per_token(model, length) * rows * length == expected
