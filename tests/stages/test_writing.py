"""Variety of the synthetic text: what is kept of it, and how it is drawn."""

from types import SimpleNamespace

import numpy as np
import pytest

from collapse.errors import BadParameter
from collapse.parameters.doors import RecurseStep
from collapse.parameters.groups import Sampling
from collapse.parameters.parse import build
from collapse.stages import synthesis, writing
from collapse.stages.synthesis import Draw, synthesise
from collapse.stages.writing import decodings_of, sieve_of


def test_several_decodings_are_the_arms_own_otherwise() -> None:
    plain = build(RecurseStep, {"temperature": 0.7, "max_new_tokens": 33})
    assert decodings_of(plain) == [plain]
    several = build(RecurseStep, {"decodings": "0.8/50/1,1.2/0/0.9", "max_new_tokens": 33})
    found = [(one.temperature, one.top_k, one.top_p) for one in decodings_of(several)]
    assert found == [(0.8, 50, 1.0), (1.2, 0, 0.9)]
    assert {one.max_new_tokens for one in decodings_of(several)} == {33}


@pytest.mark.parametrize("text", ["1", "1/2", "0/0/1", "1/x/1", "1/0/0", "1/0/1,", "nan/0/1"])
def test_odd_decodings_are_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="decodings="):
        build(RecurseStep, {"decodings": text})


def test_a_text_is_kept_once_in_whatever_round_it_comes() -> None:
    sieve = sieve_of("distinct", None, None)
    assert sieve(["a", "b", "a"]) == [0, 1]
    assert sieve(["b", "c", "c"]) == [1]


@pytest.mark.parametrize(("keep", "kept"), [("likely", [1, 2, 4]), ("unlikely", [0, 3, 4])])
def test_halves_go_by_the_loss_a_token(monkeypatch, keep: str, kept: list[int]) -> None:
    """Five texts, the third long: its sum is the largest and its mean the least."""

    def likelihood(_model, _ground, texts):
        assert texts == list("abcde")
        return SimpleNamespace(
            sequence_nll_nats=np.array([3.0, 1.0, 20.0, 4.0, 2.0]),
            sequence_tokens=np.array([1, 1, 100, 1, 1]),
        )

    monkeypatch.setattr(writing, "text_likelihood", likelihood)
    sieve = sieve_of(keep, None, None)
    assert sieve(list("abcde")) == kept
    assert sieve([]) == []


def test_ways_take_turns_and_what_is_sifted_is_counted(monkeypatch) -> None:
    """Each way writes an equal part with a stream of its own, and repeats are drawn again."""
    seeds: list[int] = []

    def draw(_model, _tokenizer, count, decoding, seed, advance=None):
        seeds.append(seed)
        return Draw([f"way {decoding.temperature} {i % 5} {seed % 7}" for i in range(count)], 0)

    monkeypatch.setattr(synthesis, "draw", draw)
    ways = [Sampling(temperature=t, min_characters=5) for t in (0.5, 1.0, 2.0)]
    made = synthesise(
        None,
        None,
        token_budget=300,
        tokens_per_document=12.0,
        decodings=ways,
        seed=1,
        encode=lambda texts: [list(text.encode()) for text in texts],
        advance=lambda _: None,
        sieve=sieve_of("distinct", None, None),
    )
    assert len(set(made.texts)) == len(made.texts)
    assert [text.split()[1] for text in made.texts[:3]] == ["0.5", "1.0", "2.0"]
    assert len(set(seeds)) == len(seeds) > 3
    assert made.drawn == len(made.texts) + made.sifted
    assert made.dropped == 0
