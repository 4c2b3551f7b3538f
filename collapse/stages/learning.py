"""How weights come from text: by gradient descent, or for some presets in closed form."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import numpy as np

from collapse.errors import BadParameter
from collapse.language.learners import ESTIMATORS, fit
from collapse.language.presets import training_flops_per_token
from collapse.language.training import Teacher, TrainingRecipe, train
from collapse.measurement import Measurement
from collapse.numerics.streams import stream_seed
from collapse.parameters.doors import Baseline, RecurseStep
from collapse.stages.device import chosen_precision
from collapse.stages.schedule import PlannedPoint, keeper
from collapse.stages.workspace import Workspace, by_increments


class Learning(Protocol):
    """One generation's learning, before it has begun."""

    @property
    def steps(self) -> int:
        """Steps that it takes."""

    @property
    def tokens_seen(self) -> int:
        """Tokens that it learns from, each as often as it is read."""

    def describe(self) -> dict[str, Any]:
        """What decides its outcome but the model, the text and the seed."""

    def flops(self, model: Any) -> float:
        """Floating-point operations, by count."""

    def learn(
        self,
        model: Any,
        stream: np.ndarray,
        *,
        tokenizer: Any,
        validation: np.ndarray,
        workspace: Workspace,
    ) -> Iterator[Measurement]:
        """Learn from a packed stream, in place, as the result is iterated."""


def choose_learning(
    parameters: Baseline | RecurseStep,
    *,
    tokens_offered: int,
    steps: int,
    learning_rate_scale: float = 1.0,
    teacher: Teacher | None = None,
    schedule: Sequence[PlannedPoint] = (),
) -> Learning:
    """How a generation of these parameters learns.

    Args:
        parameters: of the stage.
        tokens_offered: tokens of the training text.
        steps: optimizer steps.
        learning_rate_scale: what the peak learning rates are multiplied by.
        teacher: a model whose distributions count beside the text.
        schedule: points at which the weights are kept on the way.

    Raises:
        BadParameter: a setting out of range, or one that a closed form has no place for.
    """
    if parameters.preset not in ESTIMATORS:
        recipe = _recipe(parameters, steps, learning_rate_scale)
        return Descent(parameters, recipe, teacher, tuple(schedule))
    if teacher or schedule or parameters.freeze:
        raise BadParameter(
            f"preset={parameters.preset} is estimated from its text at once: leave out "
            "teacher_weight, checkpoint_tokens and freeze"
        )
    return ClosedForm(parameters.preset, tokens_offered)


@dataclass(frozen=True)
class Descent:
    """Gradient descent on windows of the text."""

    parameters: Baseline | RecurseStep
    recipe: TrainingRecipe
    teacher: Teacher | None
    schedule: tuple[PlannedPoint, ...]

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.recipe.steps

    @property
    def tokens_seen(self) -> int:
        """Tokens predicted, over all steps."""
        return self.recipe.steps * self.recipe.tokens_per_step

    def describe(self) -> dict[str, Any]:
        """The recipe."""
        return asdict(self.recipe)

    def flops(self, model: Any) -> float:
        """Those of forward and backward passes."""
        return training_flops_per_token(model, self.recipe.sequence_length) * self.tokens_seen

    def learn(
        self,
        model: Any,
        stream: np.ndarray,
        *,
        tokenizer: Any,
        validation: np.ndarray,
        workspace: Workspace,
    ) -> Iterator[Measurement]:
        """Train, with progress shown, keeping weights at the points of the schedule."""
        seed, generation = self.parameters.seed, self.parameters.generation
        with workspace.progress("training", self.steps) as advance:
            yield from train(
                model,
                stream,
                self.recipe,
                seed=stream_seed(seed, "training", generation),
                teacher=self.teacher,
                state_folder=workspace.state / "training",
                validation=validation,
                on_checkpoint=keeper(self.schedule, tokenizer, workspace.state),
                checkpoint_steps=[point.step for point in self.schedule],
                progress=by_increments(advance),
            )


@dataclass(frozen=True)
class ClosedForm:
    """An estimate from all of the text, read once: no step, rate or window enters it."""

    preset: str
    tokens_seen: int
    steps: int = 1

    def describe(self) -> dict[str, Any]:
        """The estimator, which bears the preset's name."""
        return {"estimator": self.preset}

    def flops(self, model: Any) -> float:
        """One addition a token."""
        del model
        return float(self.tokens_seen)

    def learn(
        self,
        model: Any,
        stream: np.ndarray,
        *,
        tokenizer: Any,
        validation: np.ndarray,
        workspace: Workspace,
    ) -> Iterator[Measurement]:
        """Estimate; held-out text, of which windows would be cut, is not looked at."""
        del tokenizer, validation, workspace
        yield Measurement(self.steps, fit(model, stream, ESTIMATORS[self.preset]))


def _recipe(parameters: Baseline | RecurseStep, steps: int, scale: float) -> TrainingRecipe:
    names = {one.name for one in fields(TrainingRecipe)} - {"steps"}
    values = {name: getattr(parameters, name) for name in names}
    for rate in ("learning_rate", "muon_learning_rate"):
        values[rate] *= scale
    values["precision"] = chosen_precision(parameters.precision, parameters.device)
    return TrainingRecipe(steps=steps, **values)
