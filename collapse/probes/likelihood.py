"""How likely texts are under a causal language model."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from collapse.errors import BadCorpus, BadModel, BadParameter
from collapse.numerics.sharing import shared
from collapse.probes.measuring import measuring

LOGITS_BYTES = 1 << 28
"""What the float32 logits of one batch may take; one row at a time may take more."""

OfRow = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From float32 next-token logits (L, V) and the tokens that came (L,) to K numbers each, (K, L)."""

Batch = Sequence[tuple[int, np.ndarray]]
"""Windows that are measured at once: the number of the sequence, and its tokens."""


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Negative log-likelihoods of S sequences, in nats, and how sure the model was in each.

    Attributes:
        sequence_nll_nats: float64 (S,), sums over the predicted tokens of each sequence.
        sequence_tokens: int64 (S,), how many tokens were predicted in each.
        sequence_entropy_nats: float64 (S,), sums of the entropies of the next-token distributions.
        sequence_top1: float64 (S,), sums of the probabilities of the likeliest next tokens.
    """

    sequence_nll_nats: np.ndarray
    sequence_tokens: np.ndarray
    sequence_entropy_nats: np.ndarray
    sequence_top1: np.ndarray

    @property
    def nll_nats(self) -> float:
        """Mean over all predicted tokens."""
        return float(self.sequence_nll_nats.sum() / self.sequence_tokens.sum())

    @property
    def entropy_nats(self) -> float:
        """Mean entropy of the next-token distribution over all predicted tokens."""
        return float(self.sequence_entropy_nats.sum() / self.sequence_tokens.sum())

    @property
    def perplexity(self) -> float:
        """``exp(nll_nats)``; infinite where that overflows."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.nll_nats))

    @property
    def nll_nats_se(self) -> float:
        """Standard error of ``nll_nats`` with sequences as the sampled units; nan for only one.

        Both sums vary from sample to sample, so it is that of a ratio estimator (Cochran, Sampling
        Techniques, 3rd ed., section 6.4): the spread of nll_i - nll * tokens_i over the sequences.
        """
        count = len(self.sequence_tokens)
        if count < 2:
            return math.nan
        residuals = self.sequence_nll_nats - self.nll_nats * self.sequence_tokens
        variance = float(residuals @ residuals) * count / (count - 1)
        return math.sqrt(variance) / float(self.sequence_tokens.sum())


def bits_per_byte(likelihood: Likelihood, byte_count: int) -> float:
    """Total code length in bits over the UTF-8 bytes of the same texts, for any vocabulary.

    Raises:
        BadParameter: byte_count is not positive.
    """
    if byte_count < 1:
        raise BadParameter(f"byte_count is {byte_count}: it must be at least 1")
    return float(likelihood.sequence_nll_nats.sum()) / math.log(2) / byte_count


def token_nll(
    model: nn.Module,
    sequences: Sequence[Sequence[int]],
    *,
    batch_size: int,
    window: int | None = None,
) -> Likelihood:
    """Negative log-likelihood of each sequence given its first token (the bos token).

    Computed in float32 with dropout off, summed in float64; the model is left as it was. Sequences
    are batched by length and padded on the right, where a causal model cannot see the padding (a
    decoder with ``causal=False`` is given its mask). Several processes share the batches.

    A sequence longer than ``window`` or than the model's context
    (``config.max_position_embeddings``) is cut into windows whose stride is their length: every
    token after the first is predicted exactly once, and the first tokens of a later window are
    predicted from little context, which raises the result.

    Args:
        model: a causal language model, called as ``model(input_ids=...).logits``.
        sequences: token ids, at least two each.
        batch_size: sequences (or windows) at once, at most: fewer where the logits of so many would
            take more than ``LOGITS_BYTES``. It changes the result by no more than rounding.
        window: tokens that a model reads at once, at most, such as the length of the sequences it
            was trained on; its context where None.

    Raises:
        BadCorpus: there is no sequence, or one predicts nothing.
        BadModel: the weights are not float32.
        BadParameter: batch_size or window is not positive.
    """
    sums_SxK = sequence_sums(model, sequences, _of_row, batch_size=batch_size, window=window)
    tokens_S = np.array([len(sequence) - 1 for sequence in sequences], dtype=np.int64)
    nll_S, entropy_S, top1_S = sums_SxK.T
    return Likelihood(nll_S, tokens_S, entropy_S, top1_S)


def _of_row(logits_LxV: torch.Tensor, labels_L: torch.Tensor) -> torch.Tensor:
    """(3, L): of each predicted token NLL and entropy, in nats, and the top-1 probability."""
    log_p_LxV = logits_LxV.log_softmax(dim=-1)
    nll_L = -log_p_LxV.gather(1, labels_L[:, None])[:, 0]
    # entr, not p log p: a probability that underflows to zero adds zero, not nan.
    p_LxV = log_p_LxV.exp()
    entropy_L = torch.special.entr(p_LxV).sum(dim=-1)
    return torch.stack([nll_L, entropy_L, p_LxV.amax(dim=-1)])


