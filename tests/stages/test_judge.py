import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from collapse.errors import BadCorpus, BadModel
from collapse.language.corpora.stories import world
from collapse.language.pretrained import check_judge
from collapse.language.tokenizer import train_tokenizer
from collapse.numerics.mauve import Mauve
from collapse.numerics.streams import numpy_stream
from collapse.probes.judge import (
    Judge,
    load_judge,
    shuffle_sentences,
    split_sentences,
    text_features,
)
from collapse.stages.judge import JudgeCard, train_judge
from collapse.stages.quality import judged as judged_module
from collapse.stages.quality.judged import judge_coherence, judge_mauve

STORIES = world("stories")

TINY = {"steps": 3, "vocabulary_size": 300}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return STORIES.sample(120, numpy_stream(0, "judge test"))


@pytest.fixture(scope="module")
def trained(texts, tmp_path_factory) -> tuple[Path, JudgeCard]:
    folder = tmp_path_factory.mktemp("judge") / "judge"
    return folder, train_judge(texts, folder, seed=0, **TINY)


class KnownFeatures(nn.Module):
    """Each word's own random direction, mixed with the mean of all words before it."""

    config = SimpleNamespace(max_position_embeddings=None)

    def __init__(self, entries: int, *, memory: float, width: int = 64) -> None:
        super().__init__()
        self.memory = memory
        rows = numpy_stream(0, "known features").standard_normal((entries, width))
        self.rows = nn.Parameter(torch.from_numpy(rows).float())

    def forward(self, input_ids, attention_mask):
        own_BxLxD = self.rows[input_ids]
        places_Lx1 = torch.arange(1, input_ids.shape[1] + 1)[:, None]
        before_BxLxD = own_BxLxD.cumsum(dim=1) / places_Lx1
        return SimpleNamespace(last_hidden_state=own_BxLxD + self.memory * before_BxLxD)


TOPICS = [["cat", "dog", "hen"], ["rain", "sun", "snow"], ["tea", "milk", "rice"]]


def tales(count: int, *, seed: int) -> list[str]:
    """Texts of five sentences whose words are all of one of three topics."""
    rng = numpy_stream(seed, "tales")
    texts = []
    for _ in range(count):
        words = TOPICS[rng.integers(3)]
        sentences = [f"A {rng.choice(words)} and a {rng.choice(words)}." for _ in range(5)]
        texts.append(" ".join(sentences))
    return texts


def shuffled_between(texts: list[str]) -> list[str]:
    sentences = [split_sentences(text) for text in texts]
    return [" ".join(one) for one in shuffle_sentences(sentences, numpy_stream(1, "between"))]


@pytest.fixture(scope="module")
def known() -> Judge:
    tokenizer = train_tokenizer(tales(200, seed=9), kind="bpe", vocabulary_size=280)
    return Judge("known", KnownFeatures(280, memory=0.0), tokenizer)


def test_a_judge_is_a_function_of_text_and_seed(texts, trained, tmp_path):
    _, card = trained
    assert card == train_judge(texts, tmp_path / "again", seed=0, **TINY)
    assert card.digest != train_judge(texts, tmp_path / "other", seed=1, **TINY).digest
    assert (card.documents, card.steps) == (120, 3)


def test_nothing_global_is_drawn_from(texts, tmp_path):
    before = torch.get_rng_state()
    steps_done = []
    train_judge(texts, tmp_path, seed=0, advance=steps_done.append, **TINY)
    assert torch.equal(torch.get_rng_state(), before)
    assert steps_done == [1, 1, 1]


def test_a_small_text_is_not_gone_through_too_often(texts, tmp_path):
    few = texts[:10]
    card = train_judge(few, tmp_path, seed=0, steps=400, vocabulary_size=300)
    assert card.steps == 10 * card.tokens // 2048
    assert 1 < card.steps < 40


