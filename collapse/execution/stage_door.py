"""The doors of single stages: a chain is planned up to what is asked for, and no further."""

from typing import Any

from collapse.execution.door import chosen, run_door
from collapse.execution.prepared import prepare_plan
from collapse.execution.processes import follow, is_first
from collapse.parameters.study import StudyFile
from collapse.stages.plan import PROBE_DOORS, Plan, plan_chain, plan_prepare


def run_stage_door(name: str) -> int:
    """Open the door of one stage; ancestors that are missing are built first, and said so."""
    return run_door(name, lambda study, given: _run_stage(name, study, given))


def _run_stage(name: str, study: StudyFile, given: dict[str, Any]) -> str | None:
    parameters = chosen(name, study, given)
    plan = _plan(name, study, given, parameters)
    prepared = prepare_plan(study, plan)
    # From here on the heavy parts are loaded.
    from collapse.execution import study_run
    from collapse.execution.progress import say
    from collapse.tracking.store import connect

    if not is_first():
        follow(prepared)
        return None
    connect()
    target = prepared.plan.steps[-1].key
    if getattr(parameters, "ancestors", "build") == "require":
        study_run.require_ancestors(prepared, target)
    if missing := study_run.steps_before(prepared, target):
        say(f"{target} needs {', '.join(missing)}: building them first")
    rerun = frozenset({target}) if parameters.rerun else frozenset()
    walk = study_run.run_plan(prepared, stop_at_first=True, rerun=rerun, displaces=False)
    outcome = walk.outcomes[target]
    where = f"experiment {prepared.plan.experiment!r}, run {outcome.run_id}"
    print(f"{target} {'was there already' if outcome.reused else 'is done'}: {where} (mlflow ui)")
    return outcome.run_id


def _plan(name: str, study: StudyFile, given: dict[str, Any], parameters: Any) -> Plan:
    if name == "prepare":
        return plan_prepare(study, given)
    probe = name in PROBE_DOORS
    return plan_chain(
        study,
        given,
        arm=parameters.arm,
        seed=parameters.seed,
        generation=parameters.generation,
        probes=(name,) if probe else (),
        probe_from=parameters.generation,
    )
