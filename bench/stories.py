"""How fast stories are drawn and recognised, on one core: `python -m bench.stories`."""

import time

import numpy as np

from collapse.language.corpora.stories import world

STORIES = world("stories")


def main() -> None:
    begun = time.perf_counter()
    STORIES.sample(1, np.random.default_rng(0))
    compiled_s = time.perf_counter() - begun

    begun = time.perf_counter()
    texts = STORIES.sample(100_000, np.random.default_rng(0))
    drawn_s = time.perf_counter() - begun
    megabytes = sum(len(text.encode()) for text in texts) / 1e6

    begun = time.perf_counter()
    recognised = sum(STORIES.recognise(text) is not None for text in texts[:10_000])
    recognised_s = time.perf_counter() - begun

    print(f"compiled in {compiled_s:.3f} s")
    print(f"sampled {megabytes / drawn_s:.1f} MB/s, {len(texts) / drawn_s:,.0f} stories/s")
    print(f"recognised {recognised / recognised_s:,.0f} stories/s")
    print(f"entropy {STORIES.entropy_nats():.4f} nats a story, {STORIES.story_count():,} stories")
    print(f"{len(STORIES.vocabulary())} words, {len(STORIES.tail())} rare choices")


if __name__ == "__main__":
    main()
