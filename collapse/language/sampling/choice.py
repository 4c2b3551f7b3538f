"""From next-token logits to tokens: temperature, top-k, top-p, and inversion of the distribution.

A token is chosen by one uniform number that is handed in, and not drawn here: what a sequence says
then depends on its own numbers only, not on which other sequences share its batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_TEMPERATURE = 1e-6
"""Above 0; logits over less leave the range of float32."""


@dataclass(frozen=True)
class Decoding:
    """How a token is chosen.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token.
        top_k: only the so many likeliest tokens; 0 is off.
        top_p: only the smallest set of likeliest tokens with at least this mass (nucleus sampling,
            Holtzman et al., 2020), of what top-k has left; 1 is off.
        beams: at temperature 0, sequences that a beam search follows at a time; 1 is off.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    beams: int = 1


@dataclass(frozen=True)
class Request:
    """A prompt, and the numbers that decide its completion.

    Attributes:
        prompt: token ids, at least one.
        uniforms: float64 in [0, 1), one for each token that may be written.
    """

    prompt: list[int]
    uniforms: list[float]


def choose_tokens(logits_BxV: Tensor, uniforms_B: Tensor, decoding: Decoding) -> Tensor:
    """One token id a row, ``(B,)``.

    Args:
        logits_BxV: next-token logits.
        uniforms_B: float64 in [0, 1), one a row.
        decoding: temperature and filters.
    """
    if decoding.temperature == 0:
        return logits_BxV.argmax(-1)
    return invert_distribution(token_probabilities(logits_BxV, decoding), uniforms_B)


def token_probabilities(logits_BxV: Tensor, decoding: Decoding) -> Tensor:
    """The distribution that is sampled from, ``(B, V)``, float32 or as wide as the logits.

    Order of the filters as in transformers: temperature, top-k, top-p.
    """
    scaled_BxV = logits_BxV if logits_BxV.dtype == torch.float64 else logits_BxV.float()
    if decoding.temperature != 1:
        scaled_BxV = scaled_BxV / decoding.temperature
    if decoding.top_k > 0 or decoding.top_p < 1:
        least_Bx1 = smallest_kept_logit(scaled_BxV, decoding.top_k, decoding.top_p)
        scaled_BxV = scaled_BxV.masked_fill(scaled_BxV < least_Bx1, -torch.inf)
    return scaled_BxV.softmax(-1)


def smallest_kept_logit(logits_BxV: Tensor, top_k: int, top_p: float) -> Tensor:
    """The least logit that both filters keep, ``(B, 1)``; tokens that tie with it are kept too."""
    vocabulary = logits_BxV.shape[-1]
    # Sorting a whole vocabulary costs more than a small model's step: only what top-k leaves.
    kept = min(top_k, vocabulary) if top_k > 0 else vocabulary
    descending_BxK = logits_BxV.topk(kept).values
    if top_p >= 1:
        return descending_BxK[:, -1:]
    probabilities_BxK = descending_BxK.softmax(-1)
    mass_before_BxK = probabilities_BxK.cumsum(-1) - probabilities_BxK
    last_kept_Bx1 = (mass_before_BxK < top_p).sum(-1, keepdim=True).clamp(min=1) - 1
    return descending_BxK.gather(-1, last_kept_Bx1)


def invert_distribution(probabilities_BxV: Tensor, uniforms_B: Tensor) -> Tensor:
    """The token at which the cumulative distribution passes the uniform number, ``(B,)``.

    Summed in float64: a float32 sum over a large vocabulary would misplace its rare tokens.
    """
    cumulative_BxV = probabilities_BxV.cumsum(-1, dtype=torch.float64)
    # Scaled by the sum that rounding left, so that the last step is reached; the strict inequality
    # of ``right`` never takes a token of probability zero.
    total_Bx1 = cumulative_BxV[:, -1:]
    targets_Bx1 = (uniforms_B[:, None] * total_Bx1).minimum(total_Bx1.nextafter(-total_Bx1))
    return torch.searchsorted(cumulative_BxV, targets_Bx1, right=True)[:, 0]
