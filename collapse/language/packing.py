"""Documents in one stream of tokens, and the batches cut from it, each a function of its step."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from collapse.errors import BadCorpus
from collapse.numerics.streams import numpy_stream


def pack(
    token_ids: Sequence[Sequence[int]], *, eos_token_id: int, token_budget: int | None
) -> np.ndarray:
    """One stream of all documents, with the end token before, between and after them.

    Our tokenizers use one token as bos and eos, as GPT-2's does, so that the token which ends one
    document also begins the next.

    Args:
        token_ids: the documents' tokens, without bos or eos.
        eos_token_id: the separating token.
        token_budget: length of the stream, at which the last document is cut; None keeps all.

    Returns:
        int32 array of exactly ``token_budget`` tokens (all of them for None).

    Raises:
        BadCorpus: there is no document, or there are fewer tokens than the budget.
    """
    if len(token_ids) == 0:
        raise BadCorpus("no documents to pack: at least 1 is needed")
    total = 1 + sum(len(document) + 1 for document in token_ids)
    if token_budget is not None and total < token_budget:
        raise BadCorpus(
            f"{len(token_ids)} documents make {total} tokens, fewer than the token budget of "
            f"{token_budget}: offer more text or a smaller budget"
        )
    stream = np.full(total, eos_token_id, dtype=np.int32)
    ends = np.cumsum([0, *(len(document) + 1 for document in token_ids)])
    for (begin, end), document in zip(pairwise(ends), token_ids, strict=True):
        stream[begin + 1 : end] = document
    return stream[:token_budget]


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, windows: int, slack: int) -> tuple[np.ndarray, int]:
    """Order of the windows in one epoch, and the offset (in tokens) at which the first begins."""
    generator = numpy_stream(seed, "windows", epoch)
    return generator.permutation(windows), int(generator.integers(slack + 1))


@dataclass(frozen=True, eq=False)
class PackedBatches:
    """Windows of a packed stream in shuffled epochs, addressed by step.

    In each epoch the stream is cut into disjoint windows, beginning at a random offset below the
    sequence length (so that every epoch cuts at other places), and these are taken in a random
    order. Offset and order are drawn from (seed, epoch) alone, hence a batch is a pure function of
    (seed, step): training resumes anywhere without a replay. A window reads ``sequence_length``
    tokens and predicts each one's successor; every step has exactly the same number of tokens, as
    a step that reaches the end of an epoch goes on into the next.

    Attributes:
        stream: the packed tokens.
        sequence_length: tokens a window predicts.
        sequences_per_step: windows in one step.
        seed: seed of the data order.

    Raises:
        BadCorpus: the stream is shorter than one window and its last label.
    """

    stream: np.ndarray
    sequence_length: int
    sequences_per_step: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.stream) < self.sequence_length + 1:
            raise BadCorpus(
                f"the corpus has {len(self.stream)} tokens, fewer than one window: at least "
                f"{self.sequence_length + 1} are needed for sequence length {self.sequence_length}"
            )

    @property
    def windows_per_epoch(self) -> int:
        """Disjoint windows that fit wherever the offset falls; at least one."""
        return max(1, (len(self.stream) - self.sequence_length) // self.sequence_length)

    def epochs(self, steps: int) -> float:
        """How often this many steps go through the stream."""
        return steps * self.sequences_per_step / self.windows_per_epoch

    def window_starts(self, step: int) -> np.ndarray:
        """Positions in the stream at which the windows of a step (from 0) begin, int64 (B,)."""
        windows, length = self.windows_per_epoch, self.sequence_length
        slack = min(length - 1, len(self.stream) - 1 - windows * length)
        first = step * self.sequences_per_step
        epoch_B, place_B = np.divmod(np.arange(first, first + self.sequences_per_step), windows)
        starts_B = np.empty(self.sequences_per_step, dtype=np.int64)
        for epoch in range(epoch_B[0], epoch_B[-1] + 1):
            order, offset = _epoch_order(self.seed, epoch, windows, slack)
            now_B = epoch_B == epoch
            starts_B[now_B] = offset + length * order[place_B[now_B]]
        return starts_B

    def batch(self, step: int, rows: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels of a step (from 0), or of some of its rows: two int64 (B, L) arrays."""
        starts_B = self.window_starts(step)[rows]
        tokens = self.stream[starts_B[:, None] + np.arange(self.sequence_length + 1)]
        tokens_BxL1 = tokens.astype(np.int64)
        return tokens_BxL1[:, :-1], tokens_BxL1[:, 1:]
