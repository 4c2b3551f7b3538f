"""The door of a whole study: all chains, side by side."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from collapse.execution.local import Walk
from collapse.execution.prepared import Prepared, prepare_plan
from collapse.parameters.study import StudyFile
from collapse.stages.plan import plan_study


@dataclass(frozen=True)
class StudyOutcome:
    """A walked study."""

    prepared: Prepared
    walk: Walk


def run_study(
    study: StudyFile, given: dict[str, Any], workers: int, *, rerun: bool
) -> StudyOutcome:
    """Run all chains of a study, or what of them is not there yet.

    A second launch on this machine waits for the first one to end.

    Raises:
        CollapseError: what stops the whole study; a chain that fails does not.
    """
    prepared = prepare_plan(study, plan_study(study, given))
    from collapse.execution import study_run
    from collapse.execution.task import only_one
    from collapse.tracking.store import connect, tracking_uri

    connect()
    keys = frozenset(step.key for step in prepared.plan.steps) if rerun else frozenset()
    count = study_run.worker_count(prepared, workers)
    experiment = prepared.plan.experiment
    place = sha256(f"{tracking_uri()} {experiment}".encode()).hexdigest()[:16]
    # Two launches on the same cores would only halve each other's speed.
    busy = f"{experiment} is being run here already: this launch waits, and takes over what is left"
    with only_one(f"study-{place}", busy):
        return StudyOutcome(prepared, study_run.run_plan(prepared, workers=count, rerun=keys))


def first_error(outcome: StudyOutcome) -> Exception | None:
    """The first failure of a study, None where there was none; each is a tag of its run too."""
    return next(iter(outcome.walk.errors.values()), None)
