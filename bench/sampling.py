"""Stories per second of our sampler beside ``model.generate``: one run, one thread, one model.

    python bench/sampling.py [--stories 512] [--rounds 3] [--batch-size 64]

The model is a random pocket decoder. It speaks nearly uniformly over 1,024 tokens; 16 of them count
as the end, so that lengths are about geometric with a mean of 60 and end at 200, like stories do.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from transformers import GenerationConfig

from collapse.language.model.decoder import DecoderForCausalLM
from collapse.language.presets import load_preset
from collapse.language.sampling import sample_tokens

BOS, PAD = 0, 1
ENDS = list(range(16))
MAX_NEW_TOKENS = 200


def by_generate(model: DecoderForCausalLM, stories: int, batch_size: int, seed: int) -> int:
    """Tokens written by transformers, in batches that wait for their longest."""
    settings = GenerationConfig(
        do_sample=True,
        top_k=0,
        max_new_tokens=MAX_NEW_TOKENS,
        eos_token_id=ENDS,
        pad_token_id=PAD,
        use_cache=True,
    )
    written = 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(0, stories, batch_size):
            prompt = torch.full((batch_size, 1), BOS)
            out = model.generate(
                prompt, attention_mask=torch.ones_like(prompt), generation_config=settings
            )[:, 1:]
            is_end = torch.isin(out, torch.tensor(ENDS))
            written += int((is_end.cumsum(-1) == 0).sum())
    return written


def by_slots(model: DecoderForCausalLM, stories: int, batch_size: int, seed: int) -> int:
    """Tokens written by continuous batching."""
    completions = sample_tokens(
        model,
        [[BOS]] * stories,
        max_new_tokens=MAX_NEW_TOKENS,
        eos_token_id=ENDS,
        seed=seed,
        batch_size=batch_size,
    )
    return sum(map(len, completions))


def tokens_and_seconds(write: Callable[[], int]) -> tuple[int, float]:
    """What a sampler wrote, and how long it took."""
    start = time.perf_counter()
    tokens = write()
    return tokens, time.perf_counter() - start


def main() -> None:
    """Measure both alternately, and print medians and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--stories", type=int, default=512)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--batch-size", type=int, default=64)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    model = load_preset("pocket")
    stories, batch_size = options.stories, options.batch_size
    ratios = []
    for seed in range(options.rounds):
        tokens, seconds = tokens_and_seconds(
            lambda seed=seed: by_generate(model, stories, batch_size, seed)  # type: ignore[misc]
        )
        ours, our_seconds = tokens_and_seconds(
            lambda seed=seed: by_slots(model, stories, batch_size, seed)  # type: ignore[misc]
        )
        ratios.append(seconds / our_seconds)
        print(
            f"batch {batch_size}: generate {stories / seconds:7.1f} stories/s "
            f"{tokens / seconds:8.0f} tokens/s | slots {stories / our_seconds:7.1f} stories/s "
            f"{ours / our_seconds:8.0f} tokens/s | {ratios[-1]:.2f} times"
        )
    print(f"median: {statistics.median(ratios):.2f} times the stories per second of generate")
    for size in (1, 16, 64, 128, 256, 512):
        count = max(min(stories, 8 * size), 16)
        tokens, seconds = tokens_and_seconds(lambda n=count, b=size: by_slots(model, n, b, 0))  # type: ignore[misc]
        print(
            f"slots {size:4d}: {tokens / seconds:8.0f} tokens/s, {count / seconds:7.1f} stories/s"
        )


if __name__ == "__main__":
    main()
