"""Gradients, drift and activations of generations beside each other, by other roads."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch.func import grad

from collapse.errors import BadInput, BadModel
from collapse.language.presets import load_preset
from collapse.numerics.rank import participation_ratio
from collapse.probes.curvature import microbatches, parameter_blocks
from collapse.probes.mechanism import (
    ALL,
    activation_norm,
    activation_rank,
    activation_similarity,
    gradient_products,
    layer_activations,
    relative_drift,
)
from tests.probes.curvature_models import MODELS, SHAPE, Dense, tokens

FAMILIES = pytest.mark.parametrize("family", MODELS)
IDS = tokens(rows=5)
PARTS = microbatches(IDS, size=2)  # two, two and one row


def moved(model, by: float = 0.05, seed: int = 3):
    """A model whose weights are somewhere else."""
    other = deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for parameter in other.parameters():
        parameter.data += by * torch.randn(parameter.shape, generator=generator).to(parameter)
    return other


def dense_gradient(model, rows=slice(None)) -> torch.Tensor:
    """By forward mode's own machinery, float64."""
    dense = Dense(deepcopy(model).double(), IDS[rows], IDS[rows])
    return grad(dense.loss)(dense.point_P)


@FAMILIES
def test_norms_and_cosines_are_those_of_autograd_in_float64(family: str) -> None:
    model = MODELS[family]()
    models = [model, moved(model)]
    one, other = (dense_gradient(m) for m in models)
    found = gradient_products(models, PARTS)
    norm, cosine = found.norm(ALL), found.cosine(ALL, 0, 1)
    assert norm is not None
    assert cosine is not None
    assert norm.value == pytest.approx(float(one.norm()), rel=1e-5)
    assert cosine.value == pytest.approx(float(one @ other / one.norm() / other.norm()), rel=1e-5)
    assert found.cosine(ALL, 1, 1).value == pytest.approx(1, abs=1e-9)


def test_errors_are_those_of_batches_without_a_part() -> None:
    model = MODELS["llama"]()
    models = [model, moved(model)]
    kept = [[2, 3, 4], [0, 1, 4], [0, 1, 2, 3]]
    pairs = [[dense_gradient(m, rows) for m in models] for rows in kept]
    found = gradient_products(models, PARTS)
    rest = 1 - np.array([0.4, 0.4, 0.2])
    for name, values in {
        "norm": [float(a.norm()) for a, _ in pairs],
        "cosine": [float(a @ b / a.norm() / b.norm()) for a, b in pairs],
    }.items():
        centre = rest @ values / 2
        expected = np.sqrt(np.mean(rest / (1 - rest) * (np.array(values) - centre) ** 2))
        one = found.norm(ALL) if name == "norm" else found.cosine(ALL, 0, 1)
        assert one.standard_error == pytest.approx(expected, rel=1e-3)


def test_signal_share_is_the_mean_product_of_different_parts() -> None:
    model = MODELS["gpt2"]()
    parts = microbatches(IDS, size=1)
    gradients = [dense_gradient(model, [row]) for row in range(5)]
    products = [float(a @ b) for i, a in enumerate(gradients) for b in gradients[:i]]
    expected = np.mean(products) / float(dense_gradient(model).square().sum())
    found = gradient_products([model], parts).signal_share(ALL)
    assert found.value == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert found.standard_error > 0
    assert gradient_products([model], microbatches(IDS, size=5)).signal_share(ALL) is None


def test_equal_parts_are_all_signal() -> None:
    model = MODELS["llama"]()
    parts = microbatches(IDS[:1].repeat(3, 1), size=1)
    found = gradient_products([model], parts)
    assert found.signal_share(ALL).value == pytest.approx(1, abs=1e-6)
    assert found.norm(ALL).standard_error == pytest.approx(0, abs=1e-6)


@FAMILIES
def test_layers_add_up_to_the_whole(family: str) -> None:
    model = MODELS[family]()
    found = gradient_products([model], PARTS)
    layers = parameter_blocks(model)
    assert set(found.blocks) == {ALL, *layers}
    squares = sum(found.norm(layer).value ** 2 for layer in layers)
    assert squares == pytest.approx(found.norm(ALL).value ** 2, rel=1e-9)
    there = moved(model)
    drifts = relative_drift(there, model)
    sizes = {
        block: sum(float(dict(model.named_parameters())[n].detach().norm()) ** 2 for n in names)
        for block, names in layers.items()
    }
    total = sum(drifts[block] ** 2 * size for block, size in sizes.items())
    assert drifts[ALL] == pytest.approx((total / sum(sizes.values())) ** 0.5, rel=1e-6)


