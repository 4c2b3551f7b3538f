"""What a look measures, the cheapest first; always in float32, on the same tokens.

Shapes: B rows of the fixed batch, T tokens each; P parameters.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from collapse.errors import BadModel, BadParameter
from collapse.language.sampling import sample_tokens
from collapse.numerics.diversity import distinct_n
from collapse.numerics.lanczos import lanczos
from collapse.numerics.rank import participation_ratio, singular_values
from collapse.numerics.streams import torch_stream
from collapse.probes.curvature import microbatches, open_operator
from collapse.probes.heads import head_matrices
from collapse.probes.likelihood import token_nll

MOST_ROWS = 8
"""Rows of the batch whose beginnings are continued."""
PROMPT_TOKENS = 4
NEW_TOKENS = 24
LANCZOS_STEPS = 8

_KEYS_SITE = "projection"


@dataclass(frozen=True)
class Indicator:
    """Something that is watched.

    Attributes:
        name: as in metrics, ``warning/<name>``.
        label: for figures, with its unit.
        sign: 1 where a rise alarms, -1 where a fall does; fixed beforehand.
        steady: healthy learning does not move it in that direction, so that a run can be its own
            measure of health.
    """

    name: str
    label: str
    sign: int
    steady: bool = False


CHEAP = (
    Indicator("nll_nats", "loss (nats a token)", 1, steady=True),
    Indicator("entropy_nats", "entropy (nats)", -1),
    Indicator("overconfidence_nats", "loss less entropy (nats)", 1, steady=True),
    Indicator("distinct_2", "distinct pairs (share)", -1),
    Indicator("key_rank", "rank of keys (directions)", -1),
)
CURVATURE = Indicator("lambda_max", "largest Hessian eigenvalue", 1)


def look_sizes() -> dict[str, int]:
    """What values depend on beside the batch and the seed: runs are compared at equal sizes."""
    return {
        "rows": MOST_ROWS,
        "prompt_tokens": PROMPT_TOKENS,
        "new_tokens": NEW_TOKENS,
        "lanczos_steps": LANCZOS_STEPS,
    }


def check_batch(batch: object) -> torch.Tensor:
    """The token ids of a batch, (B, T), int64 on the CPU.

    Args:
        batch: a tensor, or a mapping with ``input_ids`` such as a tokenizer gives.

    Raises:
        BadParameter: no ids, of another shape or type, too short, or with padding.
    """
    found, mask = batch, None
    if hasattr(batch, "keys"):
        found, mask = batch.get("input_ids"), batch.get("attention_mask")  # type: ignore[attr-defined]
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or found.dtype != torch.int64:
        told = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        kind = f" {found.dtype}" if isinstance(found, torch.Tensor) else ""
        raise BadParameter(
            f"batch is {told}{kind}: it must be token ids, torch.int64 (rows, tokens)"
        )
    if found.shape[0] < 1 or found.shape[1] < 2:
        raise BadParameter(f"batch of shape {tuple(found.shape)}: at least 1 row of 2 tokens")
    if mask is not None and not bool(torch.as_tensor(mask).all()):
        raise BadParameter("batch has padding: give rows of equal length without it")
    return found.detach().cpu()


def cheap_values(
    model: PreTrainedModel, input_ids_BxT: torch.Tensor, seed: int
) -> dict[str, float]:
    """Loss, entropy and their difference, distinct pairs of continuations, rank of the keys.

    A calibrated model's loss is its entropy on average. As a healthy model learns both fall; one
    that collapses grows sure of what it writes and not of what people wrote: the difference rises.

    Continuations are sampled at temperature 1 by the same random numbers at every look, so that
    they differ only where the model does. The rank is the participation ratio of a head's keys on
    the batch, before norm and rotation, averaged over layers and heads.

    Args:
        model: a causal language model in float32.
        input_ids_BxT: the fixed batch.
        seed: of the continuations.

    Returns:
        By name of ``CHEAP``; where the model's predictions are not finite, nan for the others.

    Raises:
        BadModel: a kind of model whose heads are not known, see `head_matrices`.
        BadParameter: a token that is not in the model's vocabulary, or too many for its context.
    """
    _check_fits(model, input_ids_BxT)
    rows = input_ids_BxT.tolist()
    seen = token_nll(model, rows, batch_size=len(rows))
    values = dict.fromkeys((one.name for one in CHEAP), math.nan)
    values |= {"nll_nats": seen.nll_nats, "entropy_nats": seen.entropy_nats}
    if all(math.isfinite(values[name]) for name in ("nll_nats", "entropy_nats")):
        values["overconfidence_nats"] = seen.nll_nats - seen.entropy_nats
        values["distinct_2"] = _distinct_pairs(model, rows, seed)
        values["key_rank"] = _key_rank(model, input_ids_BxT)
    return values


def largest_eigenvalue(model: nn.Module, input_ids_BxT: torch.Tensor, seed: int) -> float:
    """The largest Hessian eigenvalue that a few Lanczos steps see, from the same start each time.

    Of the mean loss in nats on the batch, over all trainable weights. A Ritz value, so at most the
    true one; it costs ``LANCZOS_STEPS`` products of about two gradients each.
    """
    whole = microbatches(input_ids_BxT, size=len(input_ids_BxT))
    with open_operator(model, whole) as operator:
        device = operator.device
        generator = torch_stream(seed, "watch", "lanczos", device=device)
        start_P = torch.randn(
            operator.dimension, generator=generator, dtype=operator.dtype, device=device
        )
        return float(lanczos(operator, start_P, LANCZOS_STEPS).ritz_values[-1])


def _check_fits(model: PreTrainedModel, input_ids_BxT: torch.Tensor) -> None:
    vocabulary, top = getattr(model.config, "vocab_size", None), int(input_ids_BxT.max())
    if vocabulary is None:
        raise BadModel(
            f"{type(model).__name__} is no plain causal language model: its configuration has no "
            "vocab_size (of a model of text and images, watch the part that reads text)"
        )
    least = int(input_ids_BxT.min())
    if least < 0 or top >= vocabulary:
        raise BadParameter(
            f"batch has token {least if least < 0 else top}, and the model knows 0 to "
            f"{vocabulary - 1}"
        )
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and input_ids_BxT.shape[1] > context:
        raise BadParameter(
            f"batch has rows of {input_ids_BxT.shape[1]} tokens and the model a context of "
            f"{context}: give them in more rows"
        )


def _distinct_pairs(model: PreTrainedModel, rows: list[list[int]], seed: int) -> float:
    prompts = [row[: min(PROMPT_TOKENS, len(row) - 1)] for row in rows[:MOST_ROWS]]
    # No token ends a text: distinct-n depends on how much was written.
    written = sample_tokens(model, prompts, max_new_tokens=NEW_TOKENS, eos_token_id=None, seed=seed)
    share = distinct_n([[str(token) for token in text] for text in written], 2)
    return math.nan if share is None else share


def _key_rank(model: nn.Module, input_ids_BxT: torch.Tensor) -> float:
    layers = head_matrices(model, input_ids_BxT, _KEYS_SITE)
    return float(
        np.mean([participation_ratio(singular_values(one.keys_KxNxE)).mean() for one in layers])
    )
