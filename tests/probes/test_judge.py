from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
import tokenizers
import torch
from torch import nn
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from collapse.errors import BadCorpus, BadModel
from collapse.language.presets import load_preset
from collapse.language.tokenizer import encode_documents, train_tokenizer
from collapse.probes.judge import (
    Judge,
    reads_as_prose,
    sentence_features,
    shuffle_sentences,
    split_sentences,
    text_features,
)
from collapse.probes.judge import features as features_module

TEXTS = [
    "The cat sat.",
    "A dog ran home, and the cat sat by the door until the evening came.",
    "Rain.",
    "The old man told the child a story of a dog, a cat and a door that would not open.",
    "The cat sat.",
]


def our_judge(context=64) -> Judge:
    tokenizer = train_tokenizer(TEXTS, kind="bpe", vocabulary_size=300)
    model = load_preset(
        "pocket", seed=0, vocab_size=300, max_position_embeddings=context, initializer_range=0.5
    )
    return Judge("ours", model.base_model, tokenizer)


def bert_judge(context=64) -> Judge:
    """An encoder: it would see padding that is not masked, and its tokenizer frames every text."""
    specials = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    words = sorted({word for text in TEXTS for word in text.split()} - {"a"})
    entries = {word: place for place, word in enumerate([*specials, "a", *words])}
    bare = tokenizers.Tokenizer(tokenizers.models.WordLevel(entries, unk_token="[UNK]"))
    bare.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    bare.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="[PAD]")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(entries),
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=context,
            initializer_range=0.5,
        )
        return Judge("bert", BertModel(config), tokenizer)


JUDGES = {"ours": (our_judge, [0], []), "bert": (bert_judge, [1], [2])}


def by_hand(judge: Judge, before, after, pieces) -> np.ndarray:
    """Mean over the tokens of all pieces, each read alone inside the frame, without padding."""
    judge.body.eval()
    states = []
    for ids in pieces:
        with torch.no_grad():
            hidden = judge.body(input_ids=torch.tensor([[*before, *ids, *after]]))
        end = len(before) + len(ids)
        states.append(hidden.last_hidden_state[0, len(before) : end])
    return torch.cat(states).mean(dim=0).numpy()


@pytest.mark.parametrize("kind", JUDGES)
def test_the_mean_over_a_texts_own_tokens(kind):
    build, before, after = JUDGES[kind]
    judge = build()
    assert (judge.frame.before, judge.frame.after) == (before, after)
    found_NxD = text_features(judge, TEXTS)
    assert found_NxD.dtype == np.float32
    for text, found_D in zip(TEXTS, found_NxD, strict=True):
        pieces = encode_documents(judge.tokenizer, [text])
        expected_D = by_hand(judge, before, after, pieces)
        np.testing.assert_allclose(found_D, expected_D, atol=2e-5)


@pytest.mark.parametrize("kind", JUDGES)
def test_the_company_does_not_matter(kind, monkeypatch):
    judge = JUDGES[kind][0]()
    together_NxD = text_features(judge, TEXTS)
    assert np.array_equal(together_NxD[0], together_NxD[-1])
    backwards_NxD = text_features(judge, TEXTS[::-1])[::-1]
    np.testing.assert_allclose(backwards_NxD, together_NxD, atol=2e-5)
    monkeypatch.setattr(features_module, "TOKENS_AT_ONCE", 1)
    np.testing.assert_allclose(text_features(judge, TEXTS), together_NxD, atol=2e-5)
    assert np.abs(together_NxD[0] - together_NxD[1]).max() > 0.1


@pytest.mark.parametrize("kind", JUDGES)
def test_a_long_text_is_read_in_windows(kind):
    build, before, after = JUDGES[kind]
    judge = build(context=8)
    length = 8 - len(before) - len(after)
    assert judge.window == length
    text = TEXTS[3]
    [ids] = encode_documents(judge.tokenizer, [text])
    assert len(ids) > 2 * length
    assert len(ids) % length  # the last window counts for less
    pieces = [ids[begin : begin + length] for begin in range(0, len(ids), length)]
    expected_D = by_hand(judge, before, after, pieces)
    np.testing.assert_allclose(text_features(judge, [text, "Rain."])[0], expected_D, atol=2e-5)


@pytest.mark.parametrize("kind", JUDGES)
def test_an_empty_text_is_its_frame(kind):
    build, before, after = JUDGES[kind]
    judge = build()
    found_D = text_features(judge, ["", *TEXTS])[0]
    expected_D = by_hand(judge, [], [], [[*before, *after]])
    np.testing.assert_allclose(found_D, expected_D, atol=2e-5)


SENTENCES = [
    ["The cat sat.", "A dog ran home.", "Rain."],
    ["Rain."],
    [],
    ["The old man told the child a story of a dog.", "The cat sat."],
]


@pytest.mark.parametrize("kind", JUDGES)
def test_sentences_are_read_in_their_place(kind):
    build, before, after = JUDGES[kind]
    judge = build()
    judge.body.eval()
    found = sentence_features(judge, SENTENCES)
    assert (found.sentences_P, found.text_P, found.texts) == ([3, 1, 2], [0, 1, 3], 4)
    row = 0
    for text in filter(None, SENTENCES):
        whole = " ".join(text)
        [ids] = encode_documents(judge.tokenizer, [whole])
        with torch.no_grad():
            hidden = judge.body(input_ids=torch.tensor([[*before, *ids, *after]]))
        begin = len(before)
        for place, sentence in enumerate(text):
            [own] = encode_documents(judge.tokenizer, [" " * (place > 0) + sentence])
            expected_D = hidden.last_hidden_state[0, begin : begin + len(own)].mean(dim=0)
            np.testing.assert_allclose(found.features_SxD[row], expected_D, atol=2e-5)
            begin += len(own)
            row += 1
        assert begin + len(after) == hidden.last_hidden_state.shape[1]