def test_drift_is_of_a_known_size_and_a_tied_weight_counts_once() -> None:
    model = MODELS["tied, grouped keys, qk-norm"]()
    other = deepcopy(model)
    other.model.layers[1].self_attn.q_proj.weight.data *= 1.5
    drifts = relative_drift(other, model)
    names = parameter_blocks(model)["layer_1"]
    now = dict(model.named_parameters())
    size = sum(float(now[name].detach().double().square().sum()) for name in names)
    changed = float(model.model.layers[1].self_attn.q_proj.weight.detach().double().norm())
    assert drifts["layer_1"] == pytest.approx(0.5 * changed / size**0.5)
    assert drifts["layer_0"] == drifts["embed_tokens"] == 0
    every = float(sum(p.detach().double().square().sum() for p in model.parameters()))
    assert drifts[ALL] == pytest.approx(0.5 * changed / every**0.5)


def test_models_of_another_shape_are_refused() -> None:
    one, other = (load_preset("pocket", **SHAPE | {"intermediate_size": n}) for n in (12, 16))
    for compare in (
        lambda: relative_drift(one, other),
        lambda: gradient_products([one, other], PARTS),
    ):
        with pytest.raises(BadModel, match="differ in the shape"):
            compare()


def test_damaged_weights_are_refused() -> None:
    model = MODELS["llama"]()
    model.model.layers[0].mlp.up_proj.weight.data[0, 0] = torch.nan
    with pytest.raises(BadInput, match="no finite gradient"):
        gradient_products([model], PARTS)
    with pytest.raises(BadModel, match="layer_0"):
        layer_activations(model, PARTS)


@FAMILIES
def test_activations_are_the_hidden_states_that_transformers_tells(family: str) -> None:
    model = MODELS[family]()
    found = layer_activations(model, PARTS)
    assert [one.layer for one in found][1:] == ["layer_0", "layer_1"]
    assert found[0].layer in parameter_blocks(model)
    assert found[0].part_tokens == (12, 12, 6)
    with torch.no_grad():
        states = model(input_ids=IDS, output_hidden_states=True).hidden_states
        embedded = model.get_input_embeddings()(IDS)
    np.testing.assert_array_equal(found[0].features_NxD, embedded.flatten(0, 1).numpy())
    np.testing.assert_allclose(found[1].features_NxD, states[1].flatten(0, 1), atol=2e-6)
    # The last that transformers tells is already normed; ours, normed, is the same.
    norm = model.base_model.ln_f if family == "gpt2" else model.base_model.norm
    with torch.no_grad():
        normed = norm(torch.from_numpy(found[2].features_NxD))
    np.testing.assert_allclose(normed, states[-1].flatten(0, 1), atol=5e-6)


def test_rank_and_norm_are_numpys() -> None:
    model = MODELS["llama"]()
    one = layer_activations(model, PARTS)[1]

    def rank(features: np.ndarray) -> float:
        centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
        return float(participation_ratio(np.linalg.svd(centred, compute_uv=False)))

    found = activation_rank(one)
    assert found.value == pytest.approx(rank(one.features_NxD), rel=1e-9)
    without = [rank(np.delete(one.features_NxD, rows, 0)) for rows in _rows_of_parts()]
    rest = 1 - np.array([0.4, 0.4, 0.2])
    spread = np.array(without) - rest @ without / 2
    expected = np.sqrt(np.mean(rest / (1 - rest) * spread**2))
    assert found.standard_error == pytest.approx(expected, rel=1e-6)
    lengths = np.linalg.norm(one.features_NxD.astype(np.float64), axis=1)
    assert activation_norm(one).value == pytest.approx(lengths.mean())


def _rows_of_parts() -> list[range]:
    return [range(12), range(12, 24), range(24, 30)]


def test_similarity_is_1_to_a_rotated_layer_and_less_to_a_moved_one() -> None:
    model = MODELS["llama"]()
    seen = layer_activations(model, PARTS)
    there = layer_activations(moved(model, 0.2), PARTS)
    for one, other in zip(seen, there, strict=True):
        assert activation_similarity(one, one).value == pytest.approx(1)
        found = activation_similarity(one, other)
        assert found.value < 0.99
        assert found.standard_error > 0


@FAMILIES
def test_a_look_changes_nothing(family: str) -> None:
    model = MODELS[family]()
    model.train()
    other = moved(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    gradient_products([model, other], PARTS)
    relative_drift(model, other)
    layer_activations(model, PARTS)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_without_numbered_layers_is_refused() -> None:
    with pytest.raises(BadModel, match="no layers under numbers"):
        layer_activations(torch.nn.Linear(2, 2), PARTS)
