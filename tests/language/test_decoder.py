import json
import os
import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from collapse.language.model.decoder import DecoderConfig, DecoderForCausalLM
from collapse.language.presets import load_preset

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 32,
}
KINDS = {
    "default": {},
    "studies-1": {"feed_forward": "swiglu", "norm": "layer", "positions": "learned"},
    "studies-5": {"feed_forward": "relu2", "qk_norm": True, "num_key_value_heads": 2},
    "untied": {"tie_word_embeddings": False, "feed_forward": "swiglu"},
}


def small(seed: int = 0, **flags: object) -> DecoderForCausalLM:
    model = load_preset("pocket", seed=seed, **(SMALL | flags))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():  # large enough that logits, gains and biases all matter
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


def some_ids(batch: int = 2, length: int = 9, seed: int = 0) -> torch.Tensor:
    return torch.randint(2, 50, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_matches_transformers_llama():
    ours = small(feed_forward="swiglu", num_key_value_heads=2, tie_word_embeddings=False)
    theirs = LlamaForCausalLM(
        LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=False, rms_norm_eps=1e-6)
    ).eval()
    theirs.load_state_dict(ours.state_dict())
    ids = some_ids()
    out, expected = ours(ids, labels=ids), theirs(ids, labels=ids)
    torch.testing.assert_close(out.logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(out.loss, expected.loss)


@pytest.mark.parametrize("flags", KINDS.values(), ids=KINDS)
def test_eager_and_sdpa_agree_and_switch(flags):
    model, ids = small(**flags), some_ids()
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    fast = model(ids, attention_mask=mask).logits
    model.set_attn_implementation("eager")
    plain = model(ids, attention_mask=mask, output_attentions=True)
    assert plain.attentions[0].shape == (2, 4, 9, 9)
    model.set_attn_implementation("sdpa")
    again = model(ids, attention_mask=mask).logits
    real = mask.bool()
    torch.testing.assert_close(fast[real], plain.logits[real], atol=2e-5, rtol=1e-5)
    assert torch.equal(fast[real], again[real])


@pytest.mark.parametrize("flags", KINDS.values(), ids=KINDS)
def test_generate_with_cache_without_cache_and_left_padded_agree(flags):
    model, ids = small(**flags), some_ids()
    settings = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}
    expected = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    plain = model.generate(ids, attention_mask=torch.ones_like(ids), use_cache=False, **settings)
    padded = F.pad(ids, (3, 0))
    mask = F.pad(torch.ones_like(ids), (3, 0))
    from_padded = model.generate(padded, attention_mask=mask, **settings)
    assert torch.equal(expected, plain)
    assert torch.equal(expected, from_padded[:, 3:])


def test_loss_is_the_mean_over_labelled_next_tokens():
    model, ids = small(), some_ids()
    labels = ids.clone()
    labels[0, :5] = -100
    logprobs = model(ids).logits.log_softmax(-1)
    kept = [-logprobs[b, t - 1, ids[b, t]] for b in range(2) for t in range(1, 9) if b or t >= 5]
    torch.testing.assert_close(model(ids, labels=labels).loss, torch.stack(kept).mean())


def test_logits_to_keep_and_hidden_states():
    model, ids = small(), some_ids()
    out = model(ids, logits_to_keep=2, output_hidden_states=True)
    torch.testing.assert_close(out.logits, model(ids).logits[:, -2:])
    assert len(out.hidden_states) == 3


def test_loss_is_computed_in_float32_for_bfloat16():
    model, ids = small().to(torch.bfloat16), some_ids()
    assert model(ids, labels=ids).loss.dtype == torch.float32


def test_initialisation_scales_the_writers_into_the_residual_stream():
    model = load_preset("pocket", num_hidden_layers=8)
    layer = model.model.layers[0]
    for weight, std in [
        (model.model.embed_tokens.weight, 0.02),
        (layer.mlp.up_proj.weight, 0.02),
        (layer.mlp.down_proj.weight, 0.02 / 4),
        (layer.self_attn.o_proj.weight, 0.02 / 4),
    ]:
        assert weight.std().item() == pytest.approx(std, rel=0.03)
    assert not any(isinstance(m, torch.nn.Linear) and m.bias is not None for m in model.modules())


def test_qk_norm_normalises_each_head_before_the_rotation():
    model = small(qk_norm=True)
    attention = model.model.layers[0].self_attn
    with torch.no_grad():
        attention.k_norm.weight.fill_(1.0)
    seen = []
    attention.k_norm.register_forward_hook(lambda module, args, out: seen.append(out))
    model(some_ids())
    assert seen[0].shape == (2, 9, 4, 4)
    torch.testing.assert_close(seen[0].square().mean(-1), torch.ones(2, 9, 4), atol=1e-3, rtol=0)


@pytest.mark.parametrize("flags", KINDS.values(), ids=KINDS)
def test_hessian_vector_product_matches_finite_differences(flags):
    model = small(**flags).double()
    model.set_attn_implementation("eager")
    ids, parameters = some_ids(), list(model.parameters())
    generator = torch.Generator().manual_seed(1)
    vector = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]

    def gradient(create_graph: bool = False) -> tuple[torch.Tensor, ...]:
        loss = model(ids, labels=ids, use_cache=False).loss
        return torch.autograd.grad(loss, parameters, create_graph=create_graph)

    product = torch.autograd.grad(gradient(create_graph=True), parameters, grad_outputs=vector)
    step, sides = 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, v in zip(parameters, vector, strict=True):
                parameter += sign * step * v
        sides.append(gradient())
        with torch.no_grad():
            for parameter, v in zip(parameters, vector, strict=True):
                parameter -= sign * step * v
    expected = [(after - before) / (2 * step) for after, before in zip(*sides, strict=True)]
    scale = max(e.abs().max() for e in expected)
    for ours, theirs in zip(product, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6 * scale.item(), rtol=1e-5)


