"""One step of a plan, run under MLflow; everything in it can travel to another process."""

import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any

import torch

from collapse.errors import StoreError
from collapse.execution.alike import displaced
from collapse.execution.kept import keep_made, made_before
from collapse.execution.processes import ALONE, tell
from collapse.execution.progress import Reporter, Tell, nobody, say
from collapse.execution.scratch import home, only_one
from collapse.language.checkpoint import load_checkpoint
from collapse.stages.device import choose_device, device_name
from collapse.stages.plan import Chain, Step
from collapse.stages.workspace import Checkpoint, Inputs, Workspace
from collapse.tracking import metrics, registry, runs, seals
from collapse.tracking.machine import machine_watched
from collapse.tracking.patience import hurry
from collapse.tracking.store import first_line, is_store_failure

CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class Task:
    """A step with everything that running it needs.

    Attributes:
        study: name of the study.
        experiment: MLflow experiment.
        step: the step of the plan.
        fingerprint: what fixes its result.
        parents: run of each of its chains, by the chain's name.
        needs: runs of the steps it stands on, in the plan's order.
        earlier: runs of its stage at earlier generations, by generation.
        teacher: run of the arm that a baseline learns from.
        judge: run of the corpus's judge.
        corpus: digest of the human text.
        rerun: run it though a finished run is there.
        displaces: takes the place of what its chains hold of the stage, though asked otherwise.
    """

    study: str
    experiment: str
    step: Step
    fingerprint: str
    parents: Mapping[str, str]
    needs: tuple[str, ...]
    corpus: str
    rerun: bool = False
    displaces: bool = True
    earlier: Mapping[int, str] = field(default_factory=dict)
    teacher: str | None = None
    judge: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a step that finished."""

    key: str
    run_id: str
    reused: bool
    seconds: float


def run_task(task: Task, report: Tell = nobody) -> Outcome:
    """Run a step, or link the finished run of its fingerprint.

    Args:
        task: the step and what it stands on.
        report: is told how far the stage has come.

    Raises:
        StoreError: that run was changed after it finished.
        CollapseError: what the stage found or refused; its run is closed FAILED.
        KeyboardInterrupt: the run is closed KILLED; the next call goes on from its state.
    """
    started = time.perf_counter()
    with only_one(task.fingerprint):
        found = None if task.rerun else runs.find_finished(task.experiment, task.fingerprint)
        if found:
            seals.require_sealed(found)
        if found and task.step.stage not in ALONE:
            tell(None)
        run_id = found.info.run_id if found else _run(task, report)
    _adopt(task, run_id)
    return Outcome(task.step.key, run_id, found is not None, time.perf_counter() - started)


def _run(task: Task, report: Tell) -> str:
    """Run the stage under a run of its own, which ends FINISHED, FAILED or KILLED."""
    run_id = runs.open_run(_label(task)).info.run_id
    try:
        _execute(task, run_id, report)
        seals.seal_run(run_id)
    except KeyboardInterrupt:
        hurry()
        with suppress(Exception):
            runs.close_run(run_id, "KILLED")
        raise
    except Exception as error:
        # The store may be what failed: then the run cannot be closed, and the next call does it.
        with suppress(Exception):
            runs.close_run(run_id, "FAILED", error)
        if is_store_failure(error):
            line = first_line(error)
            raise StoreError(f"{task.step.key}: what it made cannot be kept: {line}") from error
        raise
    runs.close_run(run_id, "FINISHED")
    # Only now: until the run is FINISHED, a kill must find what it can go on from.
    shutil.rmtree(home() / task.fingerprint, ignore_errors=True)
    return run_id


def _execute(task: Task, run_id: str, report: Tell) -> None:
    """Run the stage, log what it yields, upload its folder."""
    folder = home() / task.fingerprint
    if task.rerun and made_before(folder) is not None:
        shutil.rmtree(folder)  # with its state: what an earlier call made is not wanted
    folder.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(
        folder=folder / "artifacts",
        state=folder / "state",
        inputs=_inputs(task),
        progress=Reporter(report),
    )
    with metrics.MetricLog(run_id, folder / "outbox.jsonl") as log:
        notes = made_before(folder)
        if notes is None:
            started = time.perf_counter()
            with machine_watched(log):
                _run_stage(task, workspace, log)
            seconds = time.perf_counter() - started
            notes = workspace.datasets
            keep_made(folder, notes)
            runs.client().set_tag(run_id, runs.STAGE_SECONDS, f"{seconds:.3f}")
        elif task.step.stage not in ALONE:
            tell(None)
    for note in notes:
        runs.log_dataset(run_id, note.name, note.context, note.digest, note.documents, note.folder)
    _keep(run_id, workspace)


def _run_stage(task: Task, workspace: Workspace, log: metrics.MetricLog) -> None:
    """Run the stage in an empty folder."""
    shutil.rmtree(workspace.folder, ignore_errors=True)
    for path in (workspace.folder, workspace.state):
        path.mkdir(parents=True, exist_ok=True)
    parameters = json.dumps(asdict(task.step.parameters), indent=2)
    (workspace.folder / "parameters.json").write_text(parameters)
    torch.set_num_threads(getattr(task.step.parameters, "threads", 1))
    if task.step.stage not in ALONE:
        tell(workspace.inputs)
    for measurement in stage_function(task.step.stage)(task.step.parameters, workspace):
        log.log(measurement)


def _keep(run_id: str, workspace: Workspace) -> None:
    """Upload the folder as artifacts, its checkpoint as a model that can be registered."""
    names = sorted(path.name for path in workspace.folder.iterdir())
    runs.upload(run_id, workspace.folder, [name for name in names if name != CHECKPOINT])
    if CHECKPOINT in names:
        model_uri = registry.log_checkpoint(run_id, *load_checkpoint(workspace.folder / CHECKPOINT))
        tags = {runs.MODEL_TAG: model_uri, registry.SEAL: registry.seal(model_uri)}
        for name, value in tags.items():
            runs.client().set_tag(run_id, name, value)


def stage_function(name: str) -> Any:
    """The function of a stage."""
    return getattr(import_module(f"collapse.stages.{name}"), name)


def _label(task: Task) -> runs.RunLabel:
    step = task.step
    chain = step.chains[0] if step.chains else None
    parameters = asdict(step.parameters)
    name = step.stage if step.generation is None else f"{step.stage} g{step.generation}"
    return runs.RunLabel(
        experiment=task.experiment,
        name=name,
        tags={
            "study": task.study,
            "arm": chain.arm if chain else None,
            "seed": chain.seed if chain else None,
            "chain": chain.name if chain else None,
            "generation": step.generation,
            "stage": step.stage,
            "fingerprint": task.fingerprint,
            "corpus_fingerprint": task.corpus,
            "device": device_name(choose_device(step.parameters.device)),
        },
        parameters=parameters,
        parent=task.parents[chain.name] if chain else None,
    )


def _inputs(task: Task) -> Inputs:
    """What earlier stages left, on local disk and unharmed."""
    if not task.needs:
        return Inputs()
    beside = {task.teacher, task.judge, *task.earlier.values()}
    prepared, *trained = (need for need in task.needs if need not in beside)
    return Inputs(
        prepared=runs.artifacts(prepared),
        checkpoint=_checkpoint(trained[-1]) if trained else None,
        lineage=tuple(runs.artifacts(run_id) for run_id in trained),
        ancestors={
            generation: _checkpoint(trained[generation])
            for generation in asked_ancestors(task.step.parameters, len(trained) - 1)
        },
        earlier={generation: runs.artifacts(run_id) for generation, run_id in task.earlier.items()},
        teacher=_checkpoint(task.teacher) if task.teacher else None,
        judge=runs.artifacts(task.judge) if task.judge else None,
    )


def asked_ancestors(parameters: Any, newest: int) -> list[int]:
    """The generations before the newest whose weights a step's door asks for by `STANDS_ON`."""
    places = {"first": 0, "parent": newest - 1}
    asked = {places[name] for name in getattr(parameters, "STANDS_ON", ())}
    return sorted(one for one in asked if 0 <= one < newest)


