"""Any Hugging Face causal language model goes through the same doors."""

from pathlib import Path

import mlflow
import pytest

from tests.conftest import MICRO, open_door

WITHOUT_OVERRIDES = [
    word
    for pair in zip(MICRO[::2], MICRO[1::2], strict=True)
    for word in pair
    if pair[0] not in {"--preset_overrides", "--vocabulary_size"}
]


def qwen2(vocabulary: int):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=128,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def gpt2(vocabulary: int):
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_embd=32,
            n_layer=1,
            n_head=4,
            n_positions=128,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


@pytest.mark.parametrize("make", [qwen2, gpt2])
def test_a_model_folder_is_trained_sampled_and_registered(make, tmp_path: Path) -> None:
    import torch

    from collapse.language.corpora.stories import world
    from collapse.language.tokenizer import train_tokenizer
    from collapse.numerics.streams import numpy_stream

    texts = world("stories").sample(300, numpy_stream(0, "tokenizer"))
    tokenizer = train_tokenizer(texts, kind="bpe", vocabulary_size=300)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make(len(tokenizer))
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    made = open_door(
        tmp_path, "recurse_step", "--generation", "1", "--preset", "./model", *WITHOUT_OVERRIDES
    )
    assert made.returncode == 0, made.stderr
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    version = client.get_model_version_by_alias("quickstart.replace.seed0", "gen-1")
    assert version.tags["generation"] == "1"
    run = client.get_run(version.run_id)
    assert run.data.metrics["train/parameters"] == sum(p.numel() for p in model.parameters())
    # It started from the folder's weights, not from new ones: three steps cannot undo much.
    assert run.data.params["preset"] == "./model"


def test_a_tokenizer_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    gpt2(20).save_pretrained(folder)
    words = ["--tokenizer", "characters", "--preset", "./model", "--generation", "1"]
    made = open_door(tmp_path, "recurse_step", *WITHOUT_OVERRIDES, *words)
    assert made.returncode == 2
    assert "tokenizer" in made.stderr.strip().splitlines()[-1]
    assert "Traceback" not in made.stderr