def test_double_backward_matches_the_dense_hessian_and_the_math_kernel():
    shape = SMALL | {"vocab_size": 6, "hidden_size": 4, "intermediate_size": 4}
    model = load_preset("pocket", **(shape | {"num_hidden_layers": 1, "num_attention_heads": 2}))
    model = model.double()
    parameters = {name: p.detach().clone() for name, p in model.named_parameters()}
    ids = some_ids() % 6

    def loss(flat: torch.Tensor) -> torch.Tensor:
        pieces = flat.split([p.numel() for p in parameters.values()])
        new = {n: x.view_as(p) for (n, p), x in zip(parameters.items(), pieces, strict=True)}
        options = {"labels": ids, "use_cache": False}
        return torch.func.functional_call(model, new, (ids,), options).loss

    flat = torch.cat([p.flatten() for p in parameters.values()]).requires_grad_()
    model.set_attn_implementation("eager")
    dense = torch.autograd.functional.hessian(loss, flat)
    assert dense.abs().max() > 1e-4
    torch.testing.assert_close(dense, dense.T, atol=1e-12, rtol=1e-9)
    vector = torch.linspace(-1, 1, flat.numel(), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(loss(flat), flat, create_graph=True)
    (product,) = torch.autograd.grad(gradient, flat, vector)
    torch.testing.assert_close(product, dense @ vector)
    model.set_attn_implementation("sdpa")
    with sdpa_kernel(SDPBackend.MATH):
        (gradient,) = torch.autograd.grad(loss(flat), flat, create_graph=True)
        (product,) = torch.autograd.grad(gradient, flat, vector)
    torch.testing.assert_close(product, dense @ vector)


def test_without_causal_mask_generation_needs_no_cache_and_refuses_one():
    model, ids = small(causal=False), some_ids()
    settings = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    out = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)
    step = ids
    for _ in range(4):
        step = torch.cat((step, model(step).logits[:, -1:].argmax(-1)), dim=1)
    assert torch.equal(out, step)
    with pytest.raises(ValueError, match=r"keeps no cache; call generate\(use_cache=False\)"):
        model.generate(ids, attention_mask=torch.ones_like(ids), use_cache=True, **settings)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("feed_forward", "silu", "feed_forward='silu' is unknown; known are swiglu, gelu, relu2"),
        ("norm", "batch", "norm='batch' is unknown"),
        ("positions", "alibi", "positions='alibi' is unknown"),
        ("num_attention_heads", 3, "hidden_size=128 is not a multiple of 3"),
        ("num_key_value_heads", 3, "num_attention_heads=4 is not a multiple of 3"),
        ("num_hidden_layers", -1, "num_hidden_layers=-1 is not a positive whole number"),
    ],
)
def test_config_refuses_what_cannot_be_built(field, value, message):
    with pytest.raises(ValueError, match=message):
        DecoderConfig(**{field: value})


def test_learned_positions_end_with_a_clear_line():
    with pytest.raises(ValueError, match="33 tokens exceed the 32 learned positions"):
        small(positions="learned")(some_ids(length=33))
    model = small(positions="learned")
    cache = model(some_ids(length=32), use_cache=True).past_key_values
    with pytest.raises(ValueError, match="33 tokens exceed the 32 learned positions"):
        model(some_ids(length=1), past_key_values=cache)


def test_gradient_checkpointing_gives_the_same_gradients():
    ids, gradients = some_ids(), []
    for checkpointing in (False, True):
        model = small().train()
        if checkpointing:
            model.gradient_checkpointing_enable()
        model(ids, labels=ids, use_cache=False).loss.backward()
        gradients.append(model.model.embed_tokens.weight.grad)
    torch.testing.assert_close(*gradients)


FOREIGN_PROCESS = """
import json, sys, torch
from transformers import AutoModelForCausalLM
ids = torch.arange(2, 12)[None]
for source in sys.argv[1:]:
    model = AutoModelForCausalLM.from_pretrained(source, trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules."), type(model)
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=5,
                         do_sample=False, pad_token_id=0)
    print(json.dumps([model(ids).logits[0, -1].tolist(), out.tolist()]))
    model.save_pretrained(source + "-again")  # a copy carries its code on
assert "collapse" not in sys.modules
"""


def test_a_saved_model_carries_its_code_to_processes_without_the_project(tmp_path):
    model = small(qk_norm=True, norm="layer")
    folder = tmp_path / "saved"
    model.save_pretrained(folder)
    code = {"decoder.py", "decoder_config.py", "decoder_layers.py"}
    assert code == {path.name for path in folder.glob("*.py")}
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(tmp_path / "home"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", FOREIGN_PROCESS, str(folder), f"{folder}-again"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ids = torch.arange(2, 12)[None]
    settings = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    expected = model.generate(ids, attention_mask=torch.ones_like(ids), **settings).tolist()
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for logits, written in map(json.loads, lines):
        torch.testing.assert_close(torch.tensor(logits), model(ids).logits[0, -1])
        assert written == expected


def test_in_a_process_with_the_project_its_own_class_is_used(tmp_path):
    small().save_pretrained(tmp_path)
    for trust in (False, True):
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path, trust_remote_code=trust)
        assert type(loaded) is DecoderForCausalLM
