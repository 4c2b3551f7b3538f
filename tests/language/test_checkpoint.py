import json
import shutil

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from collapse.errors import BadModel, DamagedCheckpoint
from collapse.language.checkpoint import (
    is_local_model,
    load_checkpoint,
    manifest_digest,
    save_checkpoint,
)
from collapse.language.presets import load_preset


def word_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {"<e>": 0, "<p>": 1, "?": 2} | {"a": 3, "b": 4, "c": 5, "d": 6}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<e>", eos_token="<e>", pad_token="<p>"
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "saved"
    model = load_preset("pocket", vocab_size=7, qk_norm=True, seed=1)
    digest = save_checkpoint(model, word_tokenizer(), folder)
    return folder, model, digest


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved[0], tmp_path / "copy")


def test_round_trip_is_exact(saved):
    folder, model, _ = saved
    loaded, tokenizer = load_checkpoint(folder)
    expected = model.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in loaded.state_dict().items())
    assert not loaded.training
    assert loaded.dtype == torch.float32
    assert tokenizer("a d")["input_ids"] == [3, 6]
    assert tokenizer.eos_token_id == 0


def test_bfloat16_checkpoints_come_back_as_float32(tmp_path):
    model = load_preset("pocket", vocab_size=7).to(torch.bfloat16)
    save_checkpoint(model, word_tokenizer(), tmp_path)
    assert load_checkpoint(tmp_path)[0].dtype == torch.float32


def test_manifest_names_every_file_and_there_is_no_pickle(saved):
    folder, _, _ = saved
    files = {path.name for path in folder.iterdir()}
    assert set(json.loads((folder / "manifest.json").read_text())) == files - {"manifest.json"}
    assert {"model.safetensors", "config.json", "decoder.py", "tokenizer.json"} <= files
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in files)


def test_digest_stands_for_the_contents(saved, tmp_path):
    folder, model, digest = saved
    assert digest == manifest_digest(folder)
    assert save_checkpoint(model, word_tokenizer(), tmp_path / "same") == digest
    other = load_preset("pocket", vocab_size=7, qk_norm=True, seed=2)
    assert save_checkpoint(other, word_tokenizer(), tmp_path / "other") != digest


def test_a_missing_file_is_named(copy):
    (copy / "model.safetensors").unlink()
    with pytest.raises(DamagedCheckpoint, match=r"'model.safetensors' is missing"):
        load_checkpoint(copy)


def test_a_changed_byte_is_found_and_its_file_named(copy):
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    with pytest.raises(DamagedCheckpoint, match=r"'model.safetensors' is not the one"):
        load_checkpoint(copy)


def test_a_broken_manifest_is_damage_and_no_manifest_is_no_checkpoint(copy, tmp_path):
    (copy / "manifest.json").write_text('{"config.json": ')
    with pytest.raises(DamagedCheckpoint, match=r"manifest.json cannot be read"):
        load_checkpoint(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(BadModel, match=r"has no manifest.json"):
        load_checkpoint(copy)
    with pytest.raises(BadModel, match="there is no such folder"):
        load_checkpoint(tmp_path / "nowhere")


def test_is_local_model(saved, tmp_path):
    assert is_local_model(saved[0])
    assert not is_local_model(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert not is_local_model(tmp_path)
