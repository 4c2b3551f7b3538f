import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from collapse.errors import BadParameter
from collapse.language.sampling.choice import Decoding, token_probabilities
from collapse.probes.decoded import OUTSIDE_MASS, decoded_nll
from collapse.probes.likelihood import token_nll

VOCABULARY = 24


class Bigram(nn.Module):
    """Next-token logits that depend on the last token alone."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.as_tensor(logits, dtype=torch.float32))
        self.config = SimpleNamespace(max_position_embeddings=None)

    def forward(self, input_ids):
        return SimpleNamespace(logits=self.logits[input_ids])


def bigram(seed=0, size=VOCABULARY):
    return Bigram(2 * np.random.default_rng(seed).normal(size=(size, size)))


def texts(count=7, seed=0):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 30, count)
    return [generator.integers(0, VOCABULARY, length).tolist() for length in lengths]


def naive(model, text, decoding):
    """Token by token in float64, sorting the whole vocabulary."""
    nll, outside = 0.0, 0
    for last, token in itertools.pairwise(text):
        logits = model.logits[last].detach().double().numpy() / decoding.temperature
        p = np.exp(logits - logits.max())
        p /= p.sum()
        order = np.argsort(-p)
        kept = order[: decoding.top_k] if decoding.top_k else order
        of_kept = p[kept] / p[kept].sum()
        count = next(
            n
            for n in range(1, len(kept) + 1)
            if of_kept[:n].sum() >= decoding.top_p or n == len(kept)
        )
        kept = kept[:count]
        rest = 1 - p[kept].sum() if count < len(p) else 0.0
        left = min(rest, OUTSIDE_MASS)
        if token in kept:
            nll -= math.log(p[token] / p[kept].sum() * (1 - left))
        else:
            outside += 1
            nll -= math.log(p[token] / rest * left)
    return nll, outside


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(0.7),
        Decoding(0.7, top_k=5),
        Decoding(0.7, top_p=0.9),
        Decoding(0.7, 5, 0.9),
        Decoding(1.3, 0, 0.5),
        Decoding(1.0, VOCABULARY, 1.0),
    ],
)
def test_it_is_what_a_loop_over_tokens_says(decoding):
    model = bigram()
    found = decoded_nll(model, texts(), decoding, batch_size=3)
    expected = [naive(model, text, decoding) for text in texts()]
    np.testing.assert_allclose(found.sequence_nll_nats, [nll for nll, _ in expected], rtol=1e-4)
    assert found.sequence_outside.tolist() == [outside for _, outside in expected]
    assert (found.sequence_outside.sum() > 0) == (decoding.top_k == 5 or decoding.top_p < 1)


@pytest.mark.parametrize("decoding", [Decoding(0.8, 3), Decoding(1.0, 0, 0.7), Decoding(2.0)])
def test_all_tokens_together_have_probability_one_and_the_kept_are_the_samplers(decoding):
    model = bigram(size=9)
    pairs = list(itertools.product(range(9), repeat=2))
    found = decoded_nll(model, pairs, decoding, batch_size=9)
    p_9x9 = np.exp(-found.sequence_nll_nats).reshape(9, 9)
    np.testing.assert_allclose(p_9x9.sum(axis=1), 1, rtol=1e-5)
    drawn_9x9 = token_probabilities(model.logits.detach(), decoding).numpy()
    np.testing.assert_allclose(p_9x9, drawn_9x9, atol=1.01 * OUTSIDE_MASS)
    assert ((drawn_9x9 == 0).ravel() == (found.sequence_outside == 1)).all()


def test_without_a_temperature_or_filters_it_is_the_models_own_likelihood():
    model = bigram()
    found = decoded_nll(model, texts(), Decoding(), batch_size=3)
    own = token_nll(model, texts(), batch_size=3)
    np.testing.assert_allclose(found.sequence_nll_nats, own.sequence_nll_nats, rtol=1e-7)


def test_what_the_filters_leave_out_is_never_likelier_than_before():
    model = Bigram([[0.0, -30.0, -31.0]] * 3)
    found = decoded_nll(model, [[0, 1]], Decoding(top_k=1), batch_size=1)
    assert found.sequence_nll_nats[0] == pytest.approx(30.0, rel=1e-6)


def test_greedy_decoding_is_refused():
    with pytest.raises(BadParameter, match="temperature is 0"):
        decoded_nll(bigram(), texts(), Decoding(0), batch_size=3)
