"""A judge: a model without its head, and the tokenizer that goes with it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

WINDOW = 1024
"""A judge never reads more tokens than this at once, which bounds the memory."""

_PROBE = "a"


@dataclass(frozen=True, eq=False)
class Frame:
    """The special tokens that a judge wants around every text.

    Attributes:
        before: such as ``[CLS]``, or the token from which a document starts.
        after: such as ``[SEP]``.
    """

    before: list[int]
    after: list[int]


@dataclass(frozen=True, eq=False)
class Judge:
    """A fixed model that makes features of texts.

    Attributes:
        name: what it was loaded from.
        body: called as ``body(input_ids=, attention_mask=).last_hidden_state``, float32.
        tokenizer: a Hugging Face tokenizer.
    """

    name: str
    body: nn.Module
    tokenizer: Any

    @cached_property
    def frame(self) -> Frame:
        """What the tokenizer itself puts around a text; where nothing, its start token before.

        GPT-2's tokenizer and ours put nothing, but the models have seen every document begin after
        the end of another.
        """
        bare = self.tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
        framed = self.tokenizer(_PROBE)["input_ids"]
        for begin in range(len(framed) - len(bare) + 1):
            end = begin + len(bare)
            if framed[begin:end] == bare and len(framed) > len(bare):
                return Frame(list(framed[:begin]), list(framed[end:]))
        start = self.tokenizer.bos_token_id
        return Frame([] if start is None else [start], [])

    @property
    def window(self) -> int:
        """Tokens of a text that it reads at once, the frame not counted."""
        config = self.body.config
        limits = [
            WINDOW,
            getattr(config, "max_position_embeddings", None) or WINDOW,
            # RoBERTa counts two positions that no text can have; its tokenizer knows.
            int(min(self.tokenizer.model_max_length, WINDOW)),
        ]
        return max(1, min(limits) - len(self.frame.before) - len(self.frame.after))
