"""How a model is trained, as one value."""

from dataclasses import dataclass

from collapse.errors import BadParameter

OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("float32", "bf16", "fp16")


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that decides the outcome of training but the model, the text and the seed.

    Attributes:
        steps: optimizer steps.
        tokens_per_step: tokens predicted in one step, over all devices and micro-batches.
        sequence_length: tokens predicted in one sequence; divides tokens_per_step.
        micro_batch: sequences a device processes at once (0 = its whole share of a step); changes
            memory and speed, not the result beyond rounding.
        optimizer: "adamw", or "muon" (Muon for the body's matrices, AdamW for the rest).
        learning_rate: peak rate of AdamW.
        muon_learning_rate: peak rate of Muon.
        weight_decay: decoupled, times the learning rate; on matrices only.
        warmup_steps: steps over which the rates rise linearly.
        schedule: "constant", "linear" or "cosine": what follows the warmup.
        decay_fraction: the last part of training in which the rates fall (1 = all after warmup).
        final_learning_rate_fraction: where the fall ends, as a fraction of the peak.
        clip_norm: the global gradient norm is cut to this; 0 = not clipped.
        precision: "float32", or autocast to "bf16" or "fp16"; the weights stay float32.
        freeze: parts of the names of weights that are not trained, separated by commas.
        evaluate_every: steps between validations (0 = only at the end).
        checkpoint_every: steps between saved states to resume from (0 = never).

    Raises:
        BadParameter: a value is out of range, or tokens_per_step is no multiple of sequence_length.
    """

    steps: int
    tokens_per_step: int
    sequence_length: int
    micro_batch: int = 0
    optimizer: str = "adamw"
    learning_rate: float = 3e-3
    muon_learning_rate: float = 0.02
    weight_decay: float = 0.0
    warmup_steps: int = 0
    schedule: str = "constant"
    decay_fraction: float = 1.0
    final_learning_rate_fraction: float = 0.0
    clip_norm: float = 1.0
    precision: str = "float32"
    freeze: str = ""
    evaluate_every: int = 0
    checkpoint_every: int = 0

    def __post_init__(self) -> None:
        self._check_least("steps", 1)
        self._check_least("tokens_per_step", 1)
        self._check_least("sequence_length", 1)
        for name in ("micro_batch", "warmup_steps", "evaluate_every", "checkpoint_every"):
            self._check_least(name, 0)
        for name in ("learning_rate", "muon_learning_rate", "weight_decay", "clip_norm"):
            self._check_least(name, 0)
        self._check_choice("optimizer", OPTIMIZERS)
        self._check_choice("schedule", SCHEDULES)
        self._check_choice("precision", PRECISIONS)
        for name in ("decay_fraction", "final_learning_rate_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadParameter(f"{name} is {getattr(self, name)}: it must lie between 0 and 1")
        if self.tokens_per_step % self.sequence_length:
            raise BadParameter(
                f"tokens_per_step is {self.tokens_per_step}: it must be a multiple of the "
                f"sequence length {self.sequence_length}"
            )

    @property
    def sequences_per_step(self) -> int:
        """Sequences in one step, over all devices and micro-batches."""
        return self.tokens_per_step // self.sequence_length

    def _check_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if not least <= value < float("inf"):
            raise BadParameter(f"{name} is {value}: it must be a number of at least {least}")

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            raise BadParameter(f"{name} is {value!r}: it must be one of {', '.join(choices)}")
