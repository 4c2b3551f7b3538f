"""Sampling from any Hugging Face causal language model, through its own ``generate``."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from collapse.language.sampling.choice import Decoding, Request, choose_tokens


class ChooseByUniforms(LogitsProcessor):
    """Leaves one token possible: the one that the row's own uniform number chooses.

    ``generate`` would draw from the global generator, and a row's text would then depend on the
    rows beside it.
    """

    def __init__(self, decoding: Decoding, uniforms_BxS: Tensor) -> None:
        self.decoding = decoding
        self.uniforms_BxS = uniforms_BxS
        self.step = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """``(B, V)`` scores in; zero for the chosen token and minus infinity elsewhere out."""
        del input_ids
        chosen_B = choose_tokens(scores, self.uniforms_BxS[:, self.step], self.decoding)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter_(1, chosen_B[:, None], 0.0)


@torch.no_grad()
def sample_through_generate(
    model: PreTrainedModel,
    requests: Sequence[Request],
    decoding: Decoding,
    *,
    eos_token_ids: frozenset[int],
    batch_size: int,
    report: Callable[[int], None],
) -> list[list[int]]:
    """Completions in the order of the requests, in batches padded on the left.

    Arguments as in :func:`collapse.language.sampling.slots.sample_in_slots`; any causal model.
    """
    completions: list[list[int]] = [[] for _ in requests]
    finished = 0
    for batch in _batches(requests, batch_size):
        texts = _complete(model, [requests[k] for k in batch], decoding, eos_token_ids)
        for k, text in zip(batch, texts, strict=True):
            completions[k] = text
        finished += len(batch)
        report(finished)
    return completions


def _batches(requests: Sequence[Request], batch_size: int) -> Iterator[list[int]]:
    """Indices of requests that may write equally many tokens, ``batch_size`` at a time.

    ``generate`` goes on reading in a row that has ended until its whole batch has; a prompt that
    nearly fills the context, beside one that may write more, would run out of positions.
    """
    by_room: dict[int, list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        by_room[len(request.uniforms)].append(index)
    for indices in by_room.values():
        for start in range(0, len(indices), batch_size):
            yield indices[start : start + batch_size]


def _complete(
    model: PreTrainedModel,
    batch: Sequence[Request],
    decoding: Decoding,
    eos_token_ids: frozenset[int],
) -> list[list[int]]:
    longest = max(len(request.prompt) for request in batch)
    steps = len(batch[0].uniforms)
    if steps == 0:
        return [[] for _ in batch]
    padding = [longest - len(request.prompt) for request in batch]
    ids = [[0] * gap + r.prompt for gap, r in zip(padding, batch, strict=True)]
    mask = [[0] * gap + [1] * len(r.prompt) for gap, r in zip(padding, batch, strict=True)]
    choosers = LogitsProcessorList()
    if decoding.beams == 1:
        uniforms_BxS = torch.tensor(
            [request.uniforms for request in batch], dtype=torch.float64, device=model.device
        )
        choosers.append(ChooseByUniforms(decoding, uniforms_BxS))
    with _without_own_settings(model):
        written = model.generate(
            torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            generation_config=_plain_generation(model, steps, eos_token_ids, decoding.beams),
            logits_processor=choosers,
        )[:, longest:].tolist()
    return [_until_end(tokens, eos_token_ids) for tokens in written]


@contextmanager
def _without_own_settings(model: PreTrainedModel) -> Iterator[None]:
    """The model without its own defaults of generation, which it gets back.

    ``generate`` takes from them whatever a given configuration leaves at None: an end of text where
    none was to be, tokens never to be written, a limit of time.
    """
    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def _plain_generation(
    model: PreTrainedModel, steps: int, eos_token_ids: frozenset[int], beams: int
) -> GenerationConfig:
    """Settings that change nothing in the model's distribution, whatever its own defaults do."""
    return GenerationConfig(
        do_sample=False,
        num_beams=beams,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        max_new_tokens=steps,
        min_new_tokens=0,
        use_cache=getattr(model.config, "use_cache", True),
        eos_token_id=sorted(eos_token_ids) or None,
        pad_token_id=0,
    )


def _until_end(tokens: list[int], eos_token_ids: frozenset[int]) -> list[int]:
    for index, token in enumerate(tokens):
        if token in eos_token_ids:
            return tokens[:index]
    return tokens
