"""An alarm on a run that collapses and none on one that does not, in a Trainer, on one core.

    python -m bench.early_warning [FOLDER] [--healthy 19] [--steps 300]

Trains a small Llama on the `stories` corpus with the Hugging Face Trainer: healthy runs first, with
seeds of their own, each watched and saved to FOLDER/healthy_STEPS.json (those that it holds already
are not made again); then two more, judged by them: one healthy, and one that from half its steps on
reads only what it writes greedily itself. Writes two figures, healthy.png and collapsing.png, and
prints what happened; and what the rule `looks`, which has no healthy runs, makes of all of them.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, SequentialSampler
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    set_seed,
)

import collapse
from collapse.figures.style import png_bytes
from collapse.language.corpora.stories import world
from collapse.language.sampling import sample_tokens
from collapse.numerics.diversity import words
from collapse.numerics.streams import numpy_stream, stream_seed
from collapse.watch.indicators import CHEAP
from collapse.watch.judges import LooksJudge
from collapse.watch.looks import Look, Setting, read_runs

STORIES = world("stories")

TOKENS, ROWS, PROMPT = 48, 8, 8
EVERY = 5
ALWAYS = 100.0  # calibration skips no look


def vocabulary() -> dict[str, int]:
    """Words and marks of the corpus, numbered; the first stands for any other."""
    found = {token for word in STORIES.vocabulary() for token in words(word)}
    return {token: place for place, token in enumerate(["", *sorted(found | set(".,!'\"?"))])}


def rows_of_text(count: int, *names: str | int) -> torch.Tensor:
    """Stories one after the other, cut into rows."""
    places, tokens = vocabulary(), []
    generator = numpy_stream(0, "bench", *names)
    while len(tokens) < count * TOKENS:
        for text in STORIES.sample(200, generator):
            tokens += [places.get(token, 0) for token in words(text)]
    return torch.tensor(tokens[: count * TOKENS]).view(count, TOKENS)


class Texts(Dataset):
    """Human rows, and from one on, rows that the model writes itself, greedily."""

    def __init__(self, human: torch.Tensor, model: PreTrainedModel, turns_at: int | None) -> None:
        self.human, self.model = human, model
        self.turns_at = len(human) if turns_at is None else turns_at
        self.written: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self.human)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.human[index].tolist() if index < self.turns_at else self._own(index)
        return {"input_ids": row, "labels": row}

    def _own(self, index: int) -> list[int]:
        if index not in self.written:
            places = range(index, min(index + ROWS, len(self.human)))
            prompts = [self.human[place, :PROMPT].tolist() for place in places]
            texts = sample_tokens(
                self.model,
                prompts,
                max_new_tokens=TOKENS - PROMPT,
                temperature=0,
                eos_token_id=None,
                seed=0,
            )
            own = [prompt + text for prompt, text in zip(prompts, texts, strict=True)]
            self.written = dict(zip(places, own, strict=True))
        return self.written[index]


class InOrder(Trainer):
    """Rows are drawn anew for each seed already."""

    def _get_train_sampler(self, *_: object) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


def train(watch: "collapse.EarlyWarning", seed: int, steps: int, turns_at: int | None) -> float:
    """One run; returns its seconds."""
    set_seed(stream_seed(seed, "bench", "early warning") % 2**32)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary()),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    data = Texts(rows_of_text(steps * ROWS, "training", seed), model, turns_at)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=ROWS,
            learning_rate=3e-3,
            warmup_steps=20,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        begun = time.perf_counter()
        InOrder(model, arguments, train_dataset=data, callbacks=[watch]).train()
    return time.perf_counter() - begun


def alarm_by_looks(looks: Sequence[Look], burn_in: int = 30) -> int | None:
    """Step at which the rule `looks` alarms at 5 % on a run, compared with itself alone."""
    judge = LooksJudge(CHEAP, burn_in, seed=0)
    return next((look.step for look in looks if judge.judge(look).value >= 20), None)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path, nargs="?", default=Path("build/early_warning"))
    options.add_argument("--healthy", type=int, default=19)
    options.add_argument("--steps", type=int, default=300)
    chosen = options.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    batch = rows_of_text(16, "fixed batch")
    path = chosen.folder / f"healthy_{chosen.steps}.json"
    there = len(json.loads(path.read_text())["runs"]) if path.exists() else 0
    for seed in range(there, chosen.healthy):
        watch = collapse.EarlyWarning(batch, every=EVERY, budget=ALWAYS)
        seconds = train(watch, seed, chosen.steps, None)
        watch.save(path)
        print(f"healthy run {seed}: {seconds:.1f} s, share of looks {watch.share:.2f}", flush=True)
    for name, turns_at in (("healthy", None), ("collapsing", chosen.steps * ROWS // 2)):
        watch = collapse.EarlyWarning(batch, every=EVERY, budget=ALWAYS, calibration=path)
        train(watch, 1000, chosen.steps, turns_at)
        print(watch.table.iloc[::6].round(3).to_string(index=False))
        print(f"{name}, by {watch.rule}: {watch.alarm or 'no alarm'}")
        print(f"{name}, by looks: step {alarm_by_looks(watch.looks)}")
        (chosen.folder / f"{name}.png").write_bytes(png_bytes(watch.figure()))
    runs = read_runs(path, Setting.of(batch, 0, [one.name for one in CHEAP]))
    alarms = [alarm_by_looks(run) for run in runs]
    print(
        f"healthy runs, by looks: {sum(step is not None for step in alarms)} of {len(runs)} alarm"
    )


if __name__ == "__main__":
    main()