def test_every_two_neighbours_are_read_together_once():
    judge = our_judge(context=41)  # 40 tokens at once
    text = [f"The {word} cat sat by the door." for word in ("old", "man", "dog", "child", "story")]
    sizes = [len(ids) for ids in encode_documents(judge.tokenizer, text[:1])]
    assert 2 * (max(sizes) + 4) <= 40 < 5 * min(sizes)
    found = sentence_features(judge, [["Rain."], text, ["Rain."]])
    of_text = [n for n, index in zip(found.sentences_P, found.text_P, strict=True) if index == 1]
    assert len(of_text) > 1
    assert sum(of_text) - len(of_text) == 4  # pairs
    # The first sentence of a passage is read as the first of a text is.
    again = sentence_features(judge, [[" " + text[of_text[0] - 1]]]).features_SxD[0]
    np.testing.assert_allclose(found.features_SxD[1 + of_text[0]], again, atol=2e-5)


def test_of_an_endless_sentence_half_a_window_is_read():
    judge = our_judge(context=21)
    endless = "cat " * 60
    found = sentence_features(judge, [[endless, "Rain."]])
    assert found.sentences_P == [2]
    [ids] = encode_documents(judge.tokenizer, [endless])
    expected_D = by_hand(judge, [0], [], [ids[:10]])
    np.testing.assert_allclose(found.features_SxD[0], expected_D, atol=2e-5)


def test_shuffling_keeps_sentences_and_sizes():
    texts = [[f"{text} {place}" for place in range(text)] for text in range(9)]
    shuffled = shuffle_sentences(texts, np.random.default_rng(0))
    assert [len(text) for text in shuffled] == [len(text) for text in texts]
    assert sorted(chain(*shuffled)) == sorted(chain(*texts))
    assert len({sentence.split()[0] for sentence in shuffled[8]}) > 3


def test_nothing_is_random_and_modes_are_put_back():
    judge = bert_judge()
    judge.body.train()  # BERT has dropout
    assert np.array_equal(text_features(judge, TEXTS), text_features(judge, TEXTS))
    assert all(module.training for module in judge.body.modules())


def test_what_stands_in_the_padding_does_not_count():
    class Blind(nn.Module):
        """Not a number wherever there is padding."""

        config = SimpleNamespace()

        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(300, 4)

        def forward(self, input_ids, attention_mask):
            states = self.embedding(input_ids)
            states[attention_mask == 0] = torch.nan
            return SimpleNamespace(last_hidden_state=states)

    judge = Judge("blind", Blind(), our_judge().tokenizer)
    assert judge.window == 1023
    assert np.isfinite(text_features(judge, TEXTS)).all()


def test_what_cannot_be_judged():
    judge = our_judge()
    with pytest.raises(BadCorpus, match="no texts"):
        text_features(judge, [])
    unframed = Judge("unframed", judge.body, our_judge().tokenizer)
    unframed.tokenizer.bos_token = None
    with pytest.raises(BadCorpus, match="a text has no token"):
        text_features(unframed, ["Rain.", ""])
    judge.body.to(torch.bfloat16)
    with pytest.raises(BadModel, match="bfloat16"):
        text_features(judge, TEXTS)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Tom ran. Ann sat.", ["Tom ran.", "Ann sat."]),
        ("Tom ran! Did he? Yes… He did.", ["Tom ran!", "Did he?", "Yes…", "He did."]),
        ("Mr. Brown saw Dr. J. Smith. They sat.", ["Mr. Brown saw Dr. J. Smith.", "They sat."]),
        ("It was I. Then he came.", ["It was I.", "Then he came."]),
        ("Fruit, e.g. pears, cost 3.14 each. So what?", None),
        ('"Where is it?" asked Tom. "Here," said Ann.', None),
        ('He said: "Stop!" Ann stopped.', ['He said: "Stop!"', "Ann stopped."]),
        ("Well... maybe it is. Or not.", ["Well... maybe it is.", "Or not."]),
        ("the cat sat. the dog ran.", ["the cat sat.", "the dog ran."]),
        ("A line\nthat goes on. Next.", ["A line\nthat goes on.", "Next."]),
        ("A title\n\nAnd a text", ["A title", "And a text"]),
        ("(He left.) She stayed.", ["(He left.)", "She stayed."]),
        ("One. ... ! Two.", ["One.", "Two."]),
        ("no mark at all", ["no mark at all"]),
        ("  ", []),
        ("", []),
    ],
)
def test_sentences(text, sentences):
    found = split_sentences(text)
    if sentences is None:
        assert len(found) == 2
    else:
        assert found == sentences


def test_sentences_lose_no_word():
    text = 'Once upon a time, Ms. Lee lost 2.5 kg. "Why?" asked he. He knew... or not!\n\nThe end'
    assert " ".join(split_sentences(text)).split() == text.split()


def test_prose_and_what_is_none():
    assert reads_as_prose(['"Well," said the 3rd man—an old friend\'s—"it\'s late; (go)!"'])
    assert not reads_as_prose(["for i in range(10):\n    total[i] += self.weights[i] * 2\n"])
    assert not reads_as_prose([])
