"""Which crew walks a plan."""

import os

from collapse.execution.local import LocalCrew
from collapse.execution.prepared import Prepared
from collapse.execution.walk import Crew
from collapse.parameters.doors import Experiment
from collapse.stages.device import gpu_count


def choose_crew(prepared: Prepared, parameters: Experiment) -> Crew | None:
    """The crew that is asked for; None where this process does it all.

    Args:
        prepared: what there is to do.
        parameters: executor, address and workers of the call.

    Raises:
        BadParameter: the crew cannot be had.
    """
    steps = prepared.plan.steps
    threads = max(getattr(step.parameters, "threads", 1) for step in steps)
    device = steps[0].parameters.device
    if parameters.executor == "ray":
        from collapse.execution.ray_cluster import RayCrew

        return RayCrew(parameters.address, parameters.workers, threads, device)
    size = worker_count(prepared, parameters.workers, threads, device)
    return LocalCrew(size) if size > 1 else None


def worker_count(prepared: Prepared, asked: int, threads: int, device: str) -> int:
    """Workers to use: as asked, or one a GPU, or one for every core that a stage's threads leave.

    More workers than chains would have nothing to do.
    """
    chains = max(len(prepared.plan.chains), 1)
    free = gpu_count(device) or len(os.sched_getaffinity(0)) // threads
    return max(1, min(asked or free, chains))
