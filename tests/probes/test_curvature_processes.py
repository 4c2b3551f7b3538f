"""One operator over two processes is the operator of one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from collapse.probes.curvature import Microbatch, open_operator
from tests.probes.curvature_models import MODELS, direction, relative_error, tokens

ROOT = Path(__file__).parents[2]

# Five microbatches are three for the one process and two for the other; one leaves one idle.
CASES = [
    ("hessian", "keep", 5),
    ("hessian", "rebuild", 5),
    ("gauss_newton", "auto", 5),
    ("hessian", "auto", 1),
]

SHARED = """
import os, sys, torch
from tests.probes.test_curvature_processes import CASES, measured

torch.distributed.init_process_group("gloo")
torch.save([measured(*case) for case in CASES], f"{sys.argv[1]}/rank{os.environ['RANK']}.pt")
torch.distributed.destroy_process_group()
"""


def measured(kind: str, graph: str, count: int) -> dict[str, torch.Tensor]:
    """All that an operator says, on microbatches of different weights."""
    ids = [tokens(1 + index % 2, 4 + index, seed=index) for index in range(count)]
    batches = [Microbatch(one, one) for one in ids]
    with open_operator(MODELS["qwen3"](), batches, kind=kind, graph=graph) as operator:
        vector = direction(operator.dimension, dtype=torch.float32)
        found = {"product": operator(vector), "gradient": operator.gradient}
        found |= {f"part {index}": operator.part(index, vector) for index in range(count)}
        numbers = {"loss": operator.loss_nats, "shares": operator.shares}
        return found | {k: torch.tensor(v, dtype=torch.float64) for k, v in numbers.items()}


@pytest.mark.slow
def test_two_processes_give_the_products_of_one(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SHARED)
    ended = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
        + ["--rdzv_backend", "c10d", "--rdzv_endpoint", "localhost:0"]
        + [str(tmp_path / "script.py"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    for case, one, other in zip(CASES, first, second, strict=True):
        expected = measured(*case)
        assert set(one) == set(expected)
        for name, value in expected.items():
            assert torch.equal(one[name], other[name]), (case, name)
            assert relative_error(one[name], value.double()) < 1e-6, (case, name)
