import numpy as np
import pytest
import torch
from scipy.special import softmax

from collapse.errors import BadCorpus, BadModel
from collapse.language.learners import ESTIMATORS, fit
from collapse.language.learners.fitting import count_by_position, set_positions
from collapse.language.packing import pack
from collapse.language.presets import load_preset
from collapse.language.sampling import sample_tokens

END = 0
IDS = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": 1}


def decoder(preset: str = "categorical", vocabulary: int = 7, **more):
    shape = {"vocab_size": vocabulary, "max_position_embeddings": 12} | IDS
    return load_preset(preset, **(shape | more))


def packed(documents: list[list[int]], tokens: int | None = None) -> np.ndarray:
    return pack(documents, eos_token_id=END, token_budget=tokens)


def test_counts_are_by_place_in_the_document() -> None:
    counts = count_by_position(packed([[3, 4], [3, 5, 6], [4]]), END, 7)
    expected = np.zeros((4, 7), dtype=int)
    expected[0, [3, 4]] = 2, 1
    expected[1, [4, 5, END]] = 1
    expected[2, [6, END]] = 1
    expected[3, END] = 1
    assert np.array_equal(counts, expected)


def test_portions_behind_one_another_count_as_one_stream() -> None:
    """The packer cuts the last end off a portion, and the next portion begins with one."""
    first, second = [[3, 4], [5, 6]], [[3, 3]]
    streams = [packed(part, tokens=3 * len(part)) for part in (first, second)]
    counts = count_by_position(np.concatenate(streams), END, 7)
    whole = count_by_position(packed(first + second), END, 7)
    whole[2, END] -= 1  # of the very last document
    assert np.array_equal(counts, whole)


@pytest.mark.parametrize("stream", [[], [END], [3, 4, END]])
def test_a_stream_without_documents_is_refused(stream: list[int]) -> None:
    with pytest.raises(BadCorpus, match="stream of documents"):
        count_by_position(np.array(stream, dtype=np.int32), END, 7)


def test_a_decoder_says_what_is_written_into_it_whatever_stands_before() -> None:
    rng = np.random.default_rng(0)
    parameters, statistics = rng.normal(0, 30, (9, 6)), rng.normal(0, 1, (7, 6))
    model = decoder(hidden_size=8, num_attention_heads=2)
    set_positions(model, parameters, statistics)
    ids = torch.from_numpy(rng.integers(7, size=(5, 9)))
    with torch.no_grad():
        logits = model(input_ids=ids).logits.numpy()
    assert logits == pytest.approx(np.broadcast_to(parameters @ statistics.T, (5, 9, 7)), abs=1e-4)


def test_what_is_fitted_is_what_is_sampled() -> None:
    """Counts in, frequencies out, through continuous batching; documents end where they did."""
    documents = [[3, 4, 6], [3, 5, 6], [4, 5, 6], [3, 5, 5]]
    model = decoder()
    fit(model, packed(documents), ESTIMATORS["categorical"])
    drawn = sample_tokens(
        model, [[END]] * 4000, max_new_tokens=11, eos_token_id=END, seed=1, batch_size=500
    )
    assert {len(one) for one in drawn} == {3}
    counts = count_by_position(packed(drawn), END, 7)
    expected = count_by_position(packed(documents), END, 7) / 4
    assert counts / 4000 == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 4000))
    assert np.all(counts[expected == 0] == 0)


def test_a_gaussian_decoder_speaks_its_density() -> None:
    rng = np.random.default_rng(2)
    documents = rng.normal(500, 30, (20, 5)).round().astype(int).tolist()
    model = decoder("gaussian-unbiased", vocabulary=1000)
    values = fit(model, packed(documents), ESTIMATORS["gaussian-unbiased"])
    variances = np.var(documents, axis=0, ddof=1)
    assert values["learner/variance"] == pytest.approx(variances.mean())
    with torch.no_grad():
        logits = model(input_ids=torch.zeros(1, 6, dtype=torch.long)).logits[0].double().numpy()
    chances = softmax(logits, axis=1)
    assert chances[5, END] == pytest.approx(1)
    means = chances[:5] @ np.arange(1000)
    assert means == pytest.approx(np.mean(documents, axis=0), abs=0.01)
    squares = chances[:5] @ np.square(np.arange(1000))
    assert squares - means**2 == pytest.approx(variances, rel=1e-3)


def test_fitting_anew_forgets_what_was_there() -> None:
    """So that a generation that starts from its parent is the same as one that starts fresh."""
    fresh, used = decoder(), decoder(seed=3)
    fit(used, packed([[6, 6, 6, 6]] * 2), ESTIMATORS["categorical"])
    for model in (fresh, used):
        fit(model, packed([[3, 4], [3, 5]]), ESTIMATORS["categorical"])
    ids = torch.tensor([[0, 6, 3, 4, 5]])
    with torch.no_grad():
        assert torch.equal(fresh(input_ids=ids).logits, used(input_ids=ids).logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": "rope", "hidden_size": 8}, "positions=learned"),
        ({"norm": "layer"}, "norm=rms"),
        ({"tie_word_embeddings": True}, "untied"),
        ({"hidden_size": 7}, "hidden_size=8"),
        ({"bos_token_id": 2}, "bos is its eos"),
    ],
)
def test_other_models_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(BadModel, match=message):
        fit(decoder(**changes), packed([[3, 4]]), ESTIMATORS["categorical"])


def test_a_document_beyond_the_context_is_refused() -> None:
    with pytest.raises(BadCorpus, match=r"13 tokens with its end.*only 12"):
        fit(decoder(), packed([[3] * 12]), ESTIMATORS["categorical"])
