from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from collapse.errors import BadModel, BadParameter
from collapse.language.packing import PackedBatches
from collapse.language.presets import load_preset
from collapse.language.training import TrainingRecipe, train
from collapse.language.training.freezing import check_freeze

RECIPE = TrainingRecipe(
    steps=4,
    tokens_per_step=64,
    sequence_length=16,
    weight_decay=0.3,
    clip_norm=0.0,
    freeze="q_norm,k_norm",
)
STREAM = np.random.default_rng(0).integers(0, 32, 400).astype(np.int32)
SHAPE = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_attention_heads": 2,
    "qk_norm": True,
}


def model(**changes) -> nn.Module:
    return load_preset("pocket", seed=1, **SHAPE | changes)


def moved(recipe: TrainingRecipe, trained: nn.Module) -> dict[str, bool]:
    before = {name: tensor.detach().clone() for name, tensor in trained.named_parameters()}
    list(train(trained, STREAM, recipe, seed=0))
    return {
        name: not torch.equal(tensor, before[name]) for name, tensor in trained.named_parameters()
    }


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("freeze", ["q_norm,k_norm", "k_proj", "embed_tokens,layers.0."])
def test_what_is_named_keeps_its_bits_and_the_rest_moves(optimizer: str, freeze: str) -> None:
    """Matrices too, which weight decay alone would move."""
    recipe = replace(RECIPE, optimizer=optimizer, freeze=freeze)
    trained = model()
    changed = moved(recipe, trained)
    parts = freeze.split(",")
    assert changed == {name: not any(part in name for part in parts) for name in changed}
    assert len(set(changed.values())) == 2
    assert all(parameter.requires_grad for parameter in trained.parameters())
    assert all(parameter.grad is None for parameter in trained.parameters())


def test_the_same_as_a_loop_that_leaves_them_out() -> None:
    """Against torch alone, with the frozen weights not in its optimizer."""
    trained, other = model(), model()
    recipe = replace(RECIPE, freeze="q_norm,embed_tokens")
    measured = list(train(trained, STREAM, recipe, seed=7))
    left = {n: p for n, p in other.named_parameters() if "q_norm" not in n and "embed" not in n}
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in left.values() if p.ndim == 2], "weight_decay": 0.3},
            {"params": [p for p in left.values() if p.ndim == 1], "weight_decay": 0.0},
        ],
        lr=RECIPE.learning_rate,
        betas=(0.9, 0.95),
    )
    batches = PackedBatches(STREAM, 16, 4, seed=7)
    for step in range(4):
        inputs, labels = (torch.from_numpy(one) for one in batches.batch(step))
        loss = F.cross_entropy(other(inputs).logits.flatten(0, 1), labels.flatten())
        other.zero_grad()
        loss.backward()
        norm = nn.utils.get_total_norm([p.grad for p in left.values()]).item()
        assert measured[step].values["gradient/norm"] == pytest.approx(norm, rel=1e-5)
        optimizer.step()
    theirs = dict(other.named_parameters())
    for name, tensor in trained.named_parameters():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-4, atol=1e-6)


def test_it_thaws_however_training_ends() -> None:
    trained = model()
    iterator = train(trained, STREAM, RECIPE, seed=0)
    assert all(parameter.requires_grad for parameter in trained.parameters())  # not begun yet
    next(iterator)
    assert not all(parameter.requires_grad for parameter in trained.parameters())
    iterator.close()
    assert all(parameter.requires_grad for parameter in trained.parameters())


def test_another_freeze_is_another_training(tmp_path: Path) -> None:
    """The state of a training that froze other weights is not gone on from."""
    recipe = replace(RECIPE, checkpoint_every=2)
    list(train(model(), STREAM, recipe, seed=0, state_folder=tmp_path))
    steps: list[int] = []
    other = replace(recipe, freeze="v_proj")
    list(train(model(), STREAM, other, seed=0, state_folder=tmp_path, progress=steps.append))
    assert steps == [1, 2, 3, 4]


def test_what_cannot_be_frozen_is_named_at_the_call() -> None:
    trained = model()
    with pytest.raises(BadParameter, match=r"'gamma' in its name; they end in .*k_norm\.weight"):
        train(trained, STREAM, replace(RECIPE, freeze="q_norm,gamma"), seed=0)
    with pytest.raises(BadModel, match=r"freeze=model leaves no weight"):
        train(trained, STREAM, replace(RECIPE, freeze="model"), seed=0)
    assert all(parameter.requires_grad for parameter in trained.parameters())


def test_it_can_be_checked_without_weights(tmp_path: Path) -> None:
    check_freeze("pocket", {"qk_norm": True}, "q_norm,k_norm")
    check_freeze("nobody/on-the-hub", {}, "q_norm")  # its training will say
    with pytest.raises(BadParameter, match="'q_norm'"):
        check_freeze("pocket", {}, "q_norm")
    with pytest.raises(BadModel, match="no weight to train"):
        check_freeze("pocket", {}, "model")

    model().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")  # it is not read
    check_freeze(str(tmp_path), {}, "k_norm")
    with pytest.raises(BadParameter, match="'gamma'"):
        check_freeze(str(tmp_path), {}, "gamma")
    (tmp_path / "config.json").write_text('{"model_type": "no-such-type"}')
    with pytest.raises(BadModel, match="cannot be loaded"):
        check_freeze(str(tmp_path), {}, "k_norm")
