"""The loss on held-out text during training."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from accelerate import Accelerator


@torch.no_grad()
def validation_nll_nats(
    model: nn.Module,
    stream_N: np.ndarray,
    *,
    sequence_length: int,
    batch_size: int,
    accelerator: "Accelerator",
) -> float:
    """Mean negative log-likelihood per predicted token of a packed stream, in nats.

    The stream is cut into consecutive windows of ``sequence_length`` predicted tokens, the last
    one shorter, so that every token but the first is predicted once. Computed in float32 without
    dropout; weights, gradients and random generators stay as they are, and the model is left in
    eval mode. Processes share the windows, and each calls the model equally often, as one in pieces
    needs.

    Args:
        model: the causal language model itself, not its wrapper for several processes.
        stream_N: packed tokens, at least two.
        sequence_length: tokens a window predicts.
        batch_size: windows at once.
        accelerator: joins the processes.
    """
    model.eval()
    nll_nats, tokens = 0.0, 0
    batches = list(_windows(stream_N, sequence_length, batch_size))
    for begin in range(0, len(batches), accelerator.num_processes):
        index = begin + accelerator.process_index
        window_BxL1 = batches[min(index, len(batches) - 1)]
        tokens_BxL1 = torch.from_numpy(window_BxL1).to(accelerator.device)
        logits_BxLxV = model(input_ids=tokens_BxL1[:, :-1], use_cache=False).logits
        labels = tokens_BxL1[:, 1:].reshape(-1)
        if index >= len(batches):
            continue  # another process's: only called along
        nll = F.cross_entropy(logits_BxLxV.float().flatten(0, 1), labels, reduction="none")
        nll_nats += nll.cpu().double().sum().item()
        tokens += labels.numel()
    if accelerator.num_processes > 1:
        sums = torch.tensor([nll_nats, tokens], dtype=torch.float64, device=accelerator.device)
        nll_nats, tokens = accelerator.reduce(sums, "sum").tolist()
    return nll_nats / tokens


def _windows(stream_N: np.ndarray, length: int, batch_size: int) -> Iterator[np.ndarray]:
    """Batches of windows with their last labels, int64 (<= batch_size, <= length + 1)."""
    whole = (len(stream_N) - 1) // length
    starts = np.arange(whole) * length
    for begin in range(0, whole, batch_size):
        places = starts[begin : begin + batch_size, None] + np.arange(length + 1)
        yield stream_N[places].astype(np.int64)
    if whole * length + 1 < len(stream_N):
        yield stream_N[None, whole * length :].astype(np.int64)