def sequence_sums(
    model: nn.Module,
    sequences: Sequence[Sequence[int]],
    of_row: OfRow,
    *,
    batch_size: int,
    window: int | None = None,
) -> np.ndarray:
    """Sums over the predicted tokens of each sequence of what is taken from their distributions.

    The way of `token_nll`, whose errors and other arguments it has.

    Args:
        model: as there.
        sequences: as there.
        of_row: takes the numbers from one sequence's next-token logits.
        batch_size: as there.
        window: as there.

    Returns:
        float64 (S, K).
    """
    _check(model, sequences, batch_size, window)
    context = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    limits = [limit for limit in (context, window) if limit]
    windows = _windows(sequences, min(limits, default=None))
    windows.sort(key=lambda window: -len(window[1]))
    with measuring(model) as device:
        vocabulary = _vocabulary(model, windows[0][1], device)

        def of_batches(own: Sequence[Batch]) -> list[np.ndarray]:
            texts = ([tokens for _, tokens in batch] for batch in own)
            return [_batch_sums(one, model, of_row, device) for one in texts]

        batches = list(_batches(windows, batch_size, vocabulary))
        sums_WxK = np.concatenate(shared(batches, of_batches))
    sums_SxK = np.zeros((len(sequences), sums_WxK.shape[1]), dtype=np.float64)
    # A sequence may have several windows: an indexed += would take one of them.
    np.add.at(sums_SxK, [sequence for sequence, _ in windows], sums_WxK)
    return sums_SxK


def _check(
    model: nn.Module, sequences: Sequence[Sequence[int]], batch_size: int, window: int | None
) -> None:
    if batch_size < 1:
        raise BadParameter(f"batch_size is {batch_size}: it must be at least 1")
    if window is not None and window < 1:
        raise BadParameter(f"window is {window}: it must be at least 1 token")
    if len(sequences) == 0:
        raise BadCorpus("no sequences to measure: at least 1 is needed")
    for index, sequence in enumerate(sequences):
        if len(sequence) < 2:
            raise BadCorpus(
                f"sequence {index} has {len(sequence)} token(s): at least 2 are needed, the first "
                "(bos) and one to predict"
            )
    for parameter in model.parameters():
        if parameter.dtype != torch.float32:
            raise BadModel(
                f"the weights are {parameter.dtype}: load the model with dtype=torch.float32 to "
                "measure likelihoods"
            )


def _windows(sequences: Sequence[Sequence[int]], limit: int | None) -> list[tuple[int, np.ndarray]]:
    """(sequence, its tokens from one predicted-from to the last predicted), limit + 1 at most."""
    windows = []
    for index, sequence in enumerate(sequences):
        tokens = np.asarray(sequence, dtype=np.int64)
        stride = limit or len(tokens)
        for begin in range(0, len(tokens) - 1, stride):
            windows.append((index, tokens[begin : begin + stride + 1]))
    return windows


def _vocabulary(model: nn.Module, tokens: np.ndarray, device: torch.device) -> int:
    """The width of the logits; asked of the model, as not every configuration states it."""
    one = tokens[:2]
    input_ids_1x1 = torch.from_numpy(one[None, :1]).to(device)
    return int(model(input_ids=input_ids_1x1, **_mask(model, [one], device)).logits.shape[-1])


def _batches(
    windows: Sequence[tuple[int, np.ndarray]], batch_size: int, vocabulary: int
) -> Iterator[Batch]:
    """Windows, longest first, in batches of which none has more than ``LOGITS_BYTES`` of logits."""
    begin = 0
    while begin < len(windows):
        longest = len(windows[begin][1]) - 1
        affordable = LOGITS_BYTES // (longest * vocabulary * torch.float32.itemsize)
        end = begin + max(1, min(batch_size, affordable))
        yield windows[begin:end]
        begin = end


def _batch_sums(
    windows: Sequence[np.ndarray], model: nn.Module, of_row: OfRow, device: torch.device
) -> np.ndarray:
    """(B, K): sums over each window's predicted tokens."""
    inputs = np.zeros((len(windows), max(map(len, windows)) - 1), dtype=np.int64)
    for row, tokens in enumerate(windows):
        inputs[row, : len(tokens) - 1] = tokens[:-1]
    input_ids_BxL = torch.from_numpy(inputs).to(device)
    logits_BxLxV = model(input_ids=input_ids_BxL, **_mask(model, windows, device)).logits
    sums = []
    # Row by row: no padding to mask, and one row's probabilities in memory, not the batch's.
    for tokens, logits_LxV in zip(windows, logits_BxLxV, strict=True):
        labels_L = torch.from_numpy(tokens[1:]).to(device)
        of_tokens_KxL = of_row(logits_LxV[: len(labels_L)].float(), labels_L)
        sums.append(of_tokens_KxL.cpu().double().sum(dim=1))
    return torch.stack(sums).numpy()


def _mask(
    model: nn.Module, windows: Sequence[np.ndarray], device: torch.device
) -> dict[str, torch.Tensor]:
    """The padding's mask, for the one kind of decoder that would see it: ``causal=False``."""
    if getattr(getattr(model, "config", None), "causal", True):
        return {}
    lengths_B = torch.tensor([len(tokens) - 1 for tokens in windows], device=device)
    places_L = torch.arange(int(lengths_B.max()), device=device)
    return {"attention_mask": (places_L < lengths_B[:, None]).long()}
