"""How likely texts are as a model writes them: at a temperature, with its filters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from collapse.errors import BadParameter
from collapse.language.sampling.choice import Decoding, smallest_kept_logit
from collapse.probes.likelihood import sequence_sums

OUTSIDE_MASS = 1e-4
"""What all tokens that a filter takes away keep together, so that a text that needs one of them
stays comparable: it loses at least 9.2 nats there, where the filter itself would say never."""


@dataclass(frozen=True, eq=False)
class DecodedLikelihood:
    """Negative log-likelihoods of S sequences as a decoding writes them.

    Attributes:
        sequence_nll_nats: float64 (S,), sums over the predicted tokens of each sequence.
        sequence_outside: int64 (S,), how many of these tokens the filters take away.
    """

    sequence_nll_nats: np.ndarray
    sequence_outside: np.ndarray


def decoded_nll(
    model: nn.Module,
    sequences: Sequence[Sequence[int]],
    decoding: Decoding,
    *,
    batch_size: int,
    window: int | None = None,
) -> DecodedLikelihood:
    """Negative log-likelihood of each sequence under the distributions that are sampled from.

    Where top-k or top-p leave tokens out, these keep together a mass of ``OUTSIDE_MASS``, or what
    they had if that was less, shared out as before; the kept tokens have the rest. It is a
    distribution over all tokens, so that the log-likelihoods of two decodings may be subtracted.

    Args:
        model: as in `token_nll`, like the other arguments and errors.
        sequences: as there.
        decoding: temperature, above 0, and filters. Greedy decoding and beams write one text a
            prompt, and have no likelihood to speak of.
        batch_size: as there.
        window: as there.

    Raises:
        BadParameter: the temperature is 0.
    """
    if decoding.temperature <= 0:
        raise BadParameter(
            f"temperature is {decoding.temperature}: what is not sampled has no likelihood"
        )
    of_row = partial(_of_row, decoding)
    sums_Sx2 = sequence_sums(model, sequences, of_row, batch_size=batch_size, window=window)
    nll_S, outside_S = sums_Sx2.T
    return DecodedLikelihood(nll_S, outside_S.astype(np.int64))


def _of_row(decoding: Decoding, logits_LxV: Tensor, labels_L: Tensor) -> Tensor:
    """(2, L): NLL of each token that came, in nats, and whether the filters take it away."""
    scaled_LxV = logits_LxV / decoding.temperature
    log_p_LxV = scaled_LxV.log_softmax(dim=-1)
    log_p_L = log_p_LxV.gather(1, labels_L[:, None])[:, 0]
    if decoding.top_k == 0 and decoding.top_p >= 1:
        return torch.stack([-log_p_L, torch.zeros_like(log_p_L)])
    is_outside_LxV = scaled_LxV < smallest_kept_logit(scaled_LxV, decoding.top_k, decoding.top_p)
    log_outside_L = log_p_LxV.masked_fill(~is_outside_LxV, -torch.inf).logsumexp(-1)
    log_kept_L = log_p_LxV.masked_fill(is_outside_LxV, -torch.inf).logsumexp(-1)
    left_L = log_outside_L.clamp(max=math.log(OUTSIDE_MASS))
    outside_L = is_outside_LxV.gather(1, labels_L[:, None])[:, 0]
    said_L = torch.where(
        outside_L,
        log_p_L - log_outside_L + left_L,
        log_p_L - log_kept_L + torch.log1p(-left_L.exp()),
    )
    return torch.stack([-said_L, outside_L.to(log_p_L.dtype)])
