"""Sampling text: continuous batching for our own decoder, ``generate`` for any other model."""

from collapse.language.sampling.completions import BATCH_SIZE, sample, sample_tokens

__all__ = ["BATCH_SIZE", "sample", "sample_tokens"]
