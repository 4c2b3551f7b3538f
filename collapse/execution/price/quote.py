"""The price of a study as a person reads it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import psutil

from collapse.errors import BadInput, BadParameter
from collapse.execution.crews import threads_of, worker_count
from collapse.execution.prepared import Prepared
from collapse.execution.price.prices import Price, Prices
from collapse.execution.price.programme import Rehearsal, Shapes, programme
from collapse.execution.price.rehearsal import TOO_LONG, UNSUPPORTED, Rehearsed, rehearse
from collapse.execution.price.shortfall import shortfalls
from collapse.execution.price.timetable import wall_seconds
from collapse.execution.study_run import unfinished
from collapse.execution.work import TRAININGS, Counts, counts, model_size
from collapse.parameters.doors import Experiment
from collapse.stages.device import choose_device, device_name
from collapse.stages.plan import Step
from collapse.tracking.store import connect, tracking_uri

MANY_DEVICES = (
    "rehearsals take place on this machine: leave out executor=ray to price a study on it"
)


@dataclass(frozen=True)
class Quote:
    """What a study will cost here.

    Attributes:
        chains: arms times seeds.
        steps: all steps of the plan.
        missing: those that have no finished run.
        counts: their work.
        by_stage: their seconds, by stage.
        work_seconds: their seconds, of one worker.
        wall_seconds: until all have ended.
        share_off: how far seconds may be off, as a share of them.
        workers: side by side.
        threads: of each.
        memory_bytes: of a worker.
        gpu_bytes: of a worker.
        parent_bytes: of the process that hands out the steps.
        disk_bytes: what is left of the missing steps.
        not_priced: stages of which nothing could be rehearsed, with why.
        by_nearest: stages of which some shapes were not rehearsed, with the number of steps.
        shapes: of steps that cost alike, and how many of them were rehearsed.
        rehearsals: small runs.
        rehearsal_seconds: what they took.
        shortfalls: probes that will fail for want of text, one line each.
    """

    chains: int
    steps: int
    missing: int
    counts: Counts
    by_stage: Mapping[str, float]
    work_seconds: float
    wall_seconds: float
    share_off: float
    workers: int
    threads: int
    memory_bytes: float
    gpu_bytes: float
    parent_bytes: float
    disk_bytes: float
    not_priced: Mapping[str, str]
    by_nearest: Mapping[str, int]
    shapes: tuple[int, int]
    rehearsals: int
    rehearsal_seconds: float
    shortfalls: tuple[str, ...]


def price_lines(prepared: Prepared, parameters: Experiment) -> list[str]:
    """What a study will cost on this machine, in about ten lines; nothing of it is kept.

    Args:
        prepared: its plan, checked and fingerprinted.
        parameters: of the study's door.

    Raises:
        CollapseError: as :func:`quote_study`.
    """
    quote = quote_study(prepared, parameters)
    where = device_name(choose_device(parameters.device))
    title = f"what {prepared.plan.experiment} costs here ({where}):"
    return [title, *lines_of(quote)]


def quote_study(prepared: Prepared, parameters: Experiment) -> Quote | None:
    """What a study will cost on this machine; None where nothing is left to be run.

    Args:
        prepared: its plan, checked and fingerprinted.
        parameters: of the study's door.

    Raises:
        BadParameter: a study on other machines.
        BadInput: its text cannot be rehearsed.
        CollapseError: what would stop the study at its start.
    """
    if parameters.executor != "local":
        raise BadParameter(f"dry_run=true and executor={parameters.executor}: {MANY_DEVICES}")
    missing = missing_steps(prepared, rerun=parameters.rerun)
    if not missing:
        return None
    workers = worker_count(prepared, parameters.workers, parameters.device)
    sizes = {step.key: model_size(step) for step in prepared.plan.steps}
    script = programme(prepared.plan, missing, sizes)
    rehearsed = rehearse(script, workers=workers, corpora=prepared.contents)
    return quoted(prepared, missing, script, rehearsed, workers, sizes)


def missing_steps(prepared: Prepared, *, rerun: bool) -> list[Step]:
    """The steps that a call would run; a store that is not there is not made."""
    steps = list(prepared.plan.steps)
    uri = tracking_uri()
    file = Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None
    if rerun or (file and not file.exists()):
        return steps
    connect()
    return unfinished(prepared, steps)


def quoted(
    prepared: Prepared,
    missing: Sequence[Step],
    script: Sequence[Rehearsal],
    rehearsed: Rehearsed,
    workers: int,
    sizes: Mapping[str, float],
) -> Quote:
    """Put the prices of the missing steps together.

    Raises:
        BadInput: not even the text could be prepared, or a training refused what it was given.
    """
    if not any(one.step.stage == "prepare" for one in rehearsed.performances.values()):
        reasons = [*rehearsed.failed.values(), TOO_LONG]
        raise BadInput(f"this study cannot be rehearsed: {reasons[0]}")
    for one in script:
        why = rehearsed.failed.get(one.key, TOO_LONG)
        if one.step.stage in TRAININGS and why not in {TOO_LONG, UNSUPPORTED}:
            raise BadInput(f"this study would not get through {one.step.stage}: {why}")
    plan = prepared.plan
    shapes = Shapes(plan)
    prices = Prices(shapes, script, rehearsed, sizes)
    prices.learn(plan.steps)
    found = {step.key: prices.price(step) for step in missing}
    nothing = Price(0.0, 0.0, 0.0, True)
    known = {key: one or nothing for key, one in found.items()}
    seconds = {step.key: known.get(step.key, nothing).seconds for step in plan.steps}
    work = sum(seconds.values())
    memory, gpu = prices.memory_bytes(missing)
    by_stage: dict[str, float] = {}
    by_nearest: dict[str, int] = {}
    for step in missing:
        by_stage[step.stage] = by_stage.get(step.stage, 0.0) + seconds[step.key]
        if not known[step.key].rehearsed:
            by_nearest[step.stage] = by_nearest.get(step.stage, 0) + 1
    every = [counts(one, prices.tokens_per_document(one)) for one in missing]
    return Quote(
        chains=len(plan.chains),
        steps=len(plan.steps),
        missing=len(missing),
        counts=sum(every, Counts()),
        by_stage=by_stage,
        work_seconds=work,
        wall_seconds=rehearsed.ready_seconds + wall_seconds(plan.steps, seconds, workers),
        share_off=_share_off(missing, known, shapes, work),
        workers=workers,
        threads=threads_of(plan.steps),
        memory_bytes=memory,
        gpu_bytes=gpu,
        parent_bytes=float(psutil.Process(os.getpid()).memory_info().rss),
        disk_bytes=sum(one.disk_bytes for one in known.values()),
        not_priced=_not_priced(missing, found, script, rehearsed),
        by_nearest=by_nearest,
        shapes=(
            len({one.shape for one in script}),
            len({one.shape for one in script if one.key in rehearsed.performances}),
        ),
        rehearsals=len(rehearsed.performances),
        rehearsal_seconds=rehearsed.seconds,
        shortfalls=shortfalls(missing, prices.tokens_per_document),
    )


def _share_off(
    missing: Sequence[Step], known: Mapping[str, Price], shapes: Shapes, work: float
) -> float:
    """Steps of a shape are off together, shapes by themselves."""
    errors: dict[Any, float] = {}
    for step in missing:
        shape = shapes.of(step)
        errors[shape] = errors.get(shape, 0.0) + known[step.key].error
    return sqrt(sum(one**2 for one in errors.values())) / work if work else 0.0


def _not_priced(
    missing: Sequence[Step],
    found: Mapping[str, Price | None],
    script: Sequence[Rehearsal],
    rehearsed: Rehearsed,
) -> dict[str, str]:
    stages = dict.fromkeys(step.stage for step in missing if found[step.key] is None)
    why = {
        one.step.stage: rehearsed.failed[one.key] for one in script if one.key in rehearsed.failed
    }
    return {stage: why.get(stage, "the time for rehearsals was over") for stage in stages}


def lines_of(quote: Quote | None) -> list[str]:
    """A quote as a person reads it."""
    if quote is None:
        return ["  nothing: all its steps are there already"]
    done = quote.counts
    low, high = (quote.wall_seconds * (1 + sign * quote.share_off) for sign in (-1, 1))
    priced = [one for one in quote.by_stage.items() if one[0] not in quote.not_priced]
    stages = sorted(priced, key=lambda one: -one[1])
    wall = "at least " * bool(quote.not_priced) + duration(quote.wall_seconds)
    workers = f"{quote.workers} worker{'s' * (quote.workers > 1)}"
    threads_each = f"{quote.threads} thread{'s' * (quote.threads > 1)}"
    lines = [
        f"  {quote.chains} chains, {quote.steps} steps, {quote.steps - quote.missing} of them "
        "there already; what is left:",
        f"  {_million(done.trained_tokens)} tokens trained on, {_million(done.sampled_tokens)} "
        f"written; {done.products:,.0f} products with the Hessian, {done.items:,} questions, "
        f"{done.checkpoints} checkpoints",
        f"  time: {wall} ({duration(max(low, 0))} to {duration(high)}) on "
        f"{workers} of {threads_each}, {duration(quote.work_seconds)} on one; then the report",
        "  of that: " + ", ".join(f"{stage} {duration(seconds)}" for stage, seconds in stages),
        f"  memory: {_gib(quote.memory_bytes)} a worker at most, "
        f"{_gib(quote.workers * quote.memory_bytes + quote.parent_bytes)} in all"
        + (f"; {_gib(quote.gpu_bytes)} on each GPU" if quote.gpu_bytes else ""),
        f"  disk: {_gib(quote.disk_bytes)} beside the database",
    ]
    lines += [f"  too little text: {line}" for line in quote.shortfalls]
    lines += [f"  not priced: {stage} ({why})" for stage, why in quote.not_priced.items()]
    if quote.by_nearest:
        steps = ", ".join(f"{count} of {stage}" for stage, count in quote.by_nearest.items())
        lines.append(f"  priced after the nearest shape that was rehearsed, by parameters: {steps}")
    every, shapes = quote.shapes
    return [
        *lines,
        f"  rehearsed: {shapes} of {every} shapes in {quote.rehearsals} small runs, "
        f"{quote.rehearsal_seconds:.0f} s; nothing of it is kept",
    ]


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _million(tokens: float) -> str:
    return f"{tokens / 1e6:.2f} million" if tokens < 1e8 else f"{tokens / 1e6:,.0f} million"


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"
