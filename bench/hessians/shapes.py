"""The models and batches that curvature is measured on: weights trained 100 steps, one fixed batch.

Trained once and kept under build/bench, with the batch, so that all processes and all peers look at
the same numbers. Needs torch, transformers, safetensors and numpy alone once that file is there.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from collapse.language.model.decoder import DecoderForCausalLM
from collapse.language.presets import load_preset, parameter_count

FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench"
STEPS = 100
SEED = 0
VOCABULARY = 1024  # of the tokenizer; ids that a larger model has beside it never occur
STORIES = 12_000


@dataclass(frozen=True)
class Shape:
    """A model's shape and the batch it is looked at with.

    Attributes:
        preset: of `collapse.language.presets`.
        overrides: its changes.
        rows: of the probe batch, and of each training step.
        row_tokens: tokens of a row; all but the first are predicted.
        learning_rate: of AdamW.
        precision: of the training alone; curvature is float32.
    """

    preset: str
    overrides: dict[str, int] = field(default_factory=dict)
    rows: int = 16
    row_tokens: int = 128
    learning_rate: float = 3e-3
    precision: str = "float32"


SHAPES = {
    "tiny": Shape(
        "pocket", {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}, 4, 64
    ),
    "5m": Shape(
        "pocket",
        {
            "hidden_size": 256,
            "num_hidden_layers": 6,
            "intermediate_size": 1024,
            "num_attention_heads": 8,
        },
    ),
    "102m": Shape("llama-102m", rows=4, learning_rate=6e-4, precision="bf16"),
}


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        model: float32, in evaluation mode.
        input_ids_BxT: the probe batch, held out from training.
        digest: of weights and batch.
    """

    model: DecoderForCausalLM
    input_ids_BxT: torch.Tensor
    digest: str

    def description(self) -> str:
        rows, tokens = self.input_ids_BxT.shape
        return (
            f"{parameter_count(self.model):,} parameters, {STEPS} steps, "
            f"batch {rows} x {tokens} tokens, digest {self.digest}"
        )


def subject(name: str, device: str = "cpu", repeat: int = 1) -> Subject:
    """The trained model and its batch; trained and written where that has not been done yet.

    With `repeat`, the batch that many times over: the same Hessian at that many times the tokens.
    """
    from safetensors.torch import load_file

    path = weights_path(name)
    if not path.exists():
        _train(SHAPES[name], path)
    tensors = load_file(path)
    input_ids_BxT = tensors.pop("input_ids_BxT")
    model = _untrained(SHAPES[name])
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(tensors[key])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return Subject(model.to(device), input_ids_BxT.repeat(repeat, 1).to(device), digest)


def weights_path(name: str) -> Path:
    """Where a shape's weights are kept; what they are made of is in the name."""
    recipe = json.dumps([asdict(SHAPES[name]), STEPS, SEED, VOCABULARY, STORIES], sort_keys=True)
    return FOLDER / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}.safetensors"


def _untrained(shape: Shape) -> DecoderForCausalLM:
    return load_preset(shape.preset, seed=SEED, **shape.overrides)


def _train(shape: Shape, path: Path) -> None:
    import numpy as np
    from safetensors.torch import save_file

    from collapse.language.corpora.stories import world
    from collapse.language.packing import pack
    from collapse.language.tokenizer import encode_documents, train_tokenizer
    from collapse.language.training import TrainingRecipe, train

    texts = world("stories").sample(STORIES, np.random.default_rng(SEED))
    tokenizer = train_tokenizer(texts, kind="bpe", vocabulary_size=VOCABULARY)
    held_out = STORIES // 10
    packed = [
        pack(encode_documents(tokenizer, some), eos_token_id=0, token_budget=None)
        for some in (texts[held_out:], texts[:held_out])
    ]
    model = _untrained(shape)
    recipe = TrainingRecipe(
        steps=STEPS,
        tokens_per_step=shape.rows * shape.row_tokens,
        sequence_length=shape.row_tokens,
        learning_rate=shape.learning_rate,
        warmup_steps=STEPS // 10,
        precision=shape.precision,
    )
    for measurement in train(model, packed[0], recipe, seed=SEED):
        loss = measurement.values["train/loss_nats"]
        print(f"  training {path.stem}: step {measurement.step}, {loss:.3f} nats", flush=True)
    tensors = {key: p.detach().contiguous() for key, p in model.named_parameters()}
    probe = packed[1][: shape.rows * shape.row_tokens].astype(np.int64)
    tensors["input_ids_BxT"] = torch.from_numpy(probe.reshape(shape.rows, shape.row_tokens))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    save_file(tensors, unfinished)
    unfinished.rename(path)
