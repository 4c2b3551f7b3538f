"""The stage `baseline`: generation 0, trained on human text."""

from collections.abc import Iterator

from collapse.measurement import Measurement
from collapse.parameters.doors import Baseline
from collapse.stages.arms import take
from collapse.stages.generation import initial_model, open_ground, train_generation
from collapse.stages.schedule import planned_points
from collapse.stages.workspace import Workspace


def baseline(parameters: Baseline, workspace: Workspace) -> Iterator[Measurement]:
    """Train generation 0 from its initialisation on human text, keeping weights on the way.

    Yields:
        The measurements of training, at optimizer steps.

    Raises:
        BadModel: no such preset or model.
        BadCorpus: the corpus holds too little text.
        BadParameter: the corpus has no such text, the model no such weights to freeze, or the
            training no such counts of tokens.
    """
    ground = open_ground(workspace)
    model = initial_model(parameters, ground.tokenizer, generation=0)
    documents = ground.human.fresh(parameters.seed, 0, choice=parameters.training_text)
    budget = ground.budget(parameters.baseline_documents)
    human = take("human_fresh", documents, budget, ground.encode)
    yield from train_generation(
        parameters,
        workspace,
        ground,
        model,
        [human],
        steps=parameters.baseline_steps,
        schedule=planned_points(parameters),
    )
