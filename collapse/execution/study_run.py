"""A plan under MLflow: its chains opened, its steps walked, its chains closed."""

from collections.abc import Mapping, Sequence
from typing import Any

from collapse.claims import written
from collapse.errors import MissingAncestor
from collapse.execution.course import Course
from collapse.execution.prepared import Prepared
from collapse.execution.progress import say
from collapse.execution.scratch import only_one
from collapse.execution.task import Outcome, Task
from collapse.execution.walk import Crew, MakeTask, Walk, walk_alone, walk_together
from collapse.parameters.study import StudyFile
from collapse.stages.device import precision_note
from collapse.stages.plan import Chain, Step
from collapse.tracking import claims, runs
from collapse.tracking.patience import hurry


def run_plan(
    prepared: Prepared,
    *,
    crew: Crew | None = None,
    stop_at_first: bool = False,
    rerun: frozenset[str] = frozenset(),
    displaces: bool = True,
) -> Walk:
    """Walk a plan under the runs of its chains.

    Args:
        prepared: the plan and its fingerprints.
        crew: processes to walk it with; None stays in this one.
        stop_at_first: raise the first error; otherwise the other chains go on.
        rerun: keys of steps that are run again though they have finished runs.
        displaces: a look takes the place of one that was asked otherwise; false for a look that a
            person takes between, unless it is to be run again.

    Raises:
        CollapseError: what stops the whole walk, or the first error.
    """
    parents: dict[str, str] = {}
    status = "FAILED"
    walk = Walk()
    try:
        with only_one("chains"):
            claims.fix_claims(prepared.plan.experiment, prepared.study.claims_hash)
            for chain in prepared.plan.chains:
                parents[chain.name] = open_chain(prepared, chain)
        left = _left(prepared, rerun)
        for note in precision_notes(left):
            say(note)
        make_task = _task_maker(prepared, parents, rerun, displaces=displaces)
        with Course(prepared.plan.experiment, left, crew.size if crew else 1) as course:
            if crew is not None:
                walk_together(walk, prepared.plan, make_task, course, crew)
            else:
                walk_alone(walk, prepared.plan, make_task, course, stop_at_first=stop_at_first)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        hurry()
        raise
    finally:
        stopped = [prepared.plan.step(key) for key in (*walk.errors, *walk.skipped)]
        for chain in prepared.plan.chains:
            broken = any(chain in step.chains for step in stopped)
            if chain.name in parents:
                runs.close_own(parents[chain.name], "FAILED" if broken else status)
        runs.close_dead(prepared.plan.experiment)
    return walk


def precision_notes(steps: Sequence[Step]) -> set[str]:
    """What is to be said of the precision of trainings that are still to be done."""
    trained = [one.parameters for one in steps if hasattr(one.parameters, "precision")]
    asked = {(one.precision, one.device) for one in trained if one.precision != "float32"}
    return {note for one in asked if (note := precision_note(*one))}


def _left(prepared: Prepared, rerun: frozenset[str]) -> list[Step]:
    """The steps that are to be run."""
    steps = prepared.plan.steps
    keys = rerun.union(step.key for step in unfinished(prepared, steps))
    return [step for step in steps if step.key in keys]


def _task_maker(
    prepared: Prepared,
    parents: Mapping[str, str],
    rerun: frozenset[str],
    *,
    displaces: bool,
) -> MakeTask:
    def make_task(step: Step, outcomes: Mapping[str, Outcome]) -> Task:
        return Task(
            study=prepared.study.name,
            experiment=prepared.plan.experiment,
            step=step,
            fingerprint=prepared.fingerprints[step.key],
            parents={chain.name: parents[chain.name] for chain in step.chains},
            needs=tuple(outcomes[need].run_id for need in step.needs),
            earlier={g: outcomes[key].run_id for g, key in step.earlier.items()},
            teacher=step.teacher and outcomes[step.teacher].run_id,
            judge=step.judge and outcomes[step.judge].run_id,
            corpus=prepared.contents[step.parameters.corpus],
            rerun=step.key in rerun,
            displaces=displaces or step.key in rerun,
        )

    return make_task


def open_chain(prepared: Prepared, chain: Chain) -> str:
    """The run of a chain: the one it has, set running again, or a new one."""
    tags = prepared.chain_tags(chain)
    key = {"fingerprint": tags["fingerprint"], "chain": chain.name, "run_kind": "chain"}
    known = runs.find_runs(prepared.plan.experiment, key)
    if known:
        runs.reopen(known[0].info.run_id)
        return known[0].info.run_id
    recipe = chain.recipe
    parameters = {"arm": chain.arm, "seed": chain.seed, "corpus": recipe.corpus}
    parameters |= {"preset": recipe.preset, "kind": recipe.kind, "start": recipe.start}
    label = runs.RunLabel(prepared.plan.experiment, chain.name, tags, parameters)
    run_id = runs.open_run(label).info.run_id
    claims.keep_hypothesis(run_id, hypothesis(prepared.study))
    return run_id


def hypothesis(study: StudyFile) -> dict[str, Any]:
    """What a study asks and claims, in words, beside the digest of the claims."""
    return {
        "question": study.question,
        "control": study.control,
        "claims": [written(one) for one in study.claims],
        "claims_hash": study.claims_hash,
    }


def require_ancestors(prepared: Prepared, target: str) -> None:
    """See that every step before the target has a finished run.

    Raises:
        MissingAncestor: naming what is missing.
    """
    missing = steps_before(prepared, target)
    if missing:
        raise MissingAncestor(
            f"{target} needs {', '.join(missing)}, which the store does not hold: run with "
            "ancestors=build, or make them first"
        )


def steps_before(prepared: Prepared, target: str) -> list[str]:
    """Keys of the steps before the target that have no finished run."""
    before = [step for step in prepared.plan.steps if step.key != target]
    return [step.key for step in unfinished(prepared, before)]


def unfinished(prepared: Prepared, steps: Sequence[Step]) -> list[Step]:
    """Those of a plan's steps that have no finished run in the store."""
    known = runs.find_runs(prepared.plan.experiment, {"run_kind": "stage"}, status="FINISHED")
    finished = {run.data.tags["fingerprint"] for run in known}
    return [one for one in steps if prepared.fingerprints[one.key] not in finished]
