"""The likelihood of whole documents, taken alike by all stages."""

from collections.abc import Sequence
from typing import Any

from collapse.probes.likelihood import Likelihood, token_nll
from collapse.stages.generation import Ground

WINDOW = 2048
"""Longer documents are judged in windows of so many tokens, which bounds the memory."""
ON_THE_WAY_DOCUMENTS = 200
"""Held-out documents that the loss of weights kept on the way is measured on."""


def text_likelihood(model: Any, ground: Ground, texts: Sequence[str]) -> Likelihood:
    """One whole document with its end token is one sequence, given its start token."""
    return token_nll(model, ground.sequences(texts), batch_size=32, window=WINDOW)


def likelihood_on_the_way(model: Any, ground: Ground) -> Likelihood:
    """Of a little human text that is not trained on: cheap enough for every kept checkpoint."""
    return text_likelihood(model, ground, ground.human.heldout("test")[:ON_THE_WAY_DOCUMENTS])
