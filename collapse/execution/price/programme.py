"""What is rehearsed of a plan: each shape in it once, in one or two small sizes. Pure."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from collapse.execution.price.shrinking import CHANGES, LARGE, SMALL, has_more_held_out
from collapse.execution.work import TRAININGS, items, products, texts
from collapse.parameters.groups import Place
from collapse.stages.plan import Chain, Plan, Step

Shape = tuple[Hashable, ...]

ANY_COST = 100_000
"""Of a step whose stage takes little, in tokens."""
TEXT_TOKENS = 100
"""Of a document, before the corpus is known: good enough to put what is rehearsed in order."""

_NEVER_MATTERS = frozenset(
    (
        *("baseline_steps", "baseline_documents", "steps", "documents", "checkpoint_tokens"),
        *("learning_rate", "muon_learning_rate", "weight_decay", "warmup_steps", "schedule"),
        *("decay_fraction", "final_learning_rate_fraction", "clip_norm", "learning_rate_scale"),
        *("evaluate_every", "checkpoint_every", "training_text", "kind", "synthetic_fraction"),
        *("human_half", "human_from", "start", "teacher_text", "teacher_temperature"),
        *("overlap", "min_characters", "memory_gib"),
    )
)
"""Amounts, which lines are drawn through, and what changes bits but hardly seconds. A parameter
that is missing here by mistake costs rehearsals and no accuracy."""


@dataclass(frozen=True)
class Rehearsal:
    """A step, shrunk.

    Attributes:
        step: what is run; its needs are keys of other rehearsals.
        shape: of the steps that it speaks for.
        grows: whether its size waits for what the rehearsals before it took.
    """

    step: Step
    shape: Shape
    grows: bool = False

    @property
    def key(self) -> str:
        """The step's, unique in a programme."""
        return self.step.key


class Shapes:
    """Which steps of a plan cost alike, but for their amounts of work."""

    def __init__(self, plan: Plan) -> None:
        self._steps = {step.key: step for step in plan.steps}

    def prepared(self, step: Step) -> Step:
        """The step that prepared a step's corpus."""
        return self._first(step, "prepare")

    def trained_from(self, step: Step) -> Step:
        """Generation 0 of a step's chain."""
        return self._first(step, "baseline")

    def teacher(self, step: Step) -> Step:
        """The step that trains a baseline's teacher."""
        return self._steps[step.teacher or ""]

    def judge(self, step: Step) -> Step:
        """The step that trains the judge that a step asks."""
        return self._steps[step.judge or ""]

    def child_of(self, step: Step) -> Step | None:
        """A generation 1 that stands on the generation 0 of a step's chain, if there is one."""
        wanted = self.of(self.trained_from(step))
        return next(
            (
                one
                for one in self._steps.values()
                if one.stage == "recurse_step" and self.of(self.trained_from(one)) == wanted
            ),
            None,
        )

    def of(self, step: Step) -> Shape:
        """The shape of a step; steps of one shape cost alike but for their amounts."""
        p = step.parameters
        if step.stage == "prepare":
            return ("prepare", p.corpus, p.corpus_documents, p.tokenizer, p.vocabulary_size)
        prepared = self.of(self.prepared(step))
        if step.stage == "judge":
            return ("judge", prepared)
        groups = [group for group in type(p).OWN if group is not Place]
        own = [one.name for group in groups for one in fields(group)]
        names = dict.fromkeys(
            (*own, "preset", "preset_overrides", "sequence_length", "device", "threads")
        )
        values = tuple((n, _kind_of(n, getattr(p, n))) for n in names if n not in _NEVER_MATTERS)
        later = step.stage == "mechanism" and bool(step.generation)
        return (step.stage, prepared, later, values)

    def _first(self, step: Step, stage: str) -> Step:
        if step.stage == stage:
            return step
        return next(one for one in map(self._steps.get, step.needs) if one and one.stage == stage)


def _kind_of(name: str, value: Any) -> Hashable:
    """How text is drawn matters by its kind alone: filtered or not, at random or not."""
    if name in {"temperature", "top_k"}:
        return value > 0
    if name == "top_p":
        return value < 1
    if name == "teacher_weight":
        return bool(value)
    return value


