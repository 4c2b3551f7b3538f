"""The loss on a plane: exact at explicitly moved models, on directions that belong to a study."""

from copy import deepcopy

import numpy as np
import pytest
import torch

from collapse.errors import BadModel, BadParameter
from collapse.language.presets import load_preset
from collapse.probes.curvature import microbatches, open_operator
from collapse.probes.mechanism import LossSlice, filter_directions, loss_slice, slice_offsets
from tests.probes.curvature_models import MODELS, SHAPE, tokens

FAMILIES = pytest.mark.parametrize("family", MODELS)
PARTS = microbatches(tokens(rows=5), size=2)


def loss(model) -> float:
    """As the Hessian's operator has it."""
    with open_operator(model, PARTS, graph="rebuild") as operator:
        return operator.loss_nats


@FAMILIES
def test_every_point_is_the_loss_of_an_explicitly_moved_model(family: str) -> None:
    model = MODELS[family]()
    first, second = filter_directions(model, seed=0)
    offsets = slice_offsets(3, 0.5)
    found = loss_slice(model, PARTS, (first, second), offsets)
    losses = found.losses()
    assert losses[1, 1] == pytest.approx(loss(model), rel=1e-6)
    for row, column in ((0, 1), (1, 2), (2, 0)):
        there = deepcopy(model)
        for name, parameter in there.named_parameters():
            if name in first:
                parameter.data += offsets[row] * first[name] + offsets[column] * second[name]
        assert losses[row, column] == pytest.approx(loss(there), rel=1e-5)
    assert len({round(float(one), 6) for one in losses.flat}) == 9


@FAMILIES
def test_filters_are_as_long_as_the_references_and_vectors_stay(family: str) -> None:
    model = MODELS[family]()
    for direction in filter_directions(model, seed=0):
        for name, weight in model.named_parameters():
            assert (name in direction) == (weight.ndim == 2), name
            if name in direction:
                # GPT-2 keeps the filters of its linear maps in columns.
                axis = 0 if family == "gpt2" and "weight" in name and ".h." in name else 1
                torch.testing.assert_close(
                    direction[name].norm(dim=axis), weight.detach().norm(dim=axis)
                )


def test_directions_belong_to_the_study_and_their_lengths_to_the_reference() -> None:
    def model(seed: int):
        return load_preset("pocket", **SHAPE, seed=seed)

    one, again, other_model, other_seed = (
        filter_directions(model(m), seed=s) for m, s in ((0, 7), (0, 7), (1, 7), (0, 8))
    )
    for name in one[0]:
        torch.testing.assert_close(one[0][name], again[0][name], rtol=0, atol=0)
        # The same directions, row by row, whatever the reference.
        rows = [torch.nn.functional.normalize(d[0][name], dim=1) for d in (one, other_model)]
        torch.testing.assert_close(rows[0], rows[1])
        assert not torch.allclose(one[0][name], other_seed[0][name])
    angles = [
        torch.nn.functional.cosine_similarity(one[0][n].flatten(), one[1][n].flatten(), dim=0)
        for n in one[0]
    ]
    assert max(abs(float(angle)) for angle in angles) < 0.5


@FAMILIES
def test_the_weights_are_never_touched(family: str) -> None:
    model = MODELS[family]()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    versions = [p._version for p in model.parameters()]
    loss_slice(model, PARTS, filter_directions(model, 0), slice_offsets(3, 1.0))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [p._version for p in model.parameters()] == versions


def test_a_tied_weight_moves_in_both_of_its_places() -> None:
    model = MODELS["tied, grouped keys, qk-norm"]()
    first, _ = filter_directions(model, 0)
    assert "model.embed_tokens.weight" in first
    assert "lm_head.weight" not in first
    only = ({"model.embed_tokens.weight": first["model.embed_tokens.weight"]},) * 2
    found = loss_slice(model, PARTS, only, slice_offsets(3, 0.5)).losses()
    there = deepcopy(model)
    there.model.embed_tokens.weight.data += 0.5 * first["model.embed_tokens.weight"]
    assert there.lm_head.weight.data_ptr() == there.model.embed_tokens.weight.data_ptr()
    assert found[2, 1] == pytest.approx(loss(there), rel=1e-5)


def test_the_mean_rise_of_a_bowl_is_its_height() -> None:
    """Loss 2 + 3 r^2 on one part and 2 + 5 r^2 on another: every point of a ring is known."""
    offsets = slice_offsets(11, 2.0)
    squared = offsets[:, None] ** 2 + offsets[None, :] ** 2
    bowl = LossSlice(offsets, np.stack([2 + 3 * squared, 2 + 5 * squared]), np.array([0.75, 0.25]))
    np.testing.assert_allclose(bowl.losses(), 2 + 3.5 * squared)
    np.testing.assert_allclose(bowl.rises(), 3.5 * squared)
    steps = np.hypot(*np.meshgrid(np.arange(-5, 6), np.arange(-5, 6)))
    for radius, in_steps in ((2.0, 5), (1.0, 2.5)):
        ring = np.abs(steps - in_steps) < 0.5
        found = bowl.mean_rise(radius)
        assert found is not None
        assert found.value == pytest.approx(3.5 * squared[ring].mean())
        assert found.value == pytest.approx(3.5 * radius**2, rel=0.1)
        assert found.standard_error is not None
        assert found.standard_error > 0


def test_a_circle_that_meets_no_point_has_no_rise() -> None:
    flat = LossSlice(slice_offsets(3, 1.0), np.zeros((1, 3, 3)), np.ones(1))
    assert flat.mean_rise(0.5) is None
    assert flat.mean_rise(1.0) is not None


@pytest.mark.parametrize(("points", "radius"), [(4, 1.0), (1, 1.0), (5, 0.0)])
def test_grids_without_a_middle_are_refused(points: int, radius: float) -> None:
    with pytest.raises(BadParameter, match="odd number"):
        slice_offsets(points, radius)


def test_directions_of_another_model_are_refused() -> None:
    one, other = (load_preset("pocket", **SHAPE | {"intermediate_size": n}) for n in (12, 16))
    with pytest.raises(BadModel, match="direction"):
        loss_slice(one, PARTS, filter_directions(other, 0), slice_offsets(3, 1.0))
