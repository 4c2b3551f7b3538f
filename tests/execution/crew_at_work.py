"""A crew that prepares a small corpus, and what it tells meanwhile."""

from collections.abc import Callable

import pytest

from collapse.execution.course import Course
from collapse.execution.prepared import prepare_plan
from collapse.execution.progress import Told
from collapse.execution.study_run import run_plan
from collapse.execution.walk import Crew
from collapse.parameters.study import load_study
from collapse.stages.plan import plan_prepare
from collapse.tracking.store import connect

SMALL = {"heldout_documents": 8, "tokenizer_documents": 300, "vocabulary_size": 300}


def told_by(make: Callable[[], Crew], monkeypatch: pytest.MonkeyPatch) -> tuple[Told, ...]:
    """All that a crew told of the one step of a plan, in the working directory."""
    connect()
    study = load_study("quickstart", "full")
    prepared = prepare_plan(study, plan_prepare(study, SMALL))
    heard: dict[str, tuple[Told, ...]] = {}
    monkeypatch.setattr(Course, "tell", lambda _, key, told: heard.update({key: told}))
    walk = run_plan(prepared, crew=make())
    assert not walk.errors
    return heard["prepare"]
