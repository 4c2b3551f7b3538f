"""Which device a stage is given."""

import pytest
import torch

from collapse.stages.device import GPU_VARIABLE, choose_device


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
