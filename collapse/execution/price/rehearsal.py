"""Rehearsals, run as the study would run them: by processes, in a store that is thrown away."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryDirectory

from collapse.errors import StoreError
from collapse.execution.price.programme import Rehearsal, Shape
from collapse.execution.price.shrinking import BASELINE_STEPS, LARGE, SMALL
from collapse.execution.price.stagehand import Performance, stage_hands
from collapse.stages.plan import Step

BUDGET_SECONDS = 35.0
"""So long after the processes are ready, which takes some ten seconds, no rehearsal is begun."""
PATIENCE_SECONDS = 10.0
"""So much later those that have not ended are given up."""
TOO_LONG, UNSUPPORTED = "it took too long", "what it stands on failed"
"""Why a rehearsal has no result, where it is nobody's error."""
LONG_ENOUGH_SECONDS = 3.0
"""What a rehearsal that can be of any size should take."""


@dataclass
class Rehearsed:
    """All performances.

    Attributes:
        performances: by the rehearsal's key.
        failed: one line each of those that ended in an error, by key.
        seconds: what all of it took.
        ready_seconds: from the start of a process until it could begin.
    """

    performances: dict[str, Performance] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    ready_seconds: float = 0.0


def rehearse(
    programme: Sequence[Rehearsal],
    *,
    workers: int,
    corpora: Mapping[str, str],
    budget_seconds: float = BUDGET_SECONDS,
) -> Rehearsed:
    """Run rehearsals side by side, so that what workers take from each other is in the times.

    Args:
        programme: in order; what one needs stands before it.
        workers: processes at once.
        corpora: digests of the human texts, by the parameter that names them.
        budget_seconds: after which none is begun, once the processes are ready.
    """
    found = Rehearsed()
    started = time.perf_counter()
    stages = sorted({one.step.stage for one in programme})
    waiting = list(programme)
    with (
        TemporaryDirectory(prefix="collapse-price-") as folder,
        stage_hands(min(workers, len(programme)), Path(folder), stages) as hands,
    ):
        found.ready_seconds = time.perf_counter() - started
        started = time.perf_counter()
        free, running = list(hands), dict[Connection, Rehearsal]()
        at_home: dict[Shape, Connection] = {}
        while running or (waiting and time.perf_counter() - started < budget_seconds):
            if time.perf_counter() - started < budget_seconds:
                waiting = _hand_out(waiting, free, running, at_home, found, corpora)
            if not running:
                break
            late = started + budget_seconds + PATIENCE_SECONDS - time.perf_counter()
            answered = wait(list(running), timeout=max(late, 0))
            if not answered:
                break
            for hand in [one for one in running if one in answered]:
                _take_down(hand, running.pop(hand), found)
                free.append(hand)
        for one in running.values():
            found.failed[one.key] = TOO_LONG
    found.seconds = found.ready_seconds + time.perf_counter() - started
    return found


def _hand_out(
    waiting: list[Rehearsal],
    free: list[Connection],
    running: dict[Connection, Rehearsal],
    at_home: dict[Shape, Connection],
    found: Rehearsed,
    corpora: Mapping[str, str],
) -> list[Rehearsal]:
    """Give each free process the first rehearsal whose needs are there; returns what waits.

    Both sizes of a shape go to one process: the first run of a stage in a process is slower.
    """
    still = []
    for one in waiting:
        if any(need in found.failed for need in one.step.needs):
            found.failed[one.key] = UNSUPPORTED
            continue
        hand = at_home.get(one.shape, free[0] if free else None)
        if hand in free and all(need in found.performances for need in one.step.needs):
            step = sized(one, found) if one.grows else one.step
            runs = {need: found.performances[need].run_id for need in step.needs}
            free.remove(hand)
            at_home[one.shape] = hand
            hand.send((step, runs, corpora[step.parameters.corpus]))
            running[hand] = replace(one, step=step)
        else:
            still.append(one)
    return still


def _take_down(hand: Connection, one: Rehearsal, found: Rehearsed) -> None:
    try:
        answer = hand.recv()
    except EOFError:
        raise StoreError(
            f"a process was killed while {one.key} was rehearsed (out of memory?)"
        ) from None
    if isinstance(answer, Performance):
        found.performances[one.key] = answer
    else:
        found.failed[one.key] = answer


def sized(one: Rehearsal, found: Rehearsed) -> Step:
    """A rehearsal made as large as can be done in a few seconds, from what others took.

    A training's second size follows from its first; a generation's text from the tokens that its
    parent was trained on in a second, which is about what it writes in one.
    """
    step = one.step
    p = step.parameters
    if step.stage == "baseline":
        first = found.performances.get(step.key.replace(LARGE, SMALL))
        taken = first.metrics.get("train/seconds") if first else None
        if first is None or not taken:
            return step
        steps = int(LONG_ENOUGH_SECONDS / taken * first.step.parameters.baseline_steps)
        least = 3 * BASELINE_STEPS[SMALL]
        return _with(step, baseline_steps=min(p.baseline_steps, max(least, steps)))
    parent = found.performances[step.needs[-1]]
    rate = parent.metrics.get("train/tokens_per_second")
    length = found.performances[step.needs[0]].metrics["corpus/tokens_per_document"]
    if not rate:
        return step
    return _with(step, documents=min(p.documents, max(8, int(LONG_ENOUGH_SECONDS * rate / length))))


def _with(step: Step, **changes: int) -> Step:
    return replace(step, parameters=replace(step.parameters, **changes))
