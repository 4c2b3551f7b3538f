"""Run a study: arms x seeds x generations, then its report (entry point main)."""

import sys
from typing import Any

from collapse.errors import BadInput
from collapse.execution.door import chosen, run_door
from collapse.execution.processes import process_count
from collapse.execution.study_door import first_error, run_study
from collapse.parameters.study import StudyFile
from entrypoints import report


def experiment(study: StudyFile, given: dict[str, Any]) -> str:
    """Say what so few seeds can show, run what is missing, write the report."""
    if process_count() > 1:
        raise BadInput("a study runs its chains side by side by itself: start it without torchrun")
    parameters = chosen("main", study, given)
    print(what_seeds_can_show(parameters.seeds), file=sys.stderr)
    outcome = run_study(study, given, parameters.workers, rerun=parameters.rerun)
    error = first_error(outcome)
    if error and not outcome.walk.outcomes:
        raise error
    run_id = report.write(outcome.prepared, parameters)
    if error:
        raise error
    return run_id


def what_seeds_can_show(seeds: int) -> str:
    """One line before any compute is spent: what a two-sided sign-flip test can reach."""
    from analysis.statistics import least_pairs, least_sign_flip_p

    reach = f"{seeds} seeds can reach p = {least_sign_flip_p(seeds):.3g} at the least"
    if seeds >= least_pairs():
        return f"power: {reach} (two-sided sign-flip test)"
    return f"power: {reach}; {least_pairs()} are needed for 0.05, so no claim can be settled"


if __name__ == "__main__":
    raise SystemExit(run_door("main", experiment))