def _checkpoint(run_id: str) -> Checkpoint:
    """The model that a run made, checked against its seal."""
    tags = runs.client().get_run(run_id).data.tags
    what = f"{tags.get('chain')} generation {tags.get('generation')}"
    return Checkpoint(*registry.fetch(tags[runs.MODEL_TAG], tags[registry.SEAL], what))


def _adopt(task: Task, run_id: str) -> None:
    """Give every chain that needs the step its version and its mirrored values."""
    run = runs.client().get_run(run_id)
    generation = task.step.generation
    if generation is None:
        return
    for chain in task.step.chains:
        if runs.MODEL_TAG in run.data.tags:
            _register(task, chain, run)
        parent, stage = task.parents[chain.name], task.step.stage
        if not task.displaces and (other := displaced(parent, stage, generation, run)):
            say(
                f"{chain.name} keeps what {stage} measured before, and so do its reports: {other} "
                "(rerun=true puts this look in its place)"
            )
            continue
        metrics.mirror(parent, stage, generation, run_id, metrics.last_values(run))


def _register(task: Task, chain: Chain, run: Any) -> None:
    generation = task.step.generation or 0
    parent = _parent_version(task, chain) if generation else None
    tags = {
        "study": task.study,
        "arm": chain.arm,
        "seed": chain.seed,
        "generation": generation,
        "fingerprint": task.fingerprint,
        "corpus_fingerprint": task.corpus,
        "parent_version": parent.version if parent else None,
        registry.SEAL: run.data.tags[registry.SEAL],
    }
    model_uri = run.data.tags[runs.MODEL_TAG]
    before = registry.version(chain.name, generation)
    made = registry.register(chain.name, generation, model_uri, run.info.run_id, tags)
    if before and before.version != made.version:
        say(
            f"{chain.name}@gen-{generation} is version {made.version} from now on; version "
            f"{before.version} was made before, and may have other settings (name=NAME keeps apart)"
        )


def _parent_version(task: Task, chain: Chain) -> Any:
    """The version of the run that this generation stands on, whatever its alias names by now."""
    tags = runs.client().get_run(task.needs[-1]).data.tags
    return registry.version_of(chain.name, tags[runs.MODEL_TAG])
