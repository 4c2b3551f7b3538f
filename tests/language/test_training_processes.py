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

model, stream, recipe = setting(micro_batch=int(sys.argv[2]), evaluate_every=10)
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
        timeout=900,
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


@pytest.mark.parametrize("micro_batch", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_two_processes_give_the_losses_of_one(tmp_path, micro_batch):
    """Five sequences a step: one process takes two, the other three, at once or one by one."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    ended = subprocess.run(
        [*command, script(tmp_path, SHARED), str(tmp_path), str(micro_batch)],
        env=environment(),
        timeout=900,
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
        assert rank["measurements"][-1][1]["train/micro_batch"] == (micro_batch or 2)
    assert ranks[0]["weights"] == ranks[1]["weights"]
    total = sum(p.double().abs().sum().item() for p in model.parameters())
    assert ranks[0]["weights"] == pytest.approx(total, rel=1e-5)


PIECES = """
import json, os, sys
from pathlib import Path

def weights(model):
    return {name: p.detach().tolist() for name, p in model.named_parameters()}

found = {}
for optimizer in ("adamw", "muon"):
    shown = []
    options = dict(optimizer=optimizer, tokens_per_step=6 * 16, micro_batch=1, freeze="norm",
                   clip_norm=0.5, evaluate_every=10, checkpoint_every=5)
    model, stream, recipe = setting(**options)
    run = train(model, stream, recipe, seed=3, validation=stream[:200], checkpoint_steps=[10],
                on_checkpoint=lambda step, model: shown.append((step, weights(model))))
    measured = [(m.step, dict(m.values)) for m in run]
    found[optimizer] = {"measured": measured, "weights": weights(model), "shown": shown}

states = Path(sys.argv[1]) / "states"
for measurement in train(setting()[0], stream, recipe, seed=3, state_folder=states):
    if measurement.step == 12:
        break
resumed = setting()[0]
rest = train(resumed, stream, recipe, seed=3, state_folder=states)
found["resumed"] = {"steps": [m.step for m in rest], "weights": weights(resumed)}
with open(f"{sys.argv[1]}/rank{os.environ['RANK']}.json", "w") as file:
    json.dump(found, file)
torch.distributed.destroy_process_group()
"""


def in_pieces(folder, text):
    """Two processes with Accelerate's configuration of docs/processes.md."""
    launch = ["accelerate.commands.launch", "--config_file", str(ROOT / "docs" / "fsdp.yaml")]
    return subprocess.run(
        [sys.executable, "-m", *launch, script(folder, text), str(folder)],
        env=environment(),
        timeout=900,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """What both processes found."""
    folder = tmp_path_factory.mktemp("pieces")
    ended = in_pieces(folder, PIECES)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


# Muon orthogonalises in bfloat16, which knows three digits.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "digits", "moved"), [("adamw", 1e-4, 1e-5), ("muon", 5e-3, 5e-3)]
)
def test_a_model_in_pieces_is_trained_as_a_whole_one(pieces, optimizer, digits, moved):
    first, second = (one[optimizer] for one in pieces)
    model, stream, recipe = setting(
        optimizer=optimizer, tokens_per_step=96, freeze="norm", clip_norm=0.5, evaluate_every=10
    )
    before = {name: p.clone() for name, p in model.named_parameters()}
    shown = {}
    known = train(
        model,
        stream,
        recipe,
        seed=3,
        validation=stream[:200],
        on_checkpoint=lambda _, m: shown.update((n, p.clone()) for n, p in m.named_parameters()),
        checkpoint_steps=[10],
    )
    for (step, values), one in zip(first["measured"], known, strict=True):
        assert step == one.step
        for name in set(one.values) - OF_THE_MACHINE:
            assert values[name] == pytest.approx(one.values[name], rel=digits), name
    for name, parameter in model.named_parameters():
        assert torch.tensor(first["weights"][name]).sub(parameter).abs().max() < moved, name
        assert torch.equal(parameter, before[name]) == ("norm" in name)
    assert first["weights"] == second["weights"]
    ((step, weights),) = first["shown"]
    assert step == 10
    for name, parameter in shown.items():
        assert torch.tensor(weights[name]).sub(parameter).abs().max() < moved, name
    assert second["shown"] == []


@pytest.mark.slow
def test_a_training_in_pieces_goes_on_to_the_same_bits(pieces):
    """Broken off after step 12, gone on with from the state of step 10."""
    for one in pieces:
        assert one["resumed"]["steps"][0] == 11
        assert one["resumed"]["weights"] == one["muon"]["weights"]


REFUSED = """
import os, sys
from collapse.errors import CollapseError

for changes in ({"tokens_per_step": 5 * 16}, {"tokens_per_step": 96, "precision": "fp16"}):
    model, stream, recipe = setting(**changes)
    try:
        train(model, stream, recipe, seed=3)
    except CollapseError as error:
        with open(f"{sys.argv[1]}/error{os.environ['RANK']}", "a") as file:
            file.write(f"{type(error).__name__}: {error}\\n")
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_what_cannot_be_trained_in_pieces_is_refused(tmp_path):
    ended = in_pieces(tmp_path, REFUSED)
    assert ended.returncode == 0, ended.stderr[-2000:]
    for rank in (0, 1):
        uneven, fp16 = (tmp_path / f"error{rank}").read_text().splitlines()
        assert uneven.startswith("BadParameter: 5 sequences a step cannot be shared evenly by 2")
        assert fp16.startswith("BadParameter: precision=fp16")


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


@pytest.mark.slow
def test_processes_with_different_texts_are_stopped(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
        + ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
        + [script(tmp_path, DIFFERENT), str(tmp_path)],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    for rank in (0, 1):
        said = (tmp_path / f"error{rank}").read_text()
        assert said.startswith("BadInput: the 2 processes were given different texts"), run.stderr
