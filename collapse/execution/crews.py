"""Which crew walks a plan."""

import os
from collections.abc import Sequence

from collapse.execution.local import LocalCrew
from collapse.execution.prepared import Prepared
from collapse.execution.walk import Crew
from collapse.parameters.doors import Experiment
from collapse.stages.device import gpu_count
from collapse.stages.plan import Step


def choose_crew(prepared: Prepared, parameters: Experiment) -> Crew | None:
    """The crew that is asked for; None where this process does it all.

    Args:
        prepared: what there is to do.
        parameters: executor, address and workers of the call.

    Raises:
        BadParameter: the crew cannot be had.
    """
    steps = prepared.plan.steps
    device = steps[0].parameters.device
    if parameters.executor == "ray":
        from collapse.execution.ray_cluster import RayCrew

        return RayCrew(parameters.address, parameters.workers, threads_of(steps), device)
    size = worker_count(prepared, parameters.workers, device)
    return LocalCrew(size) if size > 1 else None


def threads_of(steps: Sequence[Step]) -> int:
    """Threads that every worker must have: as many as the step with the most."""
    return max(getattr(step.parameters, "threads", 1) for step in steps)


def worker_count(prepared: Prepared, asked: int, device: str) -> int:
    """Workers to use: as asked, or one a GPU, or one for every core that a stage's threads leave.

    More workers than chains would have nothing to do.
    """
    chains = max(len(prepared.plan.chains), 1)
    cores = len(os.sched_getaffinity(0)) // threads_of(prepared.plan.steps)
    return max(1, min(asked or gpu_count(device) or cores, chains))