def test_a_large_text_is_not_read_whole(texts, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("collapse.stages.judge.MOST_CHARACTERS", sum(map(len, texts[:60])))
    card = train_judge(texts, tmp_path, seed=0, **TINY)
    assert card.documents == 60
    assert card.tokens < trained[1].tokens


def test_too_little_text_is_refused(tmp_path):
    with pytest.raises(BadCorpus, match="a BPE of 300 entries"):
        train_judge(["Rain."], tmp_path, seed=0, steps=9, vocabulary_size=300)


def test_what_was_trained_is_what_is_loaded(texts, trained):
    folder, _ = trained
    judge = load_judge(folder)
    assert judge.window == 255  # the context, less the start token
    features_NxD = text_features(judge, texts[:5])
    assert features_NxD.shape == (5, 128)
    assert np.array_equal(features_NxD, text_features(load_judge(str(folder)), texts[:5]))


def test_other_models_judge_by_their_last_hidden_state(texts, tmp_path):
    tokenizer = train_tokenizer(texts, kind="bpe", vocabulary_size=300)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        gpt2 = GPT2LMHeadModel(
            GPT2Config(vocab_size=300, n_embd=16, n_layer=1, n_head=2, n_positions=64)
        ).eval()
        t5 = T5ForConditionalGeneration(
            T5Config(vocab_size=300, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2)
        ).eval()
    for name, model, body in (("gpt2", gpt2, gpt2.transformer), ("t5", t5, t5.get_encoder())):
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        found = text_features(load_judge(tmp_path / name), texts[:4])
        expected = text_features(Judge(name, body, tokenizer), texts[:4])
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert found.std() > 0


def test_a_judge_with_random_weights_is_refused(trained, tmp_path):
    folder, _ = trained
    config = GPT2Config(vocab_size=300, n_embd=16, n_layer=1, n_head=2, n_positions=64)
    model = GPT2LMHeadModel(config)
    weights = model.state_dict()
    del weights["transformer.h.0.ln_1.weight"]
    model.save_pretrained(tmp_path, state_dict=weights)
    for file in folder.glob("tokenizer*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BadModel, match="ln_1"):
        load_judge(tmp_path)


def test_judges_that_cannot_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadModel, match=r"config\.json and "):
        check_judge(str(tmp_path))
    with pytest.raises(BadModel, match="no such folder"):
        check_judge("./nowhere")
    with pytest.raises(BadModel, match="not cached"):
        check_judge("nobody/nothing")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard_of"}))
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert check_judge(str(tmp_path))
    with pytest.raises(BadModel, match="cannot be loaded"):
        load_judge(tmp_path)


def test_shuffled_texts_are_less_coherent(known):
    human, texts = tales(60, seed=0), tales(60, seed=1)
    original = judge_coherence(known, human, texts, seed=0)
    shuffled = judge_coherence(known, human, shuffled_between(texts), seed=0)
    assert original.left_out == shuffled.left_out == {}
    high, low = (one.by_text["quality/coherence"] for one in (original, shuffled))
    assert len(high) == 60
    error = np.sqrt(high.var() / len(high) + low.var() / len(low))
    assert high.mean() > low.mean() + 8 * error
    # What shuffling gives is foretold by the texts in their own order.
    expected = original.values["quality/coherence_shuffled"]
    assert shuffled.values["quality/coherence"] == pytest.approx(expected, abs=4 * error)
    assert abs(shuffled.values["quality/coherence_excess"]) < 4 * error
    # Human text stands beside both, the same, and is as coherent as other text of its kind.
    of_human = original.values["quality/coherence_human"]
    assert of_human == shuffled.values["quality/coherence_human"]
    assert of_human == pytest.approx(original.values["quality/coherence"], abs=4 * error)


def test_the_excess_is_paired_and_means_are_of_what_is_handed_over(known):
    texts = [*tales(30, seed=1), "One sentence.", ""]
    found = judge_coherence(known, tales(30, seed=0), texts, seed=0)
    own, other, excess = (
        found.by_text[f"quality/coherence{name}"] for name in ("", "_shuffled", "_excess")
    )
    assert len(own) == 30
    np.testing.assert_allclose(excess, own - other)
    for name, values in found.by_text.items():
        assert found.values[name] == pytest.approx(values.mean())


def test_what_a_judge_carries_over_is_no_excess(known):
    """With a memory every next sentence is alike the one before, whatever it says."""
    human, texts = tales(60, seed=0), shuffled_between(tales(60, seed=1))
    forgetful = judge_coherence(known, human, texts, seed=0).values
    remembering = Judge("remembering", KnownFeatures(280, memory=3.0), known.tokenizer)
    found = judge_coherence(remembering, human, texts, seed=0).values
    assert found["quality/coherence"] > forgetful["quality/coherence"] + 0.3
    assert abs(found["quality/coherence_excess"]) < 0.1


def test_one_sentence_for_ever_is_not_taken_for_coherent(known):
    stuck = ["A cat and a dog. A cat and a dog. A cat and a dog."] * 20
    found = judge_coherence(known, tales(20, seed=0), stuck, seed=0).values
    assert found["quality/coherence"] > 0.7
    assert found["quality/coherence_excess"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("human", "samples", "said"),
    [
        (["x = {1: 2}\n"], ["One. Two."], "no prose"),
        (["One."], ["One. Two."], "no human text"),
        (["One. Two."], ["One", ""], "no sample"),
    ],
)
def test_coherence_that_cannot_be_measured(known, human, samples, said):
    found = judge_coherence(known, human, samples, seed=0)
    assert found.values == {}
    assert said in found.left_out["quality/coherence"]


def test_mauve_of_too_few_texts_is_left_out_before_any_work(texts):
    found = judge_mauve(None, texts, texts, seed=0)
    assert found.values == {}
    assert "120 texts a side" in found.left_out["quality/mauve"]


def test_mauve_without_its_package_is_left_out_before_any_work_and_said_once(
    texts, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, "mauve", None)
    judged_module._say_once.cache_clear()
    many = texts * 10
    for _ in range(2):
        found = judge_mauve(None, many, many, seed=0)
        assert found.values == {}
        assert "pip install -e '.[mauve]'" in found.left_out["quality/mauve"]
    assert len(caplog.messages) == 1
    assert "quality/mauve is not measured" in caplog.text


def test_mauve_and_its_ceiling_have_as_many_texts(texts, known, monkeypatch):
    asked = []

    def score(p_NxD, q_MxD, *, seed):
        asked.append(min(len(p_NxD), len(q_MxD)))
        return Mauve(0.5, asked[-1])

    def ceiling(human_NxD, *, seed, texts):
        return Mauve(None, texts, f"{len(human_NxD)} are few")

    monkeypatch.setattr(judged_module, "mauve", score)
    monkeypatch.setattr(judged_module, "human_ceiling", ceiling)
    many = (texts * 20)[:2100]
    found = judge_mauve(known, many, many[:1100], seed=0)
    assert asked == [1100]
    assert found.values == {"quality/mauve": 0.5}
    assert found.left_out == {"quality/mauve_human": "2100 are few"}
