"""One frozen dataclass a door; its fields are the door's parameters.

A door has the groups of settings of its own stage and of the stages before it, so that it can build
what is missing; `OWN` names the groups that decide what its own stage computes. The others reach it
through the fingerprints of its inputs. `STANDS_ON` names the generations whose weights a stage
wants beside the one it looks at: ``first`` (generation 0) and ``parent``.
"""

from dataclasses import dataclass

from collapse.parameters.fields import (
    GENERATIONS,
    LAST_GENERATION,
    NAMES,
    NOT_NEGATIVE,
    SEEDS,
    Rule,
    one_of,
    option,
    setting,
)
from collapse.parameters.groups import (
    First,
    Later,
    Model,
    Place,
    Recursion,
    Sampling,
    Study,
    Text,
    Training,
)
from collapse.parameters.probe_groups import (
    Curvature,
    HeadBatch,
    JudgeTraining,
    Landscape,
    LossBatch,
    Pruning,
    Rank,
    Tasks,
    TextQuality,
)

PROBES = ("quality", "hessian", "svd_probe", "surgery", "mechanism", "benchmark")


@dataclass(frozen=True, kw_only=True)
class Prepare(Text, Study):
    """Make corpus and tokenizer once, and log them as MLflow datasets."""

    OWN = (Text,)


@dataclass(frozen=True, kw_only=True)
class Judge(JudgeTraining, Text, Study):
    """Train the judge of a corpus: no entry point, but a step before `quality`."""

    OWN = (JudgeTraining,)


@dataclass(frozen=True, kw_only=True)
class Baseline(Training, First, Model, Text, Place, Study):
    """Train generation 0 on human text."""

    OWN = (Place, Model, First, Training)

    generation: int = option(
        0, "always 0", Rule(lambda value: value == 0, "0: the baseline"), identity=True
    )


@dataclass(frozen=True, kw_only=True)
class RecurseStep(Sampling, Recursion, Training, Later, First, Model, Text, Place, Study):
    """Train one generation on what its arm prescribes, building missing ancestors first."""

    OWN = (Place, Model, Later, Training, Sampling, Recursion)

    generation: int = option(
        1,
        "generation to make",
        Rule(
            lambda value: 0 < value <= LAST_GENERATION,
            f"1 or more (generation 0 is the entry point baseline), and at most {LAST_GENERATION}",
        ),
        identity=True,
    )


@dataclass(frozen=True, kw_only=True)
class Quality(
    TextQuality,
    JudgeTraining,
    Sampling,
    Recursion,
    Training,
    Later,
    First,
    Model,
    Text,
    Place,
    Study,
):
    """Measure what a generation knows and says."""

    OWN = (Place, Sampling, TextQuality)

    generation: int = option(1, "generation to look at", GENERATIONS, identity=True)


@dataclass(frozen=True, kw_only=True)
class Hessian(
    Curvature, LossBatch, Sampling, Recursion, Training, Later, First, Model, Text, Place, Study
):
    """Take the spectrum of the loss's Hessian at a generation."""

    OWN = (Place, Curvature, LossBatch)

    generation: int = option(1, "generation to look at", GENERATIONS, identity=True)


@dataclass(frozen=True, kw_only=True)
class SvdProbe(
    Rank, HeadBatch, Sampling, Recursion, Training, Later, First, Model, Text, Place, Study
):
    """Take the singular values of every head's keys and queries at a generation."""

    OWN = (Place, Rank, HeadBatch)

    generation: int = option(1, "generation to look at", GENERATIONS, identity=True)


@dataclass(frozen=True, kw_only=True)
class Surgery(
    Pruning, HeadBatch, Sampling, Recursion, Training, Later, First, Model, Text, Place, Study
):
    """Prune directions of a generation's keys, and see what the loss says."""

    OWN = (Place, Pruning, HeadBatch)

    generation: int = option(1, "generation to look at", GENERATIONS, identity=True)


@dataclass(frozen=True, kw_only=True)
class Mechanism(
    Landscape, LossBatch, Sampling, Recursion, Training, Later, First, Model, Text, Place, Study
):
    """Hold a generation beside its parent and generation 0: gradients, weights, activations."""

    OWN = (Place, Landscape, LossBatch)
    STANDS_ON = ("first", "parent")

    generation: int = option(1, "generation to look at", GENERATIONS, identity=True)


@dataclass(frozen=True, kw_only=True)
class Benchmark(Tasks, Sampling, Recursion, Training, Later, First, Model, Text, Place, Study):
    """See what a generation can do, on nine tasks beside what chance can."""

    OWN = (Place, Tasks)

    generation: int = option(1, "generation to look at", GENERATIONS, identity=True)


@dataclass(frozen=True, kw_only=True)
class Report(
    Tasks,
    Landscape,
    Pruning,
    Rank,
    HeadBatch,
    Curvature,
    LossBatch,
    TextQuality,
    JudgeTraining,
    Sampling,
    Recursion,
    Training,
    Later,
    First,
    Model,
    Text,
    Study,
):
    """Write the report of what a study's chains measured so far."""

    arms: str = option(
        "study",
        "arms to run, separated by commas",
        NAMES,
    )
    seeds: int = setting(2, "seeds, 0 to N-1, each a block of all arms", SEEDS)
    generations: int = setting(3, "last generation of each chain", GENERATIONS)
    at_ends: str = setting(
        "",
        "probes, separated by commas, that look at generation 0 and the last one only (but for "
        "hessian with overlap=true)",
        Rule(
            lambda value: set(filter(None, value.split(","))) <= set(PROBES),
            f"some of {', '.join(PROBES)}, separated by commas",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Experiment(Report):
    """Run a study: arms x seeds x generations, then the report (entry point main)."""

    workers: int = option(0, "chains at once, 0 for one a core (cores over threads)", NOT_NEGATIVE)
    executor: str = option(
        "local",
        "local, or ray (needs collapse[ray]): many GPUs, many machines",
        one_of("local", "ray"),
    )
    address: str = option(
        "", "address of a Ray cluster, such as auto; empty to start one on this machine"
    )
    dry_run: bool = option(False, "true: say what it will cost here, and run nothing")


DOORS: dict[str, type] = {
    "prepare": Prepare,
    "baseline": Baseline,
    "recurse_step": RecurseStep,
    "quality": Quality,
    "hessian": Hessian,
    "svd_probe": SvdProbe,
    "surgery": Surgery,
    "mechanism": Mechanism,
    "benchmark": Benchmark,
    "report": Report,
    "main": Experiment,
}
