"""Which device a stage is given, and which precision that device is good at."""

import pytest
import torch

from collapse.parameters.doors import Baseline, RecurseStep
from collapse.stages import device
from collapse.stages.device import GPU_VARIABLE, choose_device, chosen_precision, precision_note
from collapse.stages.learning import choose_learning


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return monkeypatch


@pytest.mark.parametrize(("place", "gpu"), [("0", 0), ("1", 1), ("2", 0), ("5", 1)])
def test_more_workers_than_gpus_share_them(
    two_gpus: pytest.MonkeyPatch, place: str, gpu: int
) -> None:
    two_gpus.setenv(GPU_VARIABLE, place)
    assert choose_device("auto") == torch.device("cuda", gpu)
    assert choose_device("cpu") == torch.device("cpu")


def test_torchrun_says_the_gpu_of_a_process(two_gpus: pytest.MonkeyPatch) -> None:
    two_gpus.delenv(GPU_VARIABLE, raising=False)
    two_gpus.setenv("LOCAL_RANK", "1")
    assert choose_device("cuda") == torch.device("cuda", 1)


@pytest.fixture(params=[0.04, 0.8, 3.0])
def gain(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """A processor on which bfloat16 is so many times as fast."""
    monkeypatch.setattr("collapse.language.precision.bf16_gain", lambda _device: request.param)
    monkeypatch.setattr(device, "bf16_gain", lambda _device: request.param)
    return request.param


def test_auto_is_what_is_faster_and_who_insists_is_served(gain: float) -> None:
    assert chosen_precision("auto", "cpu") == ("bf16" if gain > 1 else "float32")
    for asked in ("float32", "bf16", "fp16"):
        assert chosen_precision(asked, "cpu") == asked


def test_a_slow_bf16_is_named_with_its_factor(gain: float) -> None:
    assert precision_note("float32", "cpu") is None
    told = precision_note("bf16", "cpu")
    if gain > 1:
        assert told is None
    else:
        factor = {0.04: "25.0 times slower", 0.8: "1.2 times slower"}[gain]
        assert told == (
            f"precision=bf16 will be slow: bfloat16 products are {factor} here; precision=auto "
            "would take float32"
        )


def test_auto_says_what_it_is(gain: float) -> None:
    told = precision_note("auto", "cpu")
    if gain > 1:
        assert told == "precision=auto is bf16: bfloat16 products are 3.0 times as fast here"
    else:
        assert str(told).startswith("precision=auto is float32: bfloat16 products are ")


def test_the_recipe_of_a_training_knows_no_auto(gain: float) -> None:
    for door in (Baseline, RecurseStep):
        learning = choose_learning(door(precision="auto"), tokens_offered=9, steps=2)
        assert learning.describe()["precision"] == ("bf16" if gain > 1 else "float32")
