import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from collapse.errors import BadCorpus, BadModel, BadParameter
from collapse.probes import likelihood as likelihood_module
from collapse.probes.likelihood import Likelihood, bits_per_byte, token_nll

VOCABULARY = 24


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=64,
            initializer_range=0.5,
        )
    )


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.5,
    )
    return GPT2LMHeadModel(config)


class Chain(nn.Module):
    """A first-order Markov chain with the given transition probabilities."""

    def __init__(self, transitions, context=None):
        super().__init__()
        self.log_p = nn.Parameter(torch.tensor(transitions).log())
        self.config = SimpleNamespace(max_position_embeddings=context)
        self.shapes = []

    @property
    def longest(self):
        return max(length for _, length in self.shapes)

    def forward(self, input_ids):
        self.shapes.append(tuple(input_ids.shape))
        return SimpleNamespace(logits=self.log_p[input_ids] + 3.0)  # a shift changes nothing


def sequences(count=11, seed=0):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 40, count)
    return [generator.integers(0, VOCABULARY, length).tolist() for length in lengths]


@pytest.mark.parametrize("build", [llama, gpt2])
def test_single_sequences_have_transformers_own_loss(build):
    model = build().eval()
    texts = sequences()
    likelihood = token_nll(model, texts, batch_size=4)
    for text, nll, tokens in zip(
        texts, likelihood.sequence_nll_nats, likelihood.sequence_tokens, strict=True
    ):
        ids = torch.tensor([text])
        expected = model(input_ids=ids, labels=ids).loss.item()
        assert tokens == len(text) - 1
        assert nll / tokens == pytest.approx(expected, rel=1e-5)
    assert likelihood.sequence_nll_nats.dtype == np.float64


@pytest.mark.parametrize("build", [llama, gpt2])
def test_batches_do_not_matter(build):
    model, texts = build(), sequences()
    alone = token_nll(model, texts, batch_size=1)
    for size in (3, 100):
        together = token_nll(model, texts, batch_size=size)
        np.testing.assert_allclose(
            together.sequence_nll_nats, alone.sequence_nll_nats, rtol=1e-5, atol=1e-5
        )
        assert together.entropy_nats == pytest.approx(alone.entropy_nats, rel=1e-5)
    backwards = token_nll(model, texts[::-1], batch_size=3)
    np.testing.assert_allclose(
        backwards.sequence_nll_nats[::-1], alone.sequence_nll_nats, rtol=1e-5, atol=1e-5
    )


def test_a_uniform_model_gives_log_v():
    likelihood = token_nll(Chain([[1 / 8] * 8] * 8), [[0, 1, 2], [3, 4]], batch_size=2)
    assert likelihood.nll_nats == pytest.approx(math.log(8), rel=1e-6)
    assert likelihood.entropy_nats == pytest.approx(math.log(8), rel=1e-6)
    assert likelihood.perplexity == pytest.approx(8, rel=1e-6)
    assert likelihood.sequence_tokens.tolist() == [2, 1]
    # 3 tokens of 3 bits over 9 bytes
    assert bits_per_byte(likelihood, 9) == pytest.approx(1.0, rel=1e-6)


