"""What a plan's names stand for is part of its fingerprints."""

from pathlib import Path

import pytest
import torch

from collapse.execution.prepared import prepare_plan
from collapse.language.tokenizer import train_tokenizer
from collapse.parameters.study import load_study
from collapse.stages.plan import plan_chain
from tests.execution.test_pretrained_chain import gpt2


@pytest.mark.parametrize("tokenizer", ["study", "elsewhere"])
def test_other_weights_in_the_same_folder_are_another_baseline(
    tmp_path: Path, tokenizer: str
) -> None:
    texts = ["One day, Lily found a ball.", "Tom had a dog."]
    words = train_tokenizer(texts, kind="characters", vocabulary_size=100)
    for name in ("model", "elsewhere"):
        words.save_pretrained(tmp_path / name)
    given = {"preset": str(tmp_path / "model")}
    if tokenizer != "study":
        given["tokenizer"] = str(tmp_path / tokenizer)
    study = load_study("quickstart")
    prints = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            gpt2(len(words)).save_pretrained(tmp_path / "model")
        plan = plan_chain(study, given, arm="replace", seed=0, generation=0)
        prints.append(prepare_plan(study, plan).fingerprints["baseline/replace/seed0/gen0"])
    assert prints[0] != prints[1]
