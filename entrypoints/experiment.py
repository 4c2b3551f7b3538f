"""Run a study: arms x seeds x generations, then its report (entry point main)."""

import sys
from typing import Any

from collapse.errors import BadInput
from collapse.execution.door import chosen, run_door
from collapse.execution.prepared import Prepared
from collapse.execution.processes import process_count
from collapse.execution.study_door import first_error, prepare_study, run_study
from collapse.parameters.pairing import changed_arms
from collapse.parameters.study import StudyFile
from collapse.stages.plan import planned_seeds
from collapse.tracking.store import connect
from entrypoints import report


def experiment(study: StudyFile, given: dict[str, Any]) -> str | None:
    """Say what so few seeds can show, run what is missing, write the report; or name the price."""
    if process_count() > 1:
        raise BadInput("a study runs its chains side by side by itself: start it without torchrun")
    parameters = chosen("main", study, given)
    prepared = prepare_study(study, given)
    if not parameters.dry_run:
        connect()
    for line in what_can_be_shown(prepared, given):
        print(line, file=sys.stderr)
    if parameters.dry_run:
        from collapse.execution.price import price_lines

        print("\n".join(price_lines(prepared, parameters)))
        return None
    outcome = run_study(prepared, parameters)
    error = first_error(outcome)
    if error and not outcome.walk.outcomes:
        raise error
    run_id = report.write(outcome.prepared, parameters)
    if error:
        raise error
    return run_id


def what_can_be_shown(prepared: Prepared, given: dict[str, Any]) -> list[str]:
    """A few lines, before any compute is spent: what so many seeds can show of the claims."""
    from analysis.inference.power import power_lines

    study, seeds = prepared.study, planned_seeds(prepared.study, given)
    most = max(seeds.values())
    fewer = {arm: n for arm, n in seeds.items() if n < most}
    recipes = {chain.arm: chain.recipe for chain in prepared.plan.chains}
    changed = changed_arms(recipes, study.control)
    reads_people = [arm for arm, one in recipes.items() if one.kind in {"fresh", "static"}]
    return power_lines(
        most, study.claims, fewer, [arm for arm in reads_people if arm not in changed]
    )


if __name__ == "__main__":
    raise SystemExit(run_door("main", experiment))