def test_known_probabilities_come_out():
    chain = Chain([[0.5, 0.25, 0.25], [0.1, 0.9, 0.0], [1.0, 0.0, 0.0]])
    likelihood = token_nll(chain, [[0, 1, 1, 0], [2, 0]], batch_size=2)
    expected = [-math.log(0.25 * 0.9 * 0.1), 0.0]
    np.testing.assert_allclose(likelihood.sequence_nll_nats, expected, rtol=1e-6, atol=1e-7)
    half = 1.5 * math.log(2)
    tenth = -0.1 * math.log(0.1) - 0.9 * math.log(0.9)
    assert likelihood.entropy_nats == pytest.approx((half + 2 * tenth + 0) / 4, rel=1e-6)
    by_sequence = [half + 2 * tenth, 0]
    np.testing.assert_allclose(likelihood.sequence_entropy_nats, by_sequence, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(likelihood.sequence_top1, [0.5 + 0.9 + 0.9, 1.0], rtol=1e-6)


def test_longer_than_the_context_is_cut_and_every_token_counts_once():
    """A Markov chain needs one token of context, so cutting must not change its likelihood."""
    generator = np.random.default_rng(0)
    transitions = generator.dirichlet(np.ones(5), size=5).astype(np.float32)
    texts = [generator.integers(0, 5, length).tolist() for length in (2, 7, 8, 9, 10, 17, 18, 40)]
    whole = token_nll(Chain(transitions), texts, batch_size=3)
    chain = Chain(transitions, context=8)
    cut = token_nll(chain, texts, batch_size=3)
    assert chain.longest == 8
    np.testing.assert_allclose(cut.sequence_nll_nats, whole.sequence_nll_nats, rtol=1e-6)
    assert cut.entropy_nats == pytest.approx(whole.entropy_nats, rel=1e-6)
    assert cut.sequence_tokens.tolist() == [len(text) - 1 for text in texts]


@pytest.mark.parametrize(("context", "window", "longest"), [(8, 5, 5), (8, 20, 8), (None, 6, 6)])
def test_windows_are_no_longer_than_asked_for_nor_than_the_context(context, window, longest):
    generator = np.random.default_rng(0)
    transitions = generator.dirichlet(np.ones(5), size=5).astype(np.float32)
    texts = [generator.integers(0, 5, length).tolist() for length in (2, 6, 7, 17, 40)]
    whole = token_nll(Chain(transitions), texts, batch_size=3)
    chain = Chain(transitions, context=context)
    cut = token_nll(chain, texts, batch_size=3, window=window)
    assert chain.longest == longest
    np.testing.assert_allclose(cut.sequence_nll_nats, whole.sequence_nll_nats, rtol=1e-6)
    assert cut.sequence_tokens.tolist() == [len(text) - 1 for text in texts]


def test_a_window_limits_what_a_real_model_sees():
    model, text = llama(), np.random.default_rng(0).integers(0, VOCABULARY, 40).tolist()
    cut = token_nll(model, [text], batch_size=4, window=13).sequence_nll_nats[0]
    parts = [text[begin : begin + 14] for begin in (0, 13, 26)]
    expected = token_nll(model, parts, batch_size=1).sequence_nll_nats.sum()
    assert cut == pytest.approx(expected, rel=1e-5)
    whole = token_nll(model, [text], batch_size=4).sequence_nll_nats[0]
    assert cut != pytest.approx(whole, rel=1e-4)


def test_logits_of_a_batch_are_bounded_whatever_the_batch_size(monkeypatch):
    transitions = np.random.default_rng(0).dirichlet(np.ones(5), size=5).astype(np.float32)
    texts = [[1, 2, 3] * length for length in range(1, 30)] + [[1, 2]] * 40
    free, bounded = Chain(transitions), Chain(transitions)
    expected = token_nll(free, texts, batch_size=16)
    budget = 4 * 5 * 120  # of float32 logits: 120 tokens
    monkeypatch.setattr(likelihood_module, "LOGITS_BYTES", budget)
    found = token_nll(bounded, texts, batch_size=16)
    assert max(rows * length for rows, length in free.shapes) > 120
    assert max(rows * length for rows, length in bounded.shapes) <= 120
    assert max(rows for rows, _ in bounded.shapes) == 16  # short ones still go together
    np.testing.assert_allclose(found.sequence_nll_nats, expected.sequence_nll_nats, rtol=1e-6)
    assert found.entropy_nats == pytest.approx(expected.entropy_nats, rel=1e-6)
    monkeypatch.setattr(likelihood_module, "LOGITS_BYTES", 1)
    alone = Chain(transitions)
    found = token_nll(alone, texts, batch_size=16)
    assert {rows for rows, _ in alone.shapes} == {1}
    np.testing.assert_allclose(found.sequence_nll_nats, expected.sequence_nll_nats, rtol=1e-6)


def test_a_large_vocabulary_is_measured_a_few_rows_at_a_time():
    class Wide(Chain):
        def forward(self, input_ids):
            self.shapes.append(tuple(input_ids.shape))
            # Expanded, so that the test itself needs no such memory.
            return SimpleNamespace(logits=self.log_p[0, 0].expand(*input_ids.shape, 60_000))

    wide = Wide([[1.0]])
    found = token_nll(wide, [[1] * 301] * 5, batch_size=5)
    assert wide.shapes[1:] == [(3, 300), (2, 300)]  # 3 x 300 x 60,000 x 4 bytes < 2^28
    assert found.nll_nats == pytest.approx(math.log(60_000), rel=1e-5)


def test_windows_of_a_real_model_begin_anew():
    model = llama().eval()
    text = np.random.default_rng(0).integers(0, VOCABULARY, 100).tolist()
    nll = token_nll(model, [text], batch_size=2).sequence_nll_nats[0]
    parts = [text[:65], text[64:]]
    expected = token_nll(model, parts, batch_size=1).sequence_nll_nats.sum()
    assert nll == pytest.approx(expected, rel=1e-6)


def test_a_decoder_that_sees_its_padding_is_given_the_mask():
    """An average over all visible tokens, future ones too: padding must not enter it."""

    class Bag(Chain):
        def forward(self, input_ids, attention_mask):
            p = self.log_p.exp()[input_ids] * attention_mask[..., None]
            mean = p.sum(1, keepdim=True) / attention_mask.sum(1)[:, None, None]
            return SimpleNamespace(logits=mean.log().expand(p.shape))

    bag = Bag(np.random.default_rng(0).dirichlet(np.ones(5), size=5).astype(np.float32))
    bag.config.causal = False
    texts = [[0, 1, 2, 3, 4, 0, 1], [3, 2], [4, 4, 1]]
    alone = token_nll(bag, texts, batch_size=1)
    together = token_nll(bag, texts, batch_size=3)
    np.testing.assert_allclose(together.sequence_nll_nats, alone.sequence_nll_nats, rtol=1e-5)


def test_the_model_is_left_as_it_was():
    model = gpt2().train()
    model.transformer.drop.eval()
    before = {name: p.clone() for name, p in model.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = token_nll(model, sequences(), batch_size=4)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training
    assert not model.transformer.drop.training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(p, before[name]) for name, p in model.state_dict().items())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        second = token_nll(model, sequences(), batch_size=4)
    assert (first.sequence_nll_nats == second.sequence_nll_nats).all()


def unsure(nll, tokens):
    """Likelihoods of which nothing is known beside them."""
    return Likelihood(nll, tokens, np.zeros(len(nll)), np.zeros(len(nll)))


def test_standard_error_of_equal_lengths_is_the_textbooks():
    nll = np.array([4.0, 6.0, 11.0, 3.0])
    likelihood = unsure(nll, np.full(4, 2))
    assert likelihood.nll_nats == 3.0
    assert likelihood.nll_nats_se == pytest.approx(np.std(nll / 2, ddof=1) / 2)
    assert math.isnan(unsure(nll[:1], np.array([2])).nll_nats_se)


def test_standard_error_covers_the_spread_over_samples():
    """Unequal lengths: against the spread of the estimate over repeated samples."""
    generator = np.random.default_rng(0)

    def draw():
        tokens = generator.integers(5, 60, 200)
        rate = generator.normal(2.0, 0.5, 200)
        return unsure(rate * tokens, tokens)

    samples = [draw() for _ in range(400)]
    spread = np.std([s.nll_nats for s in samples])
    assert np.mean([s.nll_nats_se for s in samples]) == pytest.approx(spread, rel=0.1)


def test_bad_input_is_named():
    model = llama()
    with pytest.raises(BadCorpus, match="no sequences"):
        token_nll(model, [], batch_size=1)
    with pytest.raises(BadCorpus, match=r"sequence 1 has 1 token"):
        token_nll(model, [[1, 2], [3]], batch_size=1)
    with pytest.raises(BadParameter, match="batch_size is 0"):
        token_nll(model, [[1, 2]], batch_size=0)
    with pytest.raises(BadParameter, match="window is 0"):
        token_nll(model, [[1, 2]], batch_size=1, window=0)
    with pytest.raises(BadModel, match="bfloat16"):
        token_nll(model.to(torch.bfloat16), [[1, 2]], batch_size=1)
    with pytest.raises(BadParameter, match="byte_count is 0"):
        bits_per_byte(unsure(np.ones(1), np.ones(1)), 0)
