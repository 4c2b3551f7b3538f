"""The door of a whole study: all chains, side by side."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from collapse.execution.prepared import Prepared, prepare_plan
from collapse.execution.walk import Walk
from collapse.parameters.doors import Experiment
from collapse.parameters.study import StudyFile
from collapse.stages.plan import plan_study


@dataclass(frozen=True)
class StudyOutcome:
    """A walked study."""

    prepared: Prepared
    walk: Walk


def prepare_study(study: StudyFile, given: dict[str, Any]) -> Prepared:
    """A study's plan, checked and fingerprinted.

    Raises:
        BadInput: something in it cannot be done.
    """
    return prepare_plan(study, plan_study(study, given))


def run_study(prepared: Prepared, parameters: Experiment) -> StudyOutcome:
    """Run all chains of a study, or what of them is not there yet; the store is connected.

    A second launch on this machine waits for the first one to end.

    Raises:
        CollapseError: what stops the whole study; a chain that fails does not.
    """
    from collapse.execution import study_run
    from collapse.execution.crews import choose_crew
    from collapse.execution.scratch import only_one
    from collapse.tracking.store import tracking_uri

    keys = frozenset(step.key for step in prepared.plan.steps) if parameters.rerun else frozenset()
    experiment = prepared.plan.experiment
    place = sha256(f"{tracking_uri()} {experiment}".encode()).hexdigest()[:16]
    # Two launches on the same cores would only halve each other's speed.
    busy = f"{experiment} is being run here already: this launch waits, and takes over what is left"
    with only_one(f"study-{place}", busy):
        crew = choose_crew(prepared, parameters)
        return StudyOutcome(prepared, study_run.run_plan(prepared, crew=crew, rerun=keys))


def first_error(outcome: StudyOutcome) -> Exception | None:
    """The first failure of a study, None where there was none; each is a tag of its run too."""
    return next(iter(outcome.walk.errors.values()), None)
