import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collapse.errors import BadCorpus
from collapse.language import packing
from collapse.language.packing import PackedBatches, pack

EOS = 0


def test_documents_lie_between_end_tokens():
    stream = pack([[5, 6], [7], []], eos_token_id=EOS, token_budget=None)
    assert stream.dtype == np.int32
    assert stream.tolist() == [EOS, 5, 6, EOS, 7, EOS, EOS]


@given(
    st.lists(st.lists(st.integers(1, 50), max_size=6), min_size=1, max_size=8),
    st.data(),
)
def test_packing_loses_nothing_and_meets_the_budget(documents, data):
    expected = [EOS]
    for document in documents:
        expected += [*document, EOS]
    budget = data.draw(st.integers(1, len(expected)))
    assert pack(documents, eos_token_id=EOS, token_budget=None).tolist() == expected
    assert pack(documents, eos_token_id=EOS, token_budget=budget).tolist() == expected[:budget]


def test_too_little_text_is_named():
    with pytest.raises(BadCorpus, match=r"make 4 tokens.*budget of 5"):
        pack([[1, 2]], eos_token_id=EOS, token_budget=5)
    with pytest.raises(BadCorpus, match="no documents"):
        pack([], eos_token_id=EOS, token_budget=None)
    with pytest.raises(BadCorpus, match=r"has 8 tokens.*at least 9"):
        PackedBatches(np.arange(8), 8, 1, seed=0)


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 9),
    tokens=st.integers(2, 120),
    rows=st.integers(1, 7),
    seed=st.integers(0, 5),
)
def test_an_epoch_takes_disjoint_windows_once(length, tokens, rows, seed):
    tokens = max(tokens, length + 1)
    batches = PackedBatches(np.arange(tokens, dtype=np.int32), length, rows, seed)
    windows = batches.windows_per_epoch
    steps = -(-3 * windows // rows)
    starts = np.concatenate([batches.window_starts(step) for step in range(steps)])
    assert len(starts) == steps * rows
    assert starts.min() >= 0
    assert starts.max() + length + 1 <= tokens
    for epoch in range(3):
        places = np.sort(starts[epoch * windows : (epoch + 1) * windows])
        assert (np.diff(places) == length).all()  # neither overlap nor gap
    # What an offset leaves out is less than two windows.
    assert tokens - 1 - windows * length < 2 * length
    assert batches.epochs(steps) == pytest.approx(steps * rows / windows)


def test_a_batch_is_a_function_of_seed_and_step():
    stream = np.arange(1000, dtype=np.int32)
    batches = PackedBatches(stream, 10, 7, seed=3)
    forwards = [batches.batch(step)[0] for step in range(60)]
    packing._epoch_order.cache_clear()
    backwards = [batches.batch(step)[0] for step in reversed(range(60))][::-1]
    assert all((a == b).all() for a, b in zip(forwards, backwards, strict=True))
    other = PackedBatches(stream, 10, 7, seed=4)
    assert any((other.batch(step)[0] != forwards[step]).any() for step in range(3))


def test_epochs_differ_in_order_and_offset():
    batches = PackedBatches(np.arange(1000, dtype=np.int32), 10, 98, seed=0)
    assert batches.windows_per_epoch == 99
    starts = [batches.window_starts(step) for step in range(40)]
    assert len({int(s[0] % 10) for s in starts}) > 5
    assert not np.array_equal(np.argsort(starts[0]), np.argsort(starts[1]))


def test_labels_are_the_next_tokens_and_rows_can_be_shared():
    stream = np.arange(500, dtype=np.int32)
    batches = PackedBatches(stream, 16, 6, seed=1)
    inputs, labels = batches.batch(4)
    assert inputs.shape == labels.shape == (6, 16)
    assert inputs.dtype == np.int64
    assert (labels == inputs + 1).all()
    parts = [batches.batch(4, rows)[0] for rows in (slice(0, 2), slice(2, 6))]
    assert (np.concatenate(parts) == inputs).all()
