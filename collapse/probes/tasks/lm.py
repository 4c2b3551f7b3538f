"""A checkpoint as lm-eval sees a model: text in, log-likelihoods or text out.

lm-eval's own class for Hugging Face models would do, but for four things: it leaves out the token
that a document starts from, shows our decoders without a causal mask the padding, looks for a batch
size with prints and full-length passes, and scores the same context once for every ending that has
one token. On the same tokens it says the same (tests/probes/test_tasks_parity.py).
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import resolve_max_length

from collapse.language.sampling import BATCH_SIZE, sample_tokens
from collapse.probes.continuations import CPU_TOKENS, GPU_TOKENS, score_continuations
from collapse.probes.measuring import measuring


class CheckpointLM(TemplateLM):
    """A model and its tokenizer, asked as lm-eval asks.

    Args:
        model: a causal language model in float32.
        tokenizer: the one it was trained with.
        documents: tasks whose contexts are beginnings of documents, so that they start from the
            tokenizer's bos token; contexts of other tasks are encoded as the tokenizer does it.
        advance: told how many more items were scored.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        documents: Collection[str] = (),
        advance: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.window = resolve_max_length(model.config, tokenizer)
        self.cut: Counter[str] = Counter()
        """Requests by task whose context lost its beginning, for the model could not read it."""
        self._documents = frozenset(documents)
        self._bos = tokenizer.decode(self.prefix_token_id)
        # A context is asked for with each of its answers.
        self._encode = lru_cache(maxsize=64)(partial(_encoded, tokenizer))
        self._advance = advance
        self._seen: set[tuple[Any, Any]] = set()

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return self.tokenizer.eos_token_id

    @property
    def prefix_token_id(self) -> int:
        """The token that stands before a text without a context."""
        first = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else first

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """Token ids of a text, with the special tokens that the tokenizer adds by itself."""
        if kwargs:
            raise TypeError(f"tokens are asked for in a way that is not known: {sorted(kwargs)}")
        if add_special_tokens is None and string.startswith(self._bos):
            add_special_tokens = False
        return list(self._encode(string, add_special_tokens))

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        """Log-likelihood of each continuation in nats, and whether the model would write it.

        A continuation without a token is impossible: it never beats another answer.
        """
        del disable_tqdm
        pairs = [self._pair(request) for request in requests]
        asked = [number for number, (_, continuation) in enumerate(pairs) if continuation]
        for number in asked:
            context, continuation = pairs[number]
            self._note_cut(requests[number], len(context) + len(continuation) - 1)
        found = score_continuations(
            self.model,
            [pairs[number] for number in asked],
            window=self.window,
            advance=lambda some: self._tell(requests[asked[number]] for number in some),
        )
        scores = [(float("-inf"), False)] * len(requests)
        for number, one in zip(asked, found, strict=True):
            scores[number] = (one.log_likelihood_nats, one.is_greedy)
        return scores

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = True) -> list[str]:
        """The likeliest token again and again, up to a stop string, the end of text or a limit."""
        del disable_tqdm
        texts: list[str] = [""] * len(requests)
        for length in dict.fromkeys(request.args[1]["max_gen_toks"] for request in requests):
            some = [n for n, one in enumerate(requests) if one.args[1]["max_gen_toks"] == length]
            prompts = [self._prompt(requests[number], length) for number in some]
            written = self._write(prompts, length)
            for number, text in zip(some, self._decode(written), strict=True):
                texts[number] = before_any(text, requests[number].args[1]["until"])
            self._tell(requests[number] for number in some)
        return texts

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = True
    ) -> list[float]:
        """Not asked by any of the tasks."""
        raise NotImplementedError("whole texts are the stage quality's matter")

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        raise NotImplementedError("loglikelihood scores tokens itself")

    def _pair(self, request: Instance) -> tuple[list[int], list[int]]:
        context, continuation = request.args
        if not context:
            context_ids = [self.prefix_token_id]
            ids = self.tok_encode(continuation, add_special_tokens=False)
            return (ids[:1], ids[1:]) if ids[:1] == context_ids else (context_ids, ids)
        context_ids, ids = self._encode_pair(context, continuation)
        return self._start(request, context_ids), ids

    def _prompt(self, request: Instance, length: int) -> list[int]:
        ids = self._start(request, self.tok_encode(request.args[0]))
        room = max(1, self.window - length)
        self._note_cut(request, len(ids) + self.window - room)
        return ids[-room:] or [self.prefix_token_id]

    def _start(self, request: Instance, ids: list[int]) -> list[int]:
        first = self.prefix_token_id
        is_begun = request.task_name not in self._documents or ids[:1] == [first]
        return ids if is_begun else [first, *ids]

    def _write(self, prompts: Sequence[list[int]], length: int) -> list[list[int]]:
        """Greedy completions; on a GPU whose memory is exceeded, fewer at a time."""
        with measuring(self.model) as device:
            tokens = CPU_TOKENS if device.type == "cpu" else GPU_TOKENS
            longest = max(map(len, prompts)) + length
            at_once = min(BATCH_SIZE, max(1, tokens // longest))
            while True:
                try:
                    return sample_tokens(
                        self.model,
                        prompts,
                        max_new_tokens=length,
                        temperature=0,
                        eos_token_id=self.eot_token_id,
                        seed=0,
                        batch_size=at_once,
                    )
                except torch.OutOfMemoryError:
                    if at_once == 1:
                        raise
                    at_once //= 2
                    torch.cuda.empty_cache()

    def _decode(self, documents: Sequence[list[int]]) -> list[str]:
        return list(
            self.tokenizer.batch_decode(
                documents, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def _note_cut(self, request: Instance, tokens: int) -> None:
        if tokens > self.window:
            self.cut[str(request.task_name)] += 1

    def _tell(self, requests: Iterable[Instance]) -> None:
        """Count items, of which one may be several requests."""
        before = len(self._seen)
        self._seen.update((request.task_name, request.doc_id) for request in requests)
        if self._advance:
            self._advance(len(self._seen) - before)


def _encoded(tokenizer: Any, text: str, add_special_tokens: bool | None) -> tuple[int, ...]:
    if add_special_tokens is None:
        return tuple(tokenizer.encode(text))
    return tuple(tokenizer.encode(text, add_special_tokens=add_special_tokens))


def before_any(text: str, stops: Sequence[str]) -> str:
    """What stands before the first of the stop strings."""
    for stop in stops:
        text = text.partition(stop)[0]
    return text
