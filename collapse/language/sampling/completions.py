"""Completions of prompts by a causal language model: token ids in and out, or text in and out."""

import math
from collections.abc import Callable, Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from collapse.errors import BadParameter
from collapse.language.sampling.choice import LEAST_TEMPERATURE, Decoding, Request
from collapse.language.sampling.slots import sample_in_slots
from collapse.language.sampling.through_generate import sample_through_generate
from collapse.numerics.sharing import place, shared
from collapse.numerics.streams import numpy_stream

BATCH_SIZE = 128


def sample_tokens(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    beams: int = 1,
    eos_token_id: int | Sequence[int] | None,
    seed: int,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
) -> list[list[int]]:
    """Sample a completion of each prompt.

    Prompt i has a stream of uniform numbers of its own, and its k-th token is chosen by the k-th of
    them: up to rounding, the text does not depend on the batch size or on the other prompts. A
    causal decoder of this project goes through continuous batching, any other model, and any beam
    search, through ``generate``. Several processes share the prompts.

    Args:
        model: a causal language model; it is used in evaluation mode, and left as it was.
        prompts: token ids, at least one each.
        max_new_tokens: of each completion; less where the model's context ends before.
        temperature: divides the logits; 0 takes the likeliest token.
        top_k: only the so many likeliest tokens; 0 is off.
        top_p: only the likeliest tokens with this mass together; 1 is off.
        beams: sequences that a beam search follows for each prompt, at temperature 0; 1 is off.
        eos_token_id: the token, or tokens, that end a completion; None for none.
        seed: of the streams ``sampling``, i.
        batch_size: sequences that are written at a time.
        progress: called now and then with the number of completions finished so far.

    Returns:
        The completions alone, in prompt order, without the end token.

    Raises:
        BadParameter: a value out of range, an empty prompt, a prompt longer than the context, or a
            token id that is not in the vocabulary.
    """
    decoding = Decoding(temperature, top_k, top_p, beams)
    _check(decoding, max_new_tokens, batch_size)
    requests = _requests(model, prompts, max_new_tokens, seed)
    if not requests:
        return []
    if eos_token_id is None:
        ends: frozenset[int] = frozenset()
    else:
        ends = frozenset([eos_token_id] if isinstance(eos_token_id, int) else eos_token_id)
    # By name: a decoder that was loaded with its own code is an instance of a copy of our class.
    ours = model.config.model_type == "collapse_decoder" and model.config.causal
    sampler = sample_in_slots if ours and beams == 1 else sample_through_generate
    report, processes = progress or _nothing, place()[1]

    def write(own: Sequence[Request]) -> list[list[int]]:
        if not own:
            return []
        return sampler(
            model,
            list(own),
            decoding,
            eos_token_ids=ends,
            batch_size=batch_size,
            # The others are about as far.
            report=lambda finished: report(min(finished * processes, len(requests))),
        )

    was_training = model.training
    model.eval()
    try:
        return shared(requests, write)
    finally:
        model.train(was_training)


def sample(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 256,
    temperature: float = 0.8,
    top_k: int = 50,
    top_p: float = 1.0,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
) -> list[str]:
    """Sample a completion of each text; see :func:`sample_tokens`.

    An empty prompt starts from the tokenizer's bos token (eos, where it has none, as GPT-2 does).

    Returns:
        The completions alone as text, in prompt order, ended at eos, without special tokens.

    Raises:
        BadParameter: see :func:`sample_tokens`; one text in place of several; or an empty prompt
            for a tokenizer that has neither bos nor eos.
    """
    if isinstance(prompts, str):
        raise BadParameter(f"prompts={prompts!r} is one text: give a list, [{prompts!r}]")
    completions = sample_tokens(
        model,
        [_encode(tokenizer, prompt) for prompt in prompts],
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        eos_token_id=tokenizer.eos_token_id,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    return list(
        tokenizer.batch_decode(
            completions, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
    )


def _encode(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    ids = list(tokenizer(prompt)["input_ids"]) if prompt else []
    if ids and ids[-1] == tokenizer.eos_token_id:
        ids.pop()  # some tokenizers end every text, and a prompt is to go on
    if ids:
        return ids
    first = tokenizer.bos_token_id
    first = tokenizer.eos_token_id if first is None else first
    if first is None:
        raise BadParameter("an empty prompt needs a tokenizer with a bos or an eos token")
    return [first]


def _check(decoding: Decoding, max_new_tokens: int, batch_size: int) -> None:
    temperature = decoding.temperature
    if not math.isfinite(temperature) or temperature < 0 or 0 < temperature < LEAST_TEMPERATURE:
        raise BadParameter(
            f"temperature={temperature} must be 0 or a positive number, from "
            f"{LEAST_TEMPERATURE:g} on"
        )
    if decoding.top_k < 0:
        raise BadParameter(f"top_k={decoding.top_k} must be 0 (off) or a positive number")
    if not 0 < decoding.top_p <= 1:
        raise BadParameter(f"top_p={decoding.top_p} must lie above 0 and at most at 1 (off)")
    if decoding.beams < 1:
        raise BadParameter(f"beams={decoding.beams} must be 1 (off) or more")
    if decoding.beams > 1 and decoding.temperature > 0:
        raise BadParameter(
            f"beams={decoding.beams} is a search and draws nothing: it needs temperature=0, not "
            f"{decoding.temperature}"
        )
    if max_new_tokens < 1:
        raise BadParameter(f"max_new_tokens={max_new_tokens} must be at least 1")
    if batch_size < 1:
        raise BadParameter(f"batch_size={batch_size} must be at least 1")


def _requests(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], max_new_tokens: int, seed: int
) -> list[Request]:
    """The prompts with their uniform numbers, as many as the context has room for."""
    context = getattr(model.config, "max_position_embeddings", None) or math.inf
    requests = []
    for index, prompt in enumerate(prompts):
        ids = [int(token) for token in prompt]
        _check_prompt(index, ids, context, model.config.vocab_size)
        room = int(min(max_new_tokens, context - len(ids)))
        uniforms = numpy_stream(seed, "sampling", index).random(room).tolist()
        requests.append(Request(ids, uniforms))
    return requests


def _check_prompt(index: int, ids: list[int], context: float, vocabulary: int) -> None:
    if not ids:
        raise BadParameter(f"prompt {index} has no token; start it with the bos token")
    if len(ids) > context:
        raise BadParameter(
            f"prompt {index} has {len(ids)} tokens, more than the model's context of {context:g}"
        )
    if min(ids) < 0 or max(ids) >= vocabulary:
        raise BadParameter(
            f"prompt {index} has token {min(ids) if min(ids) < 0 else max(ids)}, and the model "
            f"knows 0 to {vocabulary - 1}"
        )


def _nothing(finished: int) -> None:
    """No progress is wanted."""
