"""The training loop: steps, validations, states, and what it reports."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate.utils import gather_object
from torch import nn

from collapse.errors import BadCorpus, BadInput
from collapse.language.muon import Muon
from collapse.language.packing import PackedBatches
from collapse.language.training.freezing import frozen
from collapse.language.training.recipe import TrainingRecipe
from collapse.language.training.state import load_newest_state, save_state, training_identity
from collapse.language.training.step import OptimizerStep, StepOutcome
from collapse.language.training.teacher import Teacher
from collapse.language.training.validation import validation_nll_nats
from collapse.measurement import Measurement
from collapse.numerics.sharing import alone

REPORTS_PER_RUN = 40


def train(
    model: nn.Module,
    stream: np.ndarray,
    recipe: TrainingRecipe,
    *,
    seed: int,
    teacher: Teacher | None = None,
    state_folder: Path | None = None,
    validation: np.ndarray | None = None,
    on_checkpoint: Callable[[int, nn.Module], None] | None = None,
    checkpoint_steps: Collection[int] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Measurement]:
    """Train a causal language model on a packed stream, in place, as the result is iterated.

    The model trains on the device that holds it; started by ``torchrun``, on all processes'
    devices, each taking its rows of every step (``accelerate launch --cpu`` starts only one); by
    ``accelerate launch --config_file`` with FSDP, in pieces (:mod:`.shards`).
    Weights that ``recipe.freeze`` names keep their bits, and can be trained again afterwards.
    Every process yields the same measurements; callbacks and files are the main one's, and
    ``state_folder`` must be one that all of them see. Afterwards, or when the iterator is closed,
    the model is in eval mode with nothing in ``.grad``. The global random generators stay as they
    are.

    A run killed at any time and started again with the same arguments (the untrained model among
    them; intervals of validation and saving may differ) resumes from its newest state and ends in
    the same bits. What it had reported after that state it reports again. States of another
    training in the folder are passed over and replaced.

    Args:
        model: called as ``model(input_ids=..., use_cache=False).logits``, float32 weights.
        stream: int32 tokens of :func:`collapse.language.packing.pack`.
        recipe: steps, batch, optimizer, schedule, precision.
        seed: of the data order and of dropout.
        teacher: a model to learn from beside the text, on the same device; each process has its
            own copy.
        state_folder: scratch folder of this one training, for the states to resume from.
        validation: packed held-out tokens, validated every ``evaluate_every`` steps and at the end.
        on_checkpoint: called with the steps done and the model (in eval mode, on its device), for
            looking and saving; it must not change weights.
        checkpoint_steps: the steps done at which it is called, 0 being before training; None:
            every ``checkpoint_every`` steps.
        progress: called with the steps done after each step.

    Yields:
        About 40 times a run and at its end: ``train/loss_nats`` (mean since the last report),
        ``train/tokens_per_second`` (of the steps alone), ``train/learning_rate`` (AdamW's),
        ``train/tokens_seen``, ``train/epochs``, ``gradient/norm`` (of the last step, before
        clipping); with a teacher ``train/teacher_kl_nats`` (of the last step); and
        ``validation/nll_nats`` per token when validated. At the end also
        ``train/learning_rate_sum`` and, with Muon, ``train/muon_learning_rate_sum``: the rates
        added up over all steps, by which trainings with other optimizers are matched,
        ``train/seconds`` of all steps, those before a kill too, and ``train/micro_batch``, the
        sequences that a device took at once. The step is steps done.

    Raises:
        BadCorpus: stream or validation is too short.
        BadInput: the processes were not given the same training.
        BadModel: the weights are not float32, none can be trained, or the teacher has another
            vocabulary.
        BadParameter: more processes than sequences in a step, or nothing to freeze of such a name.
        StoreError: the folder cannot be written.
        TrainingDiverged: loss or gradient is no longer finite.
    """
    if validation is not None and len(validation) < 2:
        raise BadCorpus(f"the validation text has {len(validation)} tokens: at least 2 are needed")
    batches = PackedBatches(stream, recipe.sequence_length, recipe.sequences_per_step, seed)
    with frozen(model, recipe.freeze):
        stepper = OptimizerStep(model, batches, recipe, seed, teacher)
    identity = training_identity(model, recipe, stream, seed, teacher)
    _require_one_training(stepper.accelerator, identity)
    run = _Run(
        stepper=stepper,
        validation=validation,
        state_folder=state_folder,
        identity=identity,
        on_checkpoint=on_checkpoint,
        checkpoint_steps=checkpoint_steps,
    )
    if state_folder is not None:
        run.resume()
    return _iterate(run, progress)


def _require_one_training(accelerator: Any, identity: str) -> None:
    """See that all processes were given the same text, weights, recipe and seed.

    Each may have sampled its text by itself, and one bit of rounding there would split them.
    """
    if accelerator.num_processes > 1 and len(set(gather_object([identity]))) > 1:
        raise BadInput(
            f"the {accelerator.num_processes} processes were given different texts, weights or "
            "settings: a training must be the same in all of them"
        )


def _iterate(run: _Run, progress: Callable[[int], None] | None) -> Iterator[Measurement]:
    """Take the steps that are left; what follows a step happens in this order after each."""
    model = run.stepper.model
    run.stepper.drop_gradients()
    try:
        with frozen(model, run.recipe.freeze):
            yield from _steps(run, progress)
        if run.stepper.shards:
            run.stepper.shards.release()
    finally:
        run.stepper.drop_gradients()
        model.eval()


def _steps(run: _Run, progress: Callable[[int], None] | None) -> Iterator[Measurement]:
    if run.done == 0:
        run.show_checkpoint()
    while run.done < run.recipe.steps:
        run.advance()
        if progress is not None and run.is_main:
            progress(run.done)
        values = run.report() | run.validate()
        run.show_checkpoint()
        if values:
            yield Measurement(run.done, values)
        # Last, so that whatever a state counts as done has been reported and shown.
        run.save()


@dataclass
class _Run:
    """A training under way: its parts, the steps done, and sums since the last report."""

    stepper: OptimizerStep
    validation: np.ndarray | None
    state_folder: Path | None
    identity: str
    on_checkpoint: Callable[[int, nn.Module], None] | None
    checkpoint_steps: Collection[int] | None
    done: int = 0
    loss_sum_nats: float = 0.0
    loss_steps: int = 0
    rate_factor_sum: float = 0.0
    seconds: float = 0.0
    timed_seconds: float = 0.0
    timed_steps: int = 0
    last: StepOutcome | None = None

    @property
    def recipe(self) -> TrainingRecipe:
        return self.stepper.recipe

    @property
    def is_main(self) -> bool:
        return self.stepper.accelerator.is_main_process

    def advance(self) -> None:
        """One optimizer step."""
        self.stepper.trained.train()
        begin = time.perf_counter()
        self.last = self.stepper.take(self.done)
        taken = time.perf_counter() - begin
        self.seconds += taken
        self.timed_seconds += taken
        self.timed_steps += 1
        self.done += 1
        self.loss_sum_nats += self.last.loss_nats
        self.loss_steps += 1
        self.rate_factor_sum += self.last.rate_factor

    def report(self) -> dict[str, float]:
        """The training values where they are due, and new sums."""
        every = max(1, self.recipe.steps // REPORTS_PER_RUN)
        if self.last is None or not self._due(every, at_end=True):
            return {}
        tokens = self.recipe.tokens_per_step
        values = {
            "train/loss_nats": self.loss_sum_nats / self.loss_steps,
            "train/tokens_per_second": tokens * self.timed_steps / self.timed_seconds,
            "train/learning_rate": self.recipe.learning_rate * self.last.rate_factor,
            "train/tokens_seen": float(self.done * tokens),
            "train/epochs": self.stepper.batches.epochs(self.done),
        }
        if self.last.teacher_kl_nats is not None:
            values["train/teacher_kl_nats"] = self.last.teacher_kl_nats
        if math.isfinite(self.last.gradient_norm):  # fp16 leaves a step out where it is not
            values["gradient/norm"] = self.last.gradient_norm
        if self.done == self.recipe.steps:
            values |= self.rate_sums() | {"train/seconds": self.seconds}
            values["train/micro_batch"] = float(self.stepper.micro_batch)
        self.loss_sum_nats, self.loss_steps = 0.0, 0
        self.timed_seconds, self.timed_steps = 0.0, 0
        return values

    def rate_sums(self) -> dict[str, float]:
        """The learning rate of each optimizer at work, added up over the steps done."""
        sums = {}
        for optimizer in self.stepper.optimizers:
            kind = "muon_learning_rate" if isinstance(optimizer, Muon) else "learning_rate"
            peak = optimizer.param_groups[0]["initial_lr"]
            sums[f"train/{kind}_sum"] = peak * self.rate_factor_sum
        return sums

    def validate(self) -> dict[str, float]:
        """The validation loss where it is due."""
        if self.validation is None or not self._due(self.recipe.evaluate_every, at_end=True):
            return {}
        nll_nats = validation_nll_nats(
            self.stepper.trained,
            self.validation,
            sequence_length=self.recipe.sequence_length,
            batch_size=self.stepper.micro_batch,  # the same in all processes
            accelerator=self.stepper.accelerator,
        )
        return {"validation/nll_nats": nll_nats}

    def show_checkpoint(self) -> None:
        """Hand the model to the callback where that is due."""
        if self.checkpoint_steps is None:
            due = self.done > 0 and self._due(self.recipe.checkpoint_every)
        else:
            due = self.done in self.checkpoint_steps
        if self.on_checkpoint is None or not due:
            return
        if self.stepper.shards:
            self.stepper.shards.settle()
        if self.is_main:
            self.stepper.model.eval()
            with alone():
                self.on_checkpoint(self.done, self.stepper.model)

    def save(self) -> None:
        """Write a state where that is due, but none at the end: whoever ends a run reports it."""
        if self.state_folder is None or self.done == self.recipe.steps:
            return
        if not self._due(self.recipe.checkpoint_every):
            return
        of_stepper = self.stepper.state()
        if self.is_main:
            parts: dict[str, Any] = of_stepper | {
                "loss_sum_nats": self.loss_sum_nats,
                "loss_steps": self.loss_steps,
                "rate_factor_sum": self.rate_factor_sum,
                "seconds": self.seconds,
            }
            save_state(self.state_folder, self.done, self.identity, parts)

    def resume(self) -> None:
        """Go to the newest state in the folder, if there is one."""
        assert self.state_folder is not None
        state = load_newest_state(self.state_folder, self.identity)
        if state is None:
            return
        self.stepper.load(state)
        self.done = state["step"]
        self.loss_sum_nats, self.loss_steps = state["loss_sum_nats"], state["loss_steps"]
        self.rate_factor_sum, self.seconds = state["rate_factor_sum"], state["seconds"]

    def _due(self, every: int, *, at_end: bool = False) -> bool:
        if at_end and self.done == self.recipe.steps:
            return True
        return every > 0 and self.done % every == 0
