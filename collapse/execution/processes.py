"""Several processes on one stage (torchrun, accelerate launch).

The first process keeps the books: it plans, reads and writes the store, and tells the others what
to compute along with it. They see neither MLflow nor the registry.
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collapse.execution.prepared import Prepared
    from collapse.stages.workspace import Inputs

ALONE = ("prepare",)
"""Stages without a model run in the first process. All processes take part in the others, and share
the work of training, sampling, likelihoods, benchmarks and products with the Hessian."""


def process_count() -> int:
    """Processes that were launched together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process keeps the books."""
    return int(os.environ.get("RANK", "0")) == 0


def tell(message: Any) -> Any:
    """Hand an object of the first process to all of them; alone, nothing happens."""
    if process_count() == 1:
        return message
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    # Without a GPU Accelerate has to be told so, or else each process takes itself for alone, and
    # a broadcast hands everyone their own.
    state = PartialState(cpu=not torch.cuda.is_available())
    if state.num_processes != process_count():
        raise AssertionError(f"{state.num_processes} of {process_count()} processes came together")
    return broadcast_object_list([message])[0]


def follow(prepared: "Prepared") -> None:
    """Take part in the stages of a plan, as the first process says."""
    import torch

    from collapse.execution.scratch import home
    from collapse.execution.task import stage_function
    from collapse.stages.workspace import Workspace

    for step in prepared.plan.steps:
        inputs: Inputs | None = None if step.stage in ALONE else tell(None)
        if inputs is not None:
            torch.set_num_threads(getattr(step.parameters, "threads", 1))
            state = home() / prepared.fingerprints[step.key] / "state"
            with tempfile.TemporaryDirectory() as folder:
                workspace = Workspace(Path(folder), state, inputs)
                for _ in stage_function(step.stage)(step.parameters, workspace):
                    pass
