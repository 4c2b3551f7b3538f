"""What depends on what: arms x seeds x generations, as ordered steps. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from collapse.errors import BadParameter
from collapse.language.presets import preset_names
from collapse.parameters.doors import (
    Baseline,
    Benchmark,
    Experiment,
    Hessian,
    Judge,
    Mechanism,
    Prepare,
    Quality,
    RecurseStep,
    Surgery,
    SvdProbe,
)
from collapse.parameters.study import StudyFile

PROBE_DOORS: dict[str, type] = {
    "quality": Quality,
    "hessian": Hessian,
    "svd_probe": SvdProbe,
    "surgery": Surgery,
    "mechanism": Mechanism,
    "benchmark": Benchmark,
}


@dataclass(frozen=True)
class Chain:
    """One arm and one seed: the unit of analysis.

    Attributes:
        name: ``<study>.<arm>.seed<k>``, also the registered model.
        arm: name of the arm.
        seed: seed of the chain.
        recipe: parameters of its generation 1: they tell it from another chain of its name.
    """

    name: str
    arm: str
    seed: int
    recipe: RecurseStep


@dataclass(frozen=True)
class Step:
    """One run of one stage.

    Attributes:
        key: unique in its plan, such as ``recurse_step/replace/seed0/gen3``.
        stage: name of the stage and its door.
        parameters: the door's dataclass.
        chains: chains that need it; its run is a child of the first one. `prepare` has none.
        generation: the generation it makes or looks at; None for `prepare`.
        needs: keys of the steps that must have finished.
        earlier: of these, what the same stage found at earlier generations, by generation.
        teacher: of these, the training of the arm that a baseline learns from, if it does.
        judge: of these, the training of the corpus's judge, where the step asks it.
    """

    key: str
    stage: str
    parameters: Any
    chains: tuple[Chain, ...]
    generation: int | None
    needs: tuple[str, ...]
    earlier: Mapping[int, str] = field(default_factory=dict)
    teacher: str | None = None
    judge: str | None = None


@dataclass(frozen=True)
class Plan:
    """Ordered steps: whatever a step needs stands before it."""

    experiment: str
    steps: tuple[Step, ...]

    @property
    def chains(self) -> tuple[Chain, ...]:
        """The chains, each once, in order."""
        return tuple(dict.fromkeys(chain for step in self.steps for chain in step.chains))

    def step(self, key: str) -> Step:
        """The step with this key."""
        return next(step for step in self.steps if step.key == key)


def plan_prepare(study: StudyFile, given: Mapping[str, Any]) -> Plan:
    """The plan of the door `prepare`: one step."""
    step = Step("prepare", "prepare", study.door(Prepare, given), (), None, ())
    return Plan(experiment_name(study, given), (step,))


def plan_chain(
    study: StudyFile,
    given: Mapping[str, Any],
    *,
    arm: str,
    seed: int,
    generation: int,
    probes: Iterable[str] = (),
    probe_from: int = 0,
    at_ends: Collection[str] = (),
) -> Plan:
    """One chain up to a generation, each generation from `probe_from` on with its probes.

    Args:
        study: the study file.
        given: parameters of the call, which go before the study's settings.
        arm: an arm of the study, or a kind of arm.
        seed: seed of the chain.
        generation: the last generation.
        probes: stages to run on the generations.
        probe_from: first generation that is probed.
        at_ends: probes that look at generation 0 and the last one only.

    Raises:
        BadParameter: an unknown arm, or a setting out of range.
    """
    experiment = experiment_name(study, given)
    place = dict(given) | {"arm": arm, "seed": seed, "generation": 1}
    place |= _own_tokenizer(study.door(RecurseStep, place, arm))
    recipe = study.door(RecurseStep, place, arm)
    chain = Chain(f"{experiment}.{arm}.seed{seed}", arm, seed, recipe)
    text = study.door(Prepare, {**given, "tokenizer": recipe.tokenizer}, arm)
    own = Step(f"prepare/{arm}/seed{seed}", "prepare", text, (), None, ())
    taught = _teacher_steps(study, given, chain)
    teacher = taught[-1].key if taught else None
    judges = _judge_steps(study, place, arm, own) if "quality" in probes else ()
    steps = [*taught, own, *judges]
    lineage: list[str] = []
    for g in range(generation + 1):
        place |= {"generation": g} | _kind_at(recipe, g)
        stage, door = ("recurse_step", RecurseStep) if g else ("baseline", Baseline)
        taught_by = None if g else teacher
        trained = Step(
            key=f"{stage}/{arm}/seed{seed}/gen{g}",
            stage=stage,
            parameters=study.door(door, place, arm),
            chains=(chain,),
            generation=g,
            needs=(own.key, *lineage, *filter(None, [taught_by])),
            teacher=taught_by,
        )
        lineage.append(trained.key)
        steps.append(trained)
        for probe in probes:
            parameters: Any = study.door(PROBE_DOORS[probe], place, arm)
            # What is compared with earlier generations has to be measured on them, too.
            asked = g >= probe_from and (g in {0, generation} or probe not in at_ends)
            if asked or getattr(parameters, "overlap", False):
                steps.append(_probe(probe, parameters, chain, g, (own.key, *lineage), judges))
    return Plan(experiment, tuple(steps))


def _probe(
    name: str,
    parameters: Any,
    chain: Chain,
    generation: int,
    stands_on: tuple[str, ...],
    judges: tuple[Step, ...],
) -> Step:
    """One look at one generation."""
    compares = generation and getattr(parameters, "overlap", False)
    before = sorted({0, generation - 1}) if compares else []
    place = f"{name}/{chain.arm}/seed{chain.seed}/gen"
    earlier = {g: f"{place}{g}" for g in before}
    judge = judges[-1].key if judges and name == "quality" else None
    return Step(
        key=f"{place}{generation}",
        stage=name,
        parameters=parameters,
        chains=(chain,),
        generation=generation,
        needs=(*stands_on, *earlier.values(), *filter(None, [judge])),
        earlier=earlier,
        judge=judge,
    )


def plan_study(study: StudyFile, given: Mapping[str, Any]) -> Plan:
    """All chains of a study: seeds are blocks, so all arms of a seed stand together.

    An arm may ask for fewer seeds than the study, `seeds` among its own settings.
    """
    whole = study.door(Experiment, given)
    seeds = planned_seeds(study, given)
    steps: dict[str, Step] = {}
    for seed in range(whole.seeds):
        for arm in (arm for arm, most in seeds.items() if seed < most):
            chain = plan_chain(
                study,
                given,
                arm=arm,
                seed=seed,
                generation=whole.generations,
                probes=study.probes,
                at_ends=whole.at_ends.split(","),
            )
            steps |= {step.key: step for step in chain.steps}
    return Plan(experiment_name(study, given), tuple(steps.values()))


def planned_seeds(study: StudyFile, given: Mapping[str, Any]) -> dict[str, int]:
    """The arms that are asked for, each with its number of seeds, never more than the study's."""
    whole = study.door(Experiment, given)
    arms = study.arms if whole.arms == "study" else whole.arms.split(",")
    return {arm: min(whole.seeds, study.door(Experiment, given, arm).seeds) for arm in arms}


