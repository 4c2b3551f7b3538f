"""Log-likelihoods of continuations, beside one forward pass for each."""

from typing import Any

import numpy as np
import pytest
import torch

from collapse.errors import BadModel, BadParameter
from collapse.language.presets import load_preset
from collapse.probes import continuations
from collapse.probes.continuations import score_continuations

VOCABULARY = 50


def a_model(**more: Any) -> Any:
    shape = {
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "initializer_range": 0.5,
    }
    return load_preset("pocket", seed=1, **(shape | more)).eval()


def drawn_pairs(count: int) -> list[tuple[list[int], list[int]]]:
    rng = np.random.default_rng(0)
    return [
        (
            rng.integers(VOCABULARY, size=rng.integers(1, 30)).tolist(),
            rng.integers(VOCABULARY, size=rng.integers(1, 6)).tolist(),
        )
        for _ in range(count)
    ]


def alone(model: Any, context: list[int], continuation: list[int]) -> tuple[float, bool]:
    """By the definition, one token after another, and nothing in a batch."""
    ids, total, greedy = list(context), 0.0, True
    for token in continuation:
        with torch.no_grad():
            log_p_V = model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        total += float(log_p_V[token])
        greedy &= int(log_p_V.argmax()) == token
        ids.append(token)
    return total, greedy


def greedy_tokens(model: Any, context: list[int], count: int) -> list[int]:
    ids = list(context)
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(context) :]


@pytest.mark.parametrize("budget", [1, 64, 4096])
def test_batches_say_what_each_pair_says_alone(budget: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(continuations, "CPU_TOKENS", budget)
    model, pairs = a_model(), drawn_pairs(12)
    for found, pair in zip(score_continuations(model, pairs), pairs, strict=True):
        nats, greedy = alone(model, *pair)
        assert found.log_likelihood_nats == pytest.approx(nats, abs=1e-4)
        assert found.is_greedy == greedy


def test_the_likeliest_tokens_are_known_as_such_and_one_other_token_is_enough() -> None:
    model = a_model()
    own = greedy_tokens(model, [3, 4, 5], 4)
    for place in range(4):
        other = list(own)
        other[place] = (own[place] + 1) % VOCABULARY
        found = score_continuations(model, [([3, 4, 5], own), ([3, 4, 5], other)])
        assert [one.is_greedy for one in found] == [True, False]
        assert found[0].log_likelihood_nats != found[1].log_likelihood_nats


def test_answers_of_one_token_share_a_row() -> None:
    model = a_model()
    seen: list[int] = []
    model.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(kwargs["input_ids"].shape[0]), with_kwargs=True
    )
    found = score_continuations(model, [([3, 4, 5], [token]) for token in range(VOCABULARY)])
    assert seen == [1]
    assert sum(np.exp(one.log_likelihood_nats) for one in found) == pytest.approx(1, abs=1e-5)


def test_a_context_that_is_too_long_loses_its_beginning() -> None:
    model = a_model()
    context, continuation = list(range(40)), [7, 8]
    found = score_continuations(model, [(context, continuation)], window=10)[0]
    assert found.log_likelihood_nats == pytest.approx(
        alone(model, context[-9:], continuation)[0], abs=1e-4
    )


def test_padding_is_not_seen_by_a_decoder_without_a_causal_mask() -> None:
    model = a_model(causal=False)
    pairs = [([1, 2, 3], [4]), (list(range(20)), [5])]
    together = score_continuations(model, pairs)
    apart = [score_continuations(model, [pair])[0] for pair in pairs]
    for one, other in zip(together, apart, strict=True):
        assert one.log_likelihood_nats == pytest.approx(other.log_likelihood_nats, abs=1e-5)


def test_every_pair_is_told_once() -> None:
    told: list[int] = []
    score_continuations(a_model(), drawn_pairs(30), advance=told.extend)
    assert sorted(told) == list(range(30))


def test_memory_that_is_exceeded_halves_the_batch(monkeypatch: Any) -> None:
    model, pairs = a_model(), drawn_pairs(16)
    expected = score_continuations(model, pairs)
    sizes: list[int] = []
    whole = continuations._score_batch

    def small(model: Any, rows: Any, device: Any) -> Any:
        sizes.append(len(rows))
        if len(rows) > 3:
            raise torch.OutOfMemoryError("made up")
        return whole(model, rows, device)

    monkeypatch.setattr(continuations, "_score_batch", small)
    found = score_continuations(model, pairs)
    assert max(sizes) > 3
    for one, other in zip(found, expected, strict=True):
        assert one.log_likelihood_nats == pytest.approx(other.log_likelihood_nats, abs=1e-5)


def test_what_cannot_be_scored_is_refused() -> None:
    model = a_model()
    with pytest.raises(BadParameter, match="empty continuation"):
        score_continuations(model, [([1], [])])
    with pytest.raises(BadParameter, match="empty context"):
        score_continuations(model, [([], [1])])
    with pytest.raises(BadParameter, match="continuation of 5 tokens, more than the 4"):
        score_continuations(model, [([1], [1, 2, 3, 4, 5])], window=4)
    with pytest.raises(BadModel, match="float32"):
        score_continuations(a_model().to(torch.bfloat16), [([1], [2])])
    torch.nn.init.constant_(model.model.norm.weight, float("nan"))
    with pytest.raises(BadModel, match="not finite"):
        score_continuations(model, [([1], [2])])
