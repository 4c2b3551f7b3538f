"""Does a model see the tokens that it is to predict?

A decoder without its causal mask learns to copy the answer, and its perplexity near 1 says nothing
about what it can write.
"""

import torch
from transformers import PreTrainedModel

from collapse.numerics.streams import torch_stream
from collapse.probes.measuring import measuring

LEAK_LOGITS = 1e-3
"""A movement beyond it is a leak: rounding stays below 1e-4, and what a model learns to read of the
tokens to come moves its logits by whole units."""


def causality_violation(model: PreTrainedModel, vocab_size: int, length: int, seed: int) -> float:
    """Largest movement of a logit when a later token changes.

    One random sequence and, for every position t from 1 on, a copy in which token t is another;
    in each copy the logits of the positions before t are compared with the original's.

    Args:
        model: a causal language model; used in evaluation mode, and left as it was.
        vocab_size: ids are drawn from 0 to this, at least 2.
        length: tokens in the sequence, at least 2; memory grows as length^2 times the vocabulary.
        seed: of the sequence and of the changes.

    Returns:
        The largest absolute difference, in logits: rounding only (below about 1e-4) for a causal
        model, infinite where logits are not finite.
    """
    generator = torch_stream(seed, "causality")
    original_T = torch.randint(vocab_size, (length,), generator=generator)
    shifts = torch.randint(1, vocab_size, (length - 1,), generator=generator)
    changed_CxT = original_T.repeat(length - 1, 1)
    rows = torch.arange(length - 1)
    changed_CxT[rows, rows + 1] = (original_T[1:] + shifts) % vocab_size
    ids = torch.cat((original_T[None], changed_CxT))
    with measuring(model) as device:
        logits = model(input_ids=ids.to(device), use_cache=False).logits
    movement_CxT = (logits[1:] - logits[:1]).abs().amax(-1)
    # Row c has position c + 1 changed: positions 0 to c must stay.
    before_CxT = torch.ones_like(movement_CxT, dtype=torch.bool).tril()
    largest = movement_CxT[before_CxT].max().item()
    return largest if largest == largest else float("inf")