def programme(plan: Plan, steps: Iterable[Step], sizes: Mapping[str, float]) -> list[Rehearsal]:
    """What to rehearse for the steps that are to be priced.

    The most expensive shape of every stage comes first, so that none goes without a price where
    time runs out; then all others, the most expensive first.

    Args:
        plan: the study's, merged.
        steps: those of it that are to be priced.
        sizes: parameters of the model of each step that trains or loads one, by step key.

    Returns:
        Rehearsals; whatever one needs stands before it.
    """
    shapes = Shapes(plan)
    weights: dict[Shape, float] = {}
    speakers: dict[Shape, Step] = {}
    for step in steps:
        shape = shapes.of(step)
        weights[shape] = weights.get(shape, 0) + rough_cost(step) * sizes.get(step.key, 1.0)
        known = speakers.get(shape)
        if known is None or _says_more(step, known):
            speakers[shape] = step
    script = _Script(shapes, speakers)
    rising = sorted(weights, key=lambda one: weights[one])
    heaviest = {speakers[shape].stage: shape for shape in rising}.values()
    for shape in sorted(weights, key=lambda one: (one not in heaviest, -weights[one])):
        script.add(speakers[shape])
    return list(script.rehearsals.values())


def _says_more(step: Step, known: Step) -> bool:
    """Of an arm that writes text more is to be learnt than of one that reads people."""
    if step.stage != "recurse_step":
        return False
    writes = [one.parameters.kind not in {"fresh", "static"} for one in (step, known)]
    return writes[0] and not writes[1]


def rough_cost(step: Step) -> float:
    """Tokens that a step takes through its model and back, roughly: to put shapes in order."""
    p = step.parameters
    trained = p.tokens_per_step if step.stage in TRAININGS else 0
    costs = {
        "baseline": lambda: p.baseline_steps * trained,
        "recurse_step": lambda: p.steps * trained + p.documents * TEXT_TOKENS,
        "quality": lambda: (p.samples + p.prompts + p.heldout_documents) * TEXT_TOKENS,
        "hessian": lambda: 2 * products(p) * texts(p) * p.probe_tokens,
        "benchmark": lambda: items(p) * TEXT_TOKENS,
    }
    return costs.get(step.stage, lambda: ANY_COST)()


class _Script:
    """Rehearsals as they are written down, each once."""

    def __init__(self, shapes: Shapes, speakers: Mapping[Shape, Step]) -> None:
        self.rehearsals: dict[str, Rehearsal] = {}
        self._shapes = shapes
        self._speakers = speakers
        self._numbers: dict[Shape, int] = {}

    def add(self, step: Step) -> str:
        """Write down the rehearsals of a step's shape; returns the key of the largest."""
        shape = self._shapes.of(step)
        step = self._speakers.get(shape, step)
        number = self._numbers.setdefault(shape, len(self._numbers))
        name = f"{step.stage}{number}"
        if f"{name}/{LARGE}" in self.rehearsals:
            return f"{name}/{LARGE}"
        small, large = (self._shrunk(step, size, name) for size in (SMALL, LARGE))
        if small.step.parameters != large.step.parameters or small.step.needs != large.step.needs:
            self.rehearsals[small.key] = small
        self.rehearsals[large.key] = large
        return large.key

    def _shrunk(self, step: Step, size: str, name: str) -> Rehearsal:
        changes = CHANGES[step.stage](step.parameters, size)
        prepared = self._prepared(step, size)
        needs: list[str] = [prepared] if prepared else []
        teacher = judge = None
        generation = 0 if step.generation is not None else None
        if step.stage not in {"prepare", "judge", "baseline"}:
            needs.append(self.add(self._shapes.trained_from(step)))
        if step.stage == "recurse_step":
            generation = 1
        if step.teacher:
            teacher = self.add(self._shapes.teacher(step))
        if step.judge:
            judge = self._small(self.add(self._shapes.judge(step)))
        child = self._shapes.child_of(step) if step.stage == "mechanism" else None
        if step.generation and child:
            needs.append(self.add(child))
            generation = 1
        if generation is not None:
            changes["generation"] = generation
        chains = tuple(Chain(f"rehearsal.{name}", c.arm, c.seed, c.recipe) for c in step.chains[:1])
        shrunk = Step(
            key=f"{name}/{size}",
            stage=step.stage,
            parameters=replace(step.parameters, **changes),
            chains=chains,
            generation=generation,
            needs=(*needs, *filter(None, (teacher, judge))),
            teacher=teacher,
            judge=judge,
        )
        grows = step.stage == "recurse_step" or (step.stage == "baseline" and size == LARGE)
        return Rehearsal(shrunk, self._shapes.of(step), grows)

    def _prepared(self, step: Step, size: str) -> str | None:
        """The text that a rehearsal reads.

        A judge and a look at quality, which read all of what is held out, read little and more.
        """
        if step.stage == "prepare":
            return None
        largest = self.add(self._shapes.prepared(step))
        reads_all = step.stage == "quality" and has_more_held_out(step.parameters)
        if step.stage == "judge" or reads_all:
            return self._small(largest) if size == SMALL else largest
        return largest

    def _small(self, key: str) -> str:
        """The small rehearsal of the shape of a large one, where there are two."""
        small = key.replace(LARGE, SMALL)
        return small if small in self.rehearsals else key
