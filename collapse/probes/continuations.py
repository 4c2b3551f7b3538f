"""How likely continuations of contexts are under a causal language model.

Shapes: B rows of a batch, L their longest input, K positions kept of it, N predicted tokens, V
vocabulary.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from collapse.errors import BadModel, BadParameter
from collapse.numerics.sharing import shared
from collapse.probes.likelihood import LOGITS_BYTES
from collapse.probes.measuring import measuring

CPU_TOKENS, GPU_TOKENS = 4096, 65_536
"""Tokens of a batch to begin with; on a GPU whose memory they exceed, half as many, and so on."""


@dataclass(frozen=True)
class Continuation:
    """What a model says of a continuation.

    Attributes:
        log_likelihood_nats: sum over its tokens, given the context.
        is_greedy: whether each of its tokens is the likeliest one.
    """

    log_likelihood_nats: float
    is_greedy: bool


Scored = list[tuple[int, Continuation]]
"""Continuations with the numbers of their pairs."""


@dataclass(frozen=True)
class _Row:
    """One input, and the continuations that it predicts: those alike up to their last token.

    Attributes:
        input_ids: context and continuation without the last token.
        targets: for each continuation its number, and its tokens.
    """

    input_ids: tuple[int, ...]
    targets: tuple[tuple[int, tuple[int, ...]], ...]

    @property
    def begin(self) -> int:
        """The first position whose prediction counts."""
        return len(self.input_ids) - max(len(tokens) for _, tokens in self.targets)


def score_continuations(
    model: nn.Module,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    window: int | None = None,
    advance: Callable[[Sequence[int]], None] | None = None,
) -> list[Continuation]:
    """Log-likelihood of each continuation given its context, both as token ids.

    In float32, with dropout off, summed in float64. Rows are batched by length and padded on the
    right, where a causal model cannot see the padding. Continuations that differ in their last
    token alone are read off one row. A context that is too long loses its beginning. Several
    processes share the rows, and each tells of its own.

    Args:
        model: a causal language model, called as ``model(input_ids=...).logits``.
        pairs: contexts and continuations, each at least one token.
        window: tokens that the model can read at once; None for no limit.
        advance: told the numbers of the pairs that were scored.

    Raises:
        BadParameter: an empty context or continuation, or one that does not fit the window.
        BadModel: the weights are not float32, or the logits are not finite.
    """
    _check(model, pairs, window)
    rows = _rows(pairs, window)
    with measuring(model) as device:
        scored = shared(rows, lambda own: _score(model, own, device, advance or _nothing))
    found = dict(one for of_row in scored for one in of_row)
    return [found[number] for number in range(len(pairs))]


def _score(
    model: nn.Module,
    rows: Sequence[_Row],
    device: torch.device,
    advance: Callable[[Sequence[int]], None],
) -> list[Scored]:
    """What each row says, in batches as large as the memory allows."""
    found: list[Scored] = []
    tokens = CPU_TOKENS if device.type == "cpu" else GPU_TOKENS
    while len(found) < len(rows):
        left = rows[len(found) :]
        batch = _affordable(model, left[: tokens // len(left[0].input_ids)]) or left[:1]
        try:
            scored = _score_batch(model, batch, device)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            tokens = len(batch) // 2 * len(batch[0].input_ids)
            torch.cuda.empty_cache()
            continue
        advance([number for row in scored for number, _ in row])
        found += scored
    return found


def _nothing(_numbers: Sequence[int]) -> None:
    """No progress is wanted."""


def _check(
    model: nn.Module, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], window: int | None
) -> None:
    for parameter in model.parameters():
        if parameter.dtype != torch.float32:
            raise BadModel(
                f"the weights are {parameter.dtype}: load the model with dtype=torch.float32 to "
                "measure likelihoods"
            )
    for number, (context, continuation) in enumerate(pairs):
        if not len(context) or not len(continuation):
            empty = "continuation" if len(context) else "context"
            raise BadParameter(f"pair {number} has an empty {empty}: each must have a token")
        if window is not None and len(continuation) > window:
            raise BadParameter(
                f"pair {number} has a continuation of {len(continuation)} tokens, more than the "
                f"{window} that the model can read"
            )


def _rows(pairs: Sequence[tuple[Sequence[int], Sequence[int]]], window: int | None) -> list[_Row]:
    """Rows, longest first, each input once."""
    together: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
    for number, (context, continuation) in enumerate(pairs):
        whole = (*context, *continuation)
        input_ids = whole[:-1] if window is None else whole[-(window + 1) :][:-1]
        together.setdefault(input_ids, []).append((number, tuple(continuation)))
    rows = [_Row(input_ids, tuple(targets)) for input_ids, targets in together.items()]
    return sorted(rows, key=lambda row: -len(row.input_ids))


def _affordable(model: nn.Module, rows: Sequence[_Row]) -> Sequence[_Row]:
    """The first of the rows, as many as ``LOGITS_BYTES`` of logits allow."""
    config = getattr(model, "config", None)
    if not rows or config is None:
        return rows
    kept = len(rows[0].input_ids) - min(row.begin for row in rows)
    row_bytes = kept * config.get_text_config().vocab_size * torch.float32.itemsize
    return rows[: max(1, LOGITS_BYTES // row_bytes)]


def _score_batch(model: nn.Module, rows: Sequence[_Row], device: torch.device) -> list[Scored]:
    """Number and score of every continuation, row by row."""
    longest = len(rows[0].input_ids)
    inputs = np.zeros((len(rows), longest), dtype=np.int64)
    for index, row in enumerate(rows):
        inputs[index, : len(row.input_ids)] = row.input_ids
    input_ids_BxL = torch.from_numpy(inputs).to(device)
    first = min(row.begin for row in rows)
    options = _options(model, rows, longest - first, device)
    logits_BxKxV = model(input_ids=input_ids_BxL, **options).logits
    first = longest - logits_BxKxV.shape[1]  # 0 of a model that keeps all positions

    targets = [target for row in rows for target in row.targets]
    rows_N = [index for index, row in enumerate(rows) for _, t in row.targets for _ in t]
    ends = [len(row.input_ids) - first for row in rows for _ in row.targets]
    places_N = [
        place
        for end, (_, tokens) in zip(ends, targets, strict=True)
        for place in range(end - len(tokens), end)
    ]
    targets_N = [token for _, tokens in targets for token in tokens]
    log_p_N, greedy_N = _read_off(logits_BxKxV, rows_N, places_N, targets_N)
    if not np.isfinite(log_p_N).all():
        raise BadModel("the model's logits are not finite: no continuation of it can be scored")
    starts = np.cumsum([0] + [len(tokens) for _, tokens in targets])[:-1]
    totals = np.add.reduceat(log_p_N, starts).tolist()
    greedy = np.logical_and.reduceat(greedy_N, starts).tolist()
    scores = map(Continuation, totals, greedy)
    return [[(number, next(scores)) for number, _ in row.targets] for row in rows]


def _read_off(
    logits_BxKxV: torch.Tensor, rows: list[int], places: list[int], targets: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Float64 log-probabilities of the targets, and whether each is the likeliest token."""
    device = logits_BxKxV.device
    parts = []
    size = max(1, LOGITS_BYTES // (logits_BxKxV.shape[-1] * torch.float32.itemsize))
    for begin in range(0, len(targets), size):
        some = slice(begin, begin + size)
        targets_N = torch.tensor(targets[some], device=device)
        chosen = torch.tensor(rows[some], device=device), torch.tensor(places[some], device=device)
        log_p_NxV = logits_BxKxV[chosen].float().log_softmax(dim=-1)
        log_p_N = log_p_NxV.gather(1, targets_N[:, None])[:, 0]
        greedy_N = log_p_NxV.argmax(dim=-1) == targets_N
        parts.append((log_p_N.double().cpu().numpy(), greedy_N.cpu().numpy()))
    return np.concatenate([p for p, _ in parts]), np.concatenate([g for _, g in parts])


def _options(
    model: nn.Module, rows: Sequence[_Row], kept: int, device: torch.device
) -> dict[str, torch.Tensor | int]:
    """Logits of the last positions alone, where the model can; a mask, where it would see padding.

    A decoder with ``causal=False`` is the one kind that does.
    """
    options: dict[str, torch.Tensor | int] = {}
    if "logits_to_keep" in inspect.signature(model.forward).parameters:
        options["logits_to_keep"] = kept
    if not getattr(getattr(model, "config", None), "causal", True):
        lengths_B = torch.tensor([len(row.input_ids) for row in rows], device=device)
        places_L = torch.arange(int(lengths_B.max()), device=device)
        options["attention_mask"] = (places_L < lengths_B[:, None]).long()
    return options
