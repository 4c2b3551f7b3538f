"""The stage `baseline`: generation 0, trained on human text."""

from collections.abc import Iterator

from collapse.measurement import Measurement
from collapse.parameters.doors import Baseline
from collapse.stages.arms import Portion, take
from collapse.stages.generation import Ground, initial_model, open_ground, train_generation
from collapse.stages.schedule import planned_points
from collapse.stages.teaching import TeachingModel, distributions, open_teacher, taught_text
from collapse.stages.workspace import Workspace


def baseline(parameters: Baseline, workspace: Workspace) -> Iterator[Measurement]:
    """Train generation 0 from its initialisation on human text, keeping weights on the way.

    Yields:
        The measurements of training, at optimizer steps.

    Raises:
        BadModel: no such preset, model or teacher.
        BadCorpus: the corpus holds too little text.
        BadParameter: the corpus has no such text, the model no such weights to freeze, or the
            training no such counts of tokens.
    """
    ground = open_ground(workspace)
    model = initial_model(parameters, ground.tokenizer, generation=0)
    teacher = open_teacher(parameters, workspace)
    budget = ground.budget(parameters.baseline_documents)
    yield from train_generation(
        parameters,
        workspace,
        ground,
        model,
        _portions(parameters, workspace, ground, teacher, budget),
        steps=parameters.baseline_steps,
        teacher=distributions(parameters, teacher, ground),
        schedule=planned_points(parameters),
    )


def _portions(
    parameters: Baseline,
    workspace: Workspace,
    ground: Ground,
    teacher: TeachingModel | None,
    budget: int,
) -> list[Portion]:
    """Human text, and of it the share that a teacher writes in its place."""
    taught = round(budget * parameters.teacher_text) if teacher else 0
    portions = []
    if taught < budget:
        documents = ground.human.fresh(parameters.seed, 0, choice=parameters.training_text)
        portions.append(take("human_fresh", documents, budget - taught, ground.encode))
    if teacher and taught:
        portions.append(taught_text(parameters, workspace, ground, teacher, taught))
    return portions
