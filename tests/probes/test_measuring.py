import pytest
import torch
from torch import nn

from collapse.probes.measuring import measuring

PRODUCTS = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)


def model_of_mixed_modes() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2)).train()
    model[0].eval()
    return model


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


@pytest.fixture
def coarse_products():
    """Products of fewer bits allowed by the caller, as trainings on GPUs like to have it."""
    before = [backend.fp32_precision for backend in PRODUCTS]
    for backend in PRODUCTS:
        backend.fp32_precision = "tf32"
    yield
    for backend, precision in zip(PRODUCTS, before, strict=True):
        backend.fp32_precision = precision


def test_nothing_random_nothing_recorded_and_all_digits(coarse_products) -> None:
    model, inputs = model_of_mixed_modes(), torch.ones(3, 4)
    expected = model[2](model[0](inputs)).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16), measuring(model) as device:
        found = model(inputs)
        assert not any(modes(model))
        assert [backend.fp32_precision for backend in PRODUCTS] == ["ieee", "ieee"]
    assert device == torch.device("cpu")
    assert not found.requires_grad
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("fails", [False, True])
def test_all_is_put_back_even_after_an_error(fails: bool, coarse_products) -> None:
    model = model_of_mixed_modes()
    before = modes(model)
    assert len(set(before)) == 2
    try:
        with measuring(model):
            _ = 1 / (not fails)
    except ZeroDivisionError:
        assert fails
    assert modes(model) == before
    assert [backend.fp32_precision for backend in PRODUCTS] == ["tf32", "tf32"]
    assert torch.is_grad_enabled()
