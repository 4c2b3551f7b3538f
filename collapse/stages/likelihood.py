"""The likelihood of whole documents, taken alike by all stages."""

from collections.abc import Sequence
from typing import Any

from collapse.probes.likelihood import Likelihood, token_nll
from collapse.stages.generation import Ground

WINDOW = 2048
"""Longer documents are judged in windows of so many tokens, which bounds the memory."""


def text_likelihood(model: Any, ground: Ground, texts: Sequence[str]) -> Likelihood:
    """One whole document with its end token is one sequence, given its start token."""
    return token_nll(model, ground.sequences(texts), batch_size=32, window=WINDOW)
