"""A plan under MLflow: its chains opened, its steps walked, its chains closed."""

import os
from collections.abc import Mapping

from collapse.errors import MissingAncestor
from collapse.execution.local import Walk, walk_alone, walk_together
from collapse.execution.prepared import Prepared
from collapse.execution.task import Outcome, Task
from collapse.stages.plan import Chain, Step
from collapse.tracking import runs


def run_plan(prepared: Prepared, *, workers: int, rerun: frozenset[str] = frozenset()) -> Walk:
    """Walk a plan under the runs of its chains.

    Args:
        prepared: the plan and its fingerprints.
        workers: processes to walk it with; 1 stays in this one and shows bars for its stages.
        rerun: keys of steps that are run again though they have finished runs.

    Raises:
        CollapseError: alone, the first error; together, only what stops the whole walk.
    """
    parents = {chain.name: open_chain(prepared, chain) for chain in prepared.plan.chains}

    def make_task(step: Step, outcomes: Mapping[str, Outcome]) -> Task:
        return Task(
            study=prepared.study.name,
            experiment=prepared.plan.experiment,
            step=step,
            fingerprint=prepared.fingerprints[step.key],
            parents={chain.name: parents[chain.name] for chain in step.chains},
            needs=tuple(outcomes[need].run_id for need in step.needs),
            corpus=prepared.corpora[step.parameters.corpus],
            rerun=step.key in rerun,
            quiet=workers > 1,
        )

    status = "FAILED"
    walk = Walk()
    try:
        if workers > 1:
            walk = walk_together(prepared.plan, make_task, workers)
        else:
            walk = walk_alone(prepared.plan, make_task)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        for chain in prepared.plan.chains:
            failed = any(chain in prepared.plan.step(key).chains for key in walk.errors)
            runs.close_run(parents[chain.name], "FAILED" if failed else status)
    runs.close_dead(prepared.plan.experiment)
    return walk


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
    return runs.open_run(label).info.run_id


def require_ancestors(prepared: Prepared, target: str) -> None:
    """See that every step before the target has a finished run.

    Raises:
        MissingAncestor: naming what is missing.
    """
    missing = missing_steps(prepared, target)
    if missing:
        raise MissingAncestor(
            f"{target} needs {', '.join(missing)}, which the store does not hold: run with "
            "ancestors=build, or make them first"
        )


def missing_steps(prepared: Prepared, target: str) -> list[str]:
    """Keys of the steps before the target that have no finished run."""
    return [
        step.key
        for step in prepared.plan.steps
        if step.key != target
        and runs.find_finished(prepared.plan.experiment, prepared.fingerprints[step.key]) is None
    ]


def worker_count(prepared: Prepared, asked: int) -> int:
    """Workers to use: as asked, or one for every core that a stage's threads leave."""
    chains = max(len(prepared.plan.chains), 1)
    if asked:
        return min(asked, chains)
    threads = max(getattr(step.parameters, "threads", 1) for step in prepared.plan.steps)
    return max(1, min(len(os.sched_getaffinity(0)) // threads, chains))
