"""One training step beside its own matrix products, and Muon beside torch's: one thread, by turns.

    python -m bench.training

The products are those that the step itself was seen to make, of the same shapes and types, alone.
"""

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from collapse.language.muon import Muon
from collapse.language.optimizers import build_optimizers
from collapse.language.packing import PackedBatches
from collapse.language.precision import bf16_gain
from collapse.language.presets import load_preset, parameter_count
from collapse.language.training.recipe import TrainingRecipe
from collapse.language.training.step import OptimizerStep

ROUNDS = 15
PRODUCTS = {"mm", "addmm", "bmm", "baddbmm"}
CASES: tuple[tuple[str, dict[str, int], int, int], ...] = (
    ("pocket", {}, 128, 2048),
    ("code-char", {}, 256, 8192),
    ("tiny-small", {"vocab_size": 8192}, 256, 4096),
)
"""Preset, changes, sequence length, tokens a step; the last has five million parameters."""

Call = tuple[Any, tuple[Any, ...], dict[str, Any]]


class SeenProducts(TorchDispatchMode):
    """Remembers every matrix product, with operands of the same shape, strides and type."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function.overloadpacket.__name__ in PRODUCTS:
            stand_ins = tuple(map(_stand_in, args))
            self.calls.append((function, stand_ins, dict(kwargs or {})))
        return function(*args, **(kwargs or {}))

    def replay(self) -> None:
        for function, args, kwargs in self.calls:
            function(*args, **kwargs)


def _stand_in(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    other = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)
    return other.normal_()


def seen(action: Callable[[], object]) -> SeenProducts:
    with SeenProducts() as products:
        action()
    return products


def milliseconds(*actions: Callable[[], object]) -> list[float]:
    """The median of each, taken by turns."""
    taken: list[list[float]] = [[] for _ in actions]
    for _ in range(ROUNDS):
        for action, times in zip(actions, taken, strict=True):
            started = time.perf_counter()
            action()
            times.append(1e3 * (time.perf_counter() - started))
    return [statistics.median(times) for times in taken]


def stepper(preset: str, changes: dict[str, int], length: int, tokens: int) -> Callable[[], object]:
    model = load_preset(preset, **changes)
    model.train()
    text = np.random.default_rng(0).integers(0, model.config.vocab_size, 300_000, dtype=np.int32)
    recipe = TrainingRecipe(10_000, tokens, length, optimizer="muon")
    batches = PackedBatches(text, length, recipe.sequences_per_step, 0)
    one = OptimizerStep(model, batches, recipe, 0, None)
    steps: Iterator[int] = iter(range(10_000))
    return lambda: one.take(next(steps))


def muons(preset: str, changes: dict[str, int]) -> tuple[Muon, torch.optim.Muon]:
    """Ours and torch's, over the same matrices, with gradients."""
    model = load_preset(preset, **changes)
    ours = build_optimizers(model, TrainingRecipe(1, 128, 128, optimizer="muon"))[0]
    assert isinstance(ours, Muon)
    matrices = ours.param_groups[0]["params"]
    for one in matrices:
        one.grad = torch.randn_like(one)
    return ours, torch.optim.Muon(matrices, lr=0.02)


def processor() -> str:
    """Its name, what torch uses of it, and how fast it multiplies."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    matrix = torch.randn(1024, 1024)
    (taken,) = milliseconds(lambda: matrix @ matrix)
    name += f", {torch.backends.cpu.get_cpu_capability()}"
    rate, gain = 2 * 1024**3 / taken / 1e6, bf16_gain(torch.device("cpu"))
    return f"{name}: {rate:.0f} GFLOP/s in float32 on one thread, bfloat16 {gain:.2f} times as fast"


def main() -> None:
    torch.set_num_threads(1)
    print(processor())
    for preset, changes, length, tokens in CASES:
        step = stepper(preset, changes, length, tokens)
        step()
        whole, products = milliseconds(step, seen(step).replay)
        millions = parameter_count(load_preset(preset, device="meta", **changes)) / 1e6
        print(
            f"{preset}, {millions:.2f} M parameters, {tokens} tokens a step: {whole:.1f} ms, its "
            f"products alone {products:.1f} ms: {whole / products:.2f} times"
        )
        ours, theirs = muons(preset, changes)
        ours.step()
        mine, alone, torchs = milliseconds(ours.step, seen(ours.step).replay, theirs.step)
        print(
            f"  Muon in {ours.param_groups[0]['dtype']}: {mine:.2f} ms, its products alone "
            f"{alone:.2f} ms: {mine / alone:.2f} times; torch.optim.Muon {torchs:.2f} ms"
        )


if __name__ == "__main__":
    main()
