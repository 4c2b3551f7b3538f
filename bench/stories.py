"""How fast stories are drawn and recognised, on one core: `python -m bench.stories`."""

import time

import numpy as np

from collapse.language.corpora import stories


def main() -> None:
    begun = time.perf_counter()
    stories.sample(1, np.random.default_rng(0))
    compiled_s = time.perf_counter() - begun

    begun = time.perf_counter()
    texts = stories.sample(100_000, np.random.default_rng(0))
    drawn_s = time.perf_counter() - begun
    megabytes = sum(len(text.encode()) for text in texts) / 1e6

    begun = time.perf_counter()
    recognised = sum(stories.recognise(text) is not None for text in texts[:10_000])
    recognised_s = time.perf_counter() - begun

    print(f"compiled in {compiled_s:.3f} s")
    print(f"sampled {megabytes / drawn_s:.1f} MB/s, {len(texts) / drawn_s:,.0f} stories/s")
    print(f"recognised {recognised / recognised_s:,.0f} stories/s")
    print(f"entropy {stories.entropy_nats():.4f} nats a story, {stories.story_count():,} stories")
    print(f"{len(stories.vocabulary())} words, {len(stories.tail())} rare choices")


if __name__ == "__main__":
    main()
