"""Training over process borders: killed and resumed, and shared by two processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from collapse.language.training import train

ROOT = Path(__file__).parents[2]

# The same few lines run here and in the subprocesses.
SETTING = """
import torch
import numpy as np
from transformers import LlamaConfig, LlamaForCausalLM
from collapse.language.training import TrainingRecipe, train

def setting(**changes):
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, tie_word_embeddings=True,
    ))
    stream = np.random.default_rng(0).integers(0, 32, 700).astype(np.int32)
    options = dict(steps=20, tokens_per_step=5 * 16, sequence_length=16, schedule="cosine")
    return model, stream, TrainingRecipe(**options | changes)
"""

KILLED = """
import os, signal, sys
from pathlib import Path

torch.set_num_threads(int(sys.argv[2]))
model, stream, recipe = setting(optimizer="muon", checkpoint_every=5)

def kill(step):
    if step == 11:
        os.kill(os.getpid(), signal.SIGKILL)

for _ in train(model, stream, recipe, seed=3, state_folder=Path(sys.argv[1]), progress=kill):
    pass
"""

SHARED = """
import json, os, sys

model, stream, recipe = setting(micro_batch=1, evaluate_every=10)
measurements = list(train(model, stream, recipe, seed=3, validation=stream[:200]))
total = sum(p.double().abs().sum().item() for p in model.parameters())
lines = [[m.step, dict(m.values)] for m in measurements]
path = f"{sys.argv[1]}/rank{os.environ['RANK']}.json"
with open(path, "w") as file:
    json.dump({"measurements": lines, "weights": total}, file)
torch.distributed.destroy_process_group()
"""


def setting(**changes):
    scope = {}
    exec(SETTING, scope)
    return scope["setting"](**changes)


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def script(folder, text):
    path = folder / "script.py"
    path.write_text(SETTING + text)
    return str(path)


def test_a_killed_run_ends_in_the_same_bits(tmp_path):
    states = tmp_path / "states"
    ended = subprocess.run(
        [sys.executable, script(tmp_path, KILLED), str(states), str(torch.get_num_threads())],
        env=environment(),
        timeout=120,
    )
    assert ended.returncode == -signal.SIGKILL
    assert [p.name for p in sorted(states.iterdir())] == ["step-000000005.pt", "step-000000010.pt"]

    whole, stream, recipe = setting(optimizer="muon", checkpoint_every=5)
    expected = list(train(whole, stream, recipe, seed=3))
    resumed = setting()[0]
    rest = list(train(resumed, stream, recipe, seed=3, state_folder=states))
    theirs = dict(whole.named_parameters())
    for name, parameter in resumed.named_parameters():
        assert torch.equal(parameter, theirs[name]), name
    for measured, known in zip(rest, expected[10:], strict=True):
        assert measured.step == known.step
        assert measured.values["train/loss_nats"] == known.values["train/loss_nats"]
        assert measured.values["gradient/norm"] == known.values["gradient/norm"]


OF_THE_MACHINE = {"train/tokens_per_second", "train/seconds", "train/micro_batch"}


def test_two_processes_give_the_losses_of_one(tmp_path):
    """Five sequences a step: one process takes two, the other three."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    ended = subprocess.run(
        [*command, script(tmp_path, SHARED), str(tmp_path)],
        env=environment(),
        timeout=180,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]

    model, stream, recipe = setting(evaluate_every=10)
    expected = list(train(model, stream, recipe, seed=3, validation=stream[:200]))
    for rank in ranks:
        assert len(rank["measurements"]) == len(expected)
        for (step, values), known in zip(rank["measurements"], expected, strict=True):
            assert step == known.step
            for name in set(known.values) - OF_THE_MACHINE:
                assert values[name] == pytest.approx(known.values[name], rel=1e-4), name
        assert rank["measurements"][-1][1]["train/micro_batch"] == 1
    assert ranks[0]["weights"] == ranks[1]["weights"]
    total = sum(p.double().abs().sum().item() for p in model.parameters())
    assert ranks[0]["weights"] == pytest.approx(total, rel=1e-5)


DIFFERENT = """
import os, sys

model, stream, recipe = setting()
stream = (stream + int(os.environ["RANK"])) % 32
try:
    train(model, stream, recipe, seed=3)
except Exception as error:
    path = f"{sys.argv[1]}/error{os.environ['RANK']}"
    with open(path, "w") as file:
        file.write(f"{type(error).__name__}: {error}")
torch.distributed.destroy_process_group()
"""


def test_processes_with_different_texts_are_stopped(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
        + ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
        + [script(tmp_path, DIFFERENT), str(tmp_path)],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    for rank in (0, 1):
        said = (tmp_path / f"error{rank}").read_text()
        assert said.startswith("BadInput: the 2 processes were given different texts"), run.stderr
