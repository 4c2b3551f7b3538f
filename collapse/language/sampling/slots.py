"""Continuous batching: a finished sequence leaves its slot at once, and the next prompt takes it.

The time of a step goes by the longest sequence that attention reads, so slots are kept in order of
length, longest first, and are read in spans of a few; in each span attention goes no further than
its own longest sequence.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from collapse.language.sampling.cached_decoder import CachedDecoder
from collapse.language.sampling.choice import Decoding, Request, choose_tokens

SPANS = 4  # more spans read less, but each costs a handful of calls a layer
LEAST_SPAN = 8


@dataclass
class Live:
    """A sequence that is being written."""

    index: int  # of its prompt
    newest: int  # its latest token, not yet seen by the model
    position: int  # of the newest token
    uniforms: list[float]  # one a token to come; as many as it may write
    written: list[int] = field(default_factory=list)

    @classmethod
    def start(cls, index: int, request: Request) -> "Live":
        """The sequence of a request, before its first new token."""
        last = len(request.prompt) - 1
        return cls(index, request.prompt[last], last, request.uniforms)

    def extend(self, token: int, eos_token_ids: frozenset[int]) -> bool:
        """Write a token; True where the sequence ends with it."""
        if token in eos_token_ids:
            return True
        self.written.append(token)
        self.newest = token
        self.position += 1
        return len(self.written) == len(self.uniforms)


class Slots:
    """Sequences in the slots of a cached decoder, in order of length as far as spans go."""

    def __init__(self, decoder: CachedDecoder, slots: int) -> None:
        self.decoder = decoder
        self.capacity = slots
        self.span = max(LEAST_SPAN, -(-slots // SPANS))
        self.live: list[Live] = []

    @property
    def vacant(self) -> int:
        """Number of free slots."""
        return self.capacity - len(self.live)

    def advance(self, decoding: Decoding, eos_token_ids: frozenset[int]) -> list[Live]:
        """Write one token in every slot; returns the sequences that ended, whose slots are free."""
        device = self.decoder.embedding.device
        newest_N = torch.tensor([live.newest for live in self.live], device=device)
        logits_NxV = self.decoder.step(
            newest_N, [live.position for live in self.live], self.spans()
        )
        numbers = [live.uniforms[len(live.written)] for live in self.live]
        uniforms_N = torch.tensor(numbers, dtype=torch.float64, device=device)
        tokens = choose_tokens(logits_NxV, uniforms_N, decoding).tolist()
        # Before any slot is moved every live sequence must have its token.
        ended = [
            slot for slot, live in enumerate(self.live) if live.extend(tokens[slot], eos_token_ids)
        ]
        finished = [self.live[slot] for slot in ended]
        # From the back: a release moves only slots behind the one it frees.
        for slot in reversed(ended):
            self.release(slot)
        return finished

    def spans(self) -> list[tuple[int, int]]:
        """Ranges of slots whose attention is computed together."""
        count = len(self.live)
        return [(start, min(start + self.span, count)) for start in range(0, count, self.span)]

    def admit(self, newcomers: list[tuple[Live, list[int]]]) -> None:
        """Put new sequences behind the others, and read what precedes their newest tokens."""
        first = len(self.live)
        self.live += [live for live, _ in newcomers]
        known = [(first + k, before) for k, (_, before) in enumerate(newcomers) if before]
        if known:
            slots, prompts = zip(*known, strict=True)
            self.decoder.prefill(list(slots), list(prompts))

    def release(self, slot: int) -> None:
        """Free a slot; the gap wanders to the end, filled in every span from the span after it."""
        gap = slot
        while (start := (gap // self.span + 1) * self.span) < len(self.live):
            span = range(start, min(start + self.span, len(self.live)))
            longest = max(span, key=lambda candidate: self.live[candidate].position)
            self._move(longest, gap)
            gap = longest
        last = len(self.live) - 1
        if gap != last:
            self._move(last, gap)
        self.live.pop()

    def _move(self, source: int, target: int) -> None:
        self.decoder.move(source, target, self.live[source].position)
        self.live[target] = self.live[source]


@torch.inference_mode()
def sample_in_slots(
    model: PreTrainedModel,
    requests: Sequence[Request],
    decoding: Decoding,
    *,
    eos_token_ids: frozenset[int],
    batch_size: int,
    report: Callable[[int], None],
) -> list[list[int]]:
    """Completions in the order of the requests; see ``sample_tokens``.

    Args:
        model: a decoder of this project, with its causal mask.
        requests: prompts, each with as many uniform numbers as it may write tokens.
        decoding: temperature and filters.
        eos_token_ids: any of these ends a sequence, and is not part of it.
        batch_size: number of slots.
        report: called with the number of completions that are finished.
    """
    completions: list[list[int]] = [[] for _ in requests]
    waiting = deque(k for k, request in enumerate(requests) if request.uniforms)
    length = max((len(r.prompt) + len(r.uniforms) for r in requests), default=1)
    slots = Slots(CachedDecoder(model, min(batch_size, len(requests)), length), batch_size)
    while waiting or slots.live:
        newcomers = [waiting.popleft() for _ in range(min(slots.vacant, len(waiting)))]
        slots.admit([(Live.start(k, requests[k]), requests[k].prompt[:-1]) for k in newcomers])
        finished = slots.advance(decoding, eos_token_ids)
        for live in finished:
            completions[live.index] = live.written
        if finished:
            report(len(requests) - len(waiting) - len(slots.live))
    return completions
