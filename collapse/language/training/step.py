"""One optimizer step: gradients of the whole global batch, however it is split."""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from collapse.errors import BadModel, BadParameter, TrainingDiverged
from collapse.language.optimizers import (
    build_optimizers,
    learning_rate_factor,
    set_learning_rates,
)
from collapse.language.packing import PackedBatches
from collapse.language.training.recipe import TrainingRecipe
from collapse.language.training.shards import Shards, cut_states, is_asked_for, whole_tensors
from collapse.language.training.teacher import Teacher
from collapse.numerics.streams import stream_seed

if TYPE_CHECKING:
    from accelerate import Accelerator

AUTOCAST_TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def open_accelerator(device: torch.device) -> "Accelerator":
    """The process's Accelerate handle on the kind of device that holds the model.

    It brings the processes together and wraps the model for them. Precision is left to this
    package: Accelerate's own would replace the model's ``forward``, and cannot change within a
    process.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    accelerator = Accelerator(mixed_precision="no", cpu=device.type == "cpu")
    if accelerator.device.type != device.type and accelerator.num_processes == 1:
        # Accelerate keeps the first device of a process for ever, an earlier model's perhaps.
        AcceleratorState._reset_state(reset_partial_state=True)
        accelerator = Accelerator(mixed_precision="no", cpu=device.type == "cpu")
    return accelerator


@dataclass(frozen=True)
class StepOutcome:
    """What one optimizer step measured.

    Attributes:
        loss_nats: mean cross-entropy per token of the global batch, before the step.
        gradient_norm: Euclidean norm of its gradient, before clipping.
        rate_factor: what the peak learning rates were multiplied by in this step.
        teacher_kl_nats: mean divergence per token from the teacher; None without one.
    """

    loss_nats: float
    gradient_norm: float
    rate_factor: float
    teacher_kl_nats: float | None = None


class OptimizerStep:
    """A model, its optimizers and its data, able to take the step of any number.

    The gradient is that of the mean over all tokens of the global batch: micro-batches add sums
    divided by the global count, and processes, each with its own rows, are averaged after
    multiplying by their number. So neither changes the result beyond rounding.

    Where a device runs out of memory (one process only) the micro-batch is halved and the step
    begun again, down to one sequence.

    Attributes:
        model: what was given.
        trained: the module whose weights the optimizers change: the model, or its copy in pieces.
        shards: the pieces; None where every process has the whole model.

    Raises:
        BadModel: the weights are not float32, none can be trained, or a teacher has another
            vocabulary.
        BadParameter: there are more processes than sequences in a step, or what a model in pieces
            cannot do.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: PackedBatches,
        recipe: TrainingRecipe,
        seed: int,
        teacher: Teacher | None = None,
    ) -> None:
        device = _check_weights(model)
        self.model, self.batches, self.recipe, self.seed = model, batches, recipe, seed
        self.teacher = teacher
        if teacher is not None:
            teacher.require_vocabulary(model.config.vocab_size)
        self.accelerator = open_accelerator(device)
        processes, rank = self.accelerator.num_processes, self.accelerator.process_index
        rows = batches.sequences_per_step
        if rows < processes:
            raise BadParameter(
                f"{rows} sequences a step cannot be shared by {processes} processes: "
                f"tokens_per_step must be at least {processes * batches.sequence_length}"
            )
        self.shards = _shards(model, recipe, rows, self.accelerator)
        self.trained = self.shards.trained if self.shards else model
        self.share = slice(rank * rows // processes, (rank + 1) * rows // processes)
        self.micro_rows = recipe.micro_batch or self.share.stop - self.share.start
        self.wrapped = self.trained if self.shards else self.accelerator.prepare_model(model)
        self.optimizers = build_optimizers(self.trained, recipe)
        self.scaler = torch.amp.GradScaler(
            self.accelerator.device.type, enabled=recipe.precision == "fp16"
        )

    @property
    def micro_batch(self) -> int:
        """Sequences that the first process's device takes at once, as far as it got."""
        share = self.batches.sequences_per_step // self.accelerator.num_processes
        return min(self.micro_rows, share)

    def take(self, step: int) -> StepOutcome:
        """Take optimizer step ``step`` (from 0).

        Raises:
            TrainingDiverged: loss or gradient is not finite; the weights are those before the step.
        """
        factor = learning_rate_factor(step, self.recipe)
        set_learning_rates(self.optimizers, factor)
        sums = self._accumulate_gradients(step)
        for optimizer in self.optimizers:
            self.scaler.unscale_(optimizer)
        trained = [p for p in self.trained.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm([p.grad for p in trained])
        whole_norm = whole_tensors(norm).to(sums.device, torch.float32)
        # One transfer for all: reading a number makes the device wait.
        loss_nats, kl_nats, gradient_norm = torch.stack([*sums, whole_norm]).tolist()
        self._check_finite(step, loss_nats + kl_nats, gradient_norm)
        if 0 < self.recipe.clip_norm < gradient_norm < math.inf:
            nn.utils.clip_grads_with_norm_(trained, self.recipe.clip_norm, norm)
        # The scaler alone would leave out the one optimizer whose gradients overflowed, not both.
        if math.isfinite(gradient_norm):
            for optimizer in self.optimizers:
                self.scaler.step(optimizer)
        self.scaler.update()
        self.drop_gradients()
        told = kl_nats if self.teacher is not None else None
        return StepOutcome(loss_nats, gradient_norm, factor, told)

    def drop_gradients(self) -> None:
        """Leave nothing in ``.grad``."""
        self.trained.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """What the next step depends on; all processes put it together.

        Tensors are whole, so that another number of processes can go on.
        """
        return {
            "model": whole_tensors(self.trained.state_dict()),
            "optimizers": [whole_tensors(one.state_dict()) for one in self.optimizers],
            "scaler": self.scaler.state_dict(),
            # Halved where memory ran out: other pieces would add up to other bits.
            "micro_rows": self.micro_rows,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        (self.shards.load if self.shards else self.model.load_state_dict)(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        if self.shards:
            cut_states(self.optimizers)
        self.scaler.load_state_dict(state["scaler"])
        self.micro_rows = min(self.micro_rows, state["micro_rows"])

    def _check_finite(self, step: int, loss_nats: float, gradient_norm: float) -> None:
        if not math.isfinite(loss_nats):
            raise TrainingDiverged(
                f"the training loss is {loss_nats} at step {step}: lower the learning rate, "
                "or warm up longer"
            )
        # Under fp16 an overflow is expected now and then: such a step is left out.
        if not math.isfinite(gradient_norm) and not self.scaler.is_enabled():
            raise TrainingDiverged(
                f"the gradient norm is {gradient_norm} at step {step} (loss {loss_nats:.4g} nats):"
                " lower the learning rate, or warm up longer"
            )

    def _accumulate_gradients(self, step: int) -> torch.Tensor:
        """Gradients of a step in ``.grad``; loss and divergence of the global batch, shape (2,)."""
        inputs, labels = self.batches.batch(step, self.share)
        inputs_BxL = torch.from_numpy(inputs).to(self.accelerator.device)
        labels_BxL = torch.from_numpy(labels).to(self.accelerator.device)
        while True:
            try:
                with self._dropout_stream(step):
                    sums = self._backward(inputs_BxL, labels_BxL)
                break
            except torch.OutOfMemoryError:
                if self.micro_rows == 1 or self.accelerator.num_processes > 1:
                    raise
            self.drop_gradients()
            self.micro_rows = (min(self.micro_rows, len(inputs_BxL)) + 1) // 2
        if self.accelerator.num_processes > 1:
            sums = self.accelerator.reduce(sums, "sum")
        return sums

    def _backward(self, inputs_BxL: torch.Tensor, labels_BxL: torch.Tensor) -> torch.Tensor:
        """Add up this process's micro-batches; its share of mean loss and divergence, in nats."""
        share = torch.zeros(2, device=inputs_BxL.device)
        processes = self.accelerator.num_processes
        for begin in range(0, len(inputs_BxL), self.micro_rows):
            end = begin + self.micro_rows
            # Pieces of gradients are added up at once: whole ones are what does not fit.
            wait = end < len(inputs_BxL) and processes > 1 and not self.shards
            with self.accelerator.no_sync(self.wrapped) if wait else contextlib.nullcontext():
                terms = self._terms_nats(inputs_BxL[begin:end], labels_BxL[begin:end])
                terms = terms / self.recipe.tokens_per_step
                self.scaler.scale(self._mixed(terms) * processes).backward()
            share += terms.detach()
        return share

    def _terms_nats(self, inputs_BxL: torch.Tensor, labels_BxL: torch.Tensor) -> torch.Tensor:
        """Sums over tokens of the cross-entropy and of the divergence from the teacher, (2,)."""
        with self._autocast():
            logits = self.wrapped(input_ids=inputs_BxL, use_cache=False).logits
        logits_NxV = logits.float().flatten(0, 1)
        nll = F.cross_entropy(logits_NxV, labels_BxL.reshape(-1), reduction="sum")
        if self.teacher is None:
            return torch.stack([nll, torch.zeros_like(nll)])
        with self._autocast():
            taught = self.teacher.logits(inputs_BxL)
        return torch.stack([nll, self.teacher.divergence_nats(logits_NxV, taught.flatten(0, 1))])

    def _mixed(self, terms: torch.Tensor) -> torch.Tensor:
        """The loss that is descended."""
        if self.teacher is None:
            return terms[0]
        weight, temperature = self.teacher.weight, self.teacher.temperature
        return (1 - weight) * terms[0] + weight * temperature**2 * terms[1]

    def _autocast(self) -> contextlib.AbstractContextManager[None]:
        return torch.autocast(
            self.accelerator.device.type,
            dtype=AUTOCAST_TYPES[self.recipe.precision],
            enabled=self.recipe.precision != "float32",
        )

    @contextlib.contextmanager
    def _dropout_stream(self, step: int) -> Iterator[None]:
        """Dropout can only draw from torch's global generator: lend it a stream of this step's.

        The stream is (seed, "dropout", step, process), so that a resumed run draws the same masks;
        the caller's generator comes back untouched.
        """
        device = self.accelerator.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            rank = self.accelerator.process_index
            torch.manual_seed(stream_seed(self.seed, "dropout", step, rank))
            yield


def _shards(
    model: nn.Module, recipe: TrainingRecipe, rows: int, accelerator: "Accelerator"
) -> Shards | None:
    """The model in pieces, where that is asked for."""
    if not is_asked_for(accelerator):
        return None
    processes = accelerator.num_processes
    if recipe.precision == "fp16":
        raise BadParameter("precision=fp16 cannot train a model in pieces: choose bf16 or float32")
    if rows % processes:
        raise BadParameter(
            f"{rows} sequences a step cannot be shared evenly by {processes} processes, as a model "
            "in pieces needs: change tokens_per_step"
        )
    return Shards(model, accelerator)


def _check_weights(model: nn.Module) -> torch.device:
    """The device of the weights, after checking that they can be trained."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise BadModel("the model has no trainable weights: all have requires_grad=False")
    for parameter in trainable:
        if parameter.dtype != torch.float32:
            raise BadModel(
                f"the weights are {parameter.dtype}: training keeps float32 weights, so load the "
                "model with dtype=torch.float32 and choose the precision in the recipe"
            )
    return trainable[0].device
