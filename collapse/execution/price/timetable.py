"""When a study ends whose steps take known times: the executor's own rule, without the work."""

import heapq
from collections.abc import Mapping, Sequence

from collapse.execution.walk import TRAINING
from collapse.stages.plan import Step


def wall_seconds(steps: Sequence[Step], seconds: Mapping[str, float], workers: int) -> float:
    """Seconds until the last step has ended, as `execution.walk` hands them out.

    A step is handed out as soon as what it needs has finished and a worker is free; training comes
    before probes, and otherwise the plan's order counts.

    Args:
        steps: of the plan; whatever one needs stands before it.
        seconds: what each takes, by key; 0 for one that is there already.
        workers: steps at once.
    """
    waiting = sorted(steps, key=lambda step: step.stage not in TRAINING)
    finished: set[str] = set()
    running: list[tuple[float, str]] = []
    now = 0.0
    while waiting or running:
        still = []
        for step in waiting:
            if len(running) < workers and finished.issuperset(step.needs):
                heapq.heappush(running, (now + seconds[step.key], step.key))
            else:
                still.append(step)
        waiting = still
        now, key = heapq.heappop(running)
        finished.add(key)
    return now
