"""Shares of processes: every item once, results in order, and nothing shared by one alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from collapse.numerics.sharing import own_indices, place, shared, summed
from tests.conftest import environment

TOGETHER = """
import json, os, sys
import torch
from torch import distributed
from collapse.numerics.sharing import alone, own_indices, place, shared, summed

distributed.init_process_group("gloo")
told = []

def work(items):
    told.append(list(items))
    return [item * item for item in items]

found = {
    "place": place(),
    "own": list(own_indices(5)),
    "squares": shared(range(5), work),
    "few": shared([7], work),
    "none": shared([], work),
    "sum": summed(torch.tensor([place()[0] + 1.0])).item(),
}
with alone():
    if distributed.get_rank() == 1:  # the other one does not take part
        found["alone"] = [place(), shared(range(3), work), summed(torch.ones(1)).item()]
found["told"] = told
with open(f"{sys.argv[1]}/{distributed.get_rank()}.json", "w") as file:
    json.dump(found, file)
distributed.destroy_process_group()
"""


def test_alone_everything_is_ones_own() -> None:
    assert place() == (0, 1)
    assert list(own_indices(3)) == [0, 1, 2]
    assert shared([3, 1, 2], sorted) == [1, 2, 3]  # as it comes from one's own work
    assert summed(torch.tensor([2.0])).item() == 2.0


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    folder = tmp_path_factory.mktemp("sharing")
    (folder / "script.py").write_text(TOGETHER)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=3"]
    made = subprocess.run(
        [*launch, str(folder / "script.py"), str(folder)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert made.returncode == 0, made.stderr[-2000:]
    return [json.loads(Path(folder / f"{rank}.json").read_text()) for rank in range(3)]


@pytest.mark.slow
def test_three_share_five_items_and_all_have_all_results(found: list[dict[str, object]]) -> None:
    for rank, one in enumerate(found):
        assert one["place"] == [rank, 3]
        assert one["own"] == list(range(rank, 5, 3))
        assert one["squares"] == [0, 1, 4, 9, 16]
        assert one["few"] == [49]
        assert one["none"] == []
        assert one["sum"] == 6.0
        told = one["told"]
        assert isinstance(told, list)
        assert told[:2] == [list(range(rank, 5, 3)), [7] if rank == 0 else []]


@pytest.mark.slow
def test_one_may_work_alone_among_others(found: list[dict[str, object]]) -> None:
    assert found[1]["alone"] == [[0, 1], [0, 1, 4], 1.0]
    assert "alone" not in found[0]