def merge_equal(plan: Plan, fingerprints: Mapping[str, str]) -> Plan:
    """The plan in which steps of one fingerprint are one step of all their chains.

    Within a seed the arms share generation 0: its steps have one fingerprint, since nothing in
    which the arms differ enters it.
    """
    first: dict[str, str] = {}
    for step in plan.steps:
        first.setdefault(fingerprints[step.key], step.key)
    kept = {key: first[fingerprints[key]] for key in fingerprints}
    chains: dict[str, list[Chain]] = {}
    for step in plan.steps:
        chains.setdefault(kept[step.key], []).extend(step.chains)
    merged = tuple(
        replace(
            step,
            chains=tuple(dict.fromkeys(chains[step.key])),
            needs=tuple(dict.fromkeys(kept[need] for need in step.needs)),
            earlier={generation: kept[key] for generation, key in step.earlier.items()},
            teacher=step.teacher and kept[step.teacher],
            judge=step.judge and kept[step.judge],
        )
        for step in plan.steps
        if kept[step.key] == step.key
    )
    return Plan(plan.experiment, merged)


def _kind_at(recipe: RecurseStep, generation: int) -> dict[str, Any]:
    """What a generation reads, where the chain goes back to human text at some generation.

    Up to there its steps are those of the arm that does not go back, and so are their
    fingerprints: the runs are shared.
    """
    if not recipe.human_from:
        return {}
    back = recipe.human_from <= generation
    return {"kind": "fresh" if back else recipe.kind, "human_from": 0}


def experiment_name(study: StudyFile, given: Mapping[str, Any]) -> str:
    """The MLflow experiment: the study and its scale, unless the call names another."""
    name, scale = str(given.get("name", "study")), str(given.get("scale", "full"))
    if name != "study":
        return name
    return study.name if scale == "full" else f"{study.name}-{scale}"


def _judge_steps(
    study: StudyFile, place: Mapping[str, Any], arm: str, prepared: Step
) -> tuple[Step, ...]:
    """The training of the corpus's judge, where `quality` asks that one."""
    if study.door(Quality, place, arm).judge != "own":
        return ()
    parameters = study.door(Judge, place, arm)
    key = prepared.key.replace("prepare", "judge", 1)
    return (Step(key, "judge", parameters, (), None, (prepared.key,)),)


def _teacher_steps(study: StudyFile, given: Mapping[str, Any], chain: Chain) -> tuple[Step, ...]:
    """What makes the arm that a chain's generation 0 learns from; nothing for other teachers.

    Raises:
        BadParameter: the arm would teach itself, or has a teacher of its own.
    """
    name = chain.recipe.teacher
    if name not in study.arms:
        return ()
    rest = {key: value for key, value in given.items() if key != "teacher"}
    if name == chain.arm or study.arm_settings(name).get("teacher"):
        raise BadParameter(
            f"teacher={name} of arm {chain.arm} must be another arm, one without a teacher, or a "
            "model"
        )
    return plan_chain(study, rest, arm=name, seed=chain.seed, generation=0).steps


def _own_tokenizer(recipe: RecurseStep) -> dict[str, str]:
    """A pretrained model speaks through its own tokenizer, unless another is named."""
    trained_here = recipe.tokenizer in {"bpe", "characters"}
    is_pretrained = recipe.preset not in preset_names()
    return {"tokenizer": recipe.preset} if trained_here and is_pretrained else {}
