from dataclasses import replace

import pytest

from collapse.errors import SilentModel
from collapse.parameters.groups import Sampling
from collapse.stages import synthesis
from collapse.stages.synthesis import Draw, synthesise

DECODING = Sampling(max_new_tokens=50, min_characters=5)


def encode(texts):
    return [list(text.encode()) for text in texts]


def run(monkeypatch, texts_of, *, budget=2000, tokens_per_document=40.0, decoding=DECODING):
    """Synthesise with a model that writes what `texts_of(count, round seed)` says."""
    counts = []

    def draw(_model, _tokenizer, count, _decoding, seed, advance=None):
        counts.append(count)
        texts = texts_of(count, seed)
        return Draw(texts, sum(len(text) >= decoding.max_new_tokens for text in texts))

    monkeypatch.setattr(synthesis, "draw", draw)
    made = synthesise(
        None,
        None,
        token_budget=budget,
        tokens_per_document=tokens_per_document,
        decodings=[decoding],
        seed=3,
        encode=encode,
        advance=lambda _: None,
    )
    return made, counts


def test_budget_is_filled_and_every_sample_is_accounted_for(monkeypatch) -> None:
    def texts(count, seed):
        kinds = ["a story of some length " + str(seed % 97), "tiny", "", "x" * 50]
        return [kinds[i % 4] for i in range(count)]

    made, counts = run(monkeypatch, texts)
    assert sum(len(ids) + 1 for ids in made.token_ids) >= 2000
    diagnosis = made.diagnosis()
    assert diagnosis["drawn"] == sum(counts) == diagnosis["kept"] + diagnosis["dropped"]
    assert diagnosis["empty"] == sum(count // 4 + (count % 4 > 2) for count in counts)
    assert diagnosis["cut"] == sum(text == "x" * 50 for text in made.texts)
    assert diagnosis["repeats"] == diagnosis["kept"] - diagnosis["distinct"] > 0


def test_rounds_have_streams_of_their_own(monkeypatch) -> None:
    seeds = []

    def texts(count, seed):
        seeds.append(seed)
        return ["twelve chars"] * count

    run(monkeypatch, texts, budget=5000)
    assert len(seeds) > 1
    assert len(set(seeds)) == len(seeds)


def test_a_model_that_says_nothing_ends_the_chain(monkeypatch) -> None:
    with pytest.raises(SilentModel, match="next to nothing"):
        run(monkeypatch, lambda count, _seed: [""] * count)


def test_documents_longer_than_any_sample_are_no_silence(monkeypatch) -> None:
    """A file of source has thousands of tokens, a sample at most fifty."""
    made, counts = run(
        monkeypatch, lambda count, _seed: ["y" * 50] * count, tokens_per_document=7000.0
    )
    assert len(counts) <= 2
    assert made.cut == made.drawn


def test_lower_limit_is_a_parameter(monkeypatch) -> None:
    everything = replace(DECODING, min_characters=0)
    made, _ = run(monkeypatch, lambda count, _s: ["ab"] * count, decoding=everything, budget=100)
    assert made.dropped == 0
