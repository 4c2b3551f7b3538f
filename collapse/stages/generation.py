"""Training one generation, the same for the first and for all that follow."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from collapse.errors import BadModel, BadParameter
from collapse.language.checkpoint import save_checkpoint
from collapse.language.corpora.human_text import HumanText
from collapse.language.packing import pack
from collapse.language.presets import (
    body_parameter_count,
    load_preset,
    parameter_count,
    preset_names,
)
from collapse.language.pretrained import load_model
from collapse.language.tokenizer import encode_documents, load_tokenizer
from collapse.language.training import Teacher
from collapse.measurement import Measurement
from collapse.numerics.sharing import place
from collapse.numerics.streams import stream_seed
from collapse.parameters.doors import Baseline, RecurseStep
from collapse.parameters.overrides import read_overrides
from collapse.probes.causality import LEAK_LOGITS, causality_violation
from collapse.stages.arms import Portion, ledger
from collapse.stages.device import choose_device
from collapse.stages.learning import choose_learning
from collapse.stages.schedule import PlannedPoint, hand_over
from collapse.stages.texts import note_of, write_texts
from collapse.stages.workspace import Workspace

TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
LEAK_TOKENS = 16
"""Length of the sequence by which a trained model is asked whether it sees tokens to come."""
VALIDATION_DOCUMENTS = 200
"""Enough to see training go, cheap to look at."""
OWN_DOCUMENTS = 500
"""Documents of a generation's training text that are kept as a sample of it."""


@dataclass(frozen=True)
class Ground:
    """What the study prepared, opened."""

    human: HumanText
    tokenizer: Any
    tokens_per_document: float

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts, without the token that ends a document.

        Where a model has a start token of its own (Llama, Gemma), a document begins with it; with
        our tokenizers, and GPT-2's, the end of the document before is the start of the next.
        """
        start = [] if self.start_id == self.end_id else [self.start_id]
        return [start + ids for ids in self.encode_plain(texts)]

    def encode_plain(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts alone, as of pieces out of a document."""
        return encode_documents(self.tokenizer, texts)

    def decode(self, documents: Sequence[Sequence[int]]) -> list[str]:
        """Texts of token ids, character for character, without special tokens."""
        return list(
            self.tokenizer.batch_decode(
                documents, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def sequences(self, texts: Sequence[str]) -> list[list[int]]:
        """Whole documents from their start token to their end token."""
        start = [self.start_id] if self.start_id == self.end_id else []
        return [[*start, *ids, self.end_id] for ids in self.encode(texts)]

    @property
    def end_id(self) -> int:
        """The token that ends a document, and stands between two of them."""
        return self.tokenizer.eos_token_id

    @property
    def start_id(self) -> int:
        """The token that a document starts from."""
        return self.tokenizer.bos_token_id

    def budget(self, documents: int) -> int:
        """Tokens that so many human documents hold on average: equal for all arms."""
        return round(documents * self.tokens_per_document)


def open_ground(workspace: Workspace) -> Ground:
    """Open what the stage `prepare` left."""
    prepared = workspace.inputs.prepared
    if prepared is None:
        raise AssertionError("this stage needs what prepare leaves")
    measured = json.loads((prepared / "budget.json").read_text())
    return Ground(
        human=HumanText.open(prepared / "corpus"),
        tokenizer=load_tokenizer(str(prepared / "tokenizer")),
        tokens_per_document=measured["corpus/tokens_per_document"],
    )


def initial_model(parameters: Baseline | RecurseStep, tokenizer: Any, generation: int) -> Any:
    """The weights that a generation starts from when it does not start from its parent.

    Raises:
        BadModel: no such preset or model, or the tokenizer does not fit it.
    """
    if parameters.preset not in preset_names():
        model = load_model(parameters.preset, device=choose_device(parameters.device))
        if len(tokenizer) > model.config.vocab_size:
            raise BadModel(
                f"the tokenizer has {len(tokenizer)} entries, {parameters.preset} only "
                f"{model.config.vocab_size}: give the model's own by tokenizer=PATH"
            )
        return model
    # With the ids in its configuration, a version that is served stops where a text ends.
    ids = {name: getattr(tokenizer, name) for name in TOKEN_IDS}
    overrides = read_overrides(parameters.preset_overrides)
    model = load_preset(
        parameters.preset,
        seed=stream_seed(parameters.seed, "initialisation", generation),
        **({"vocab_size": len(tokenizer)} | ids | overrides),
    )
    if model.config.vocab_size < len(tokenizer):
        raise BadModel(
            f"preset_overrides asks for a vocabulary of {model.config.vocab_size}, and the "
            f"tokenizer has {len(tokenizer)} entries: leave vocab_size out"
        )
    # Initialised on the processor, so that the first weights are the same on every device.
    return model.to(choose_device(parameters.device))


def load_input(workspace: Workspace, device: str) -> Any:
    """The model of the newest generation that a stage stands on."""
    checkpoint = workspace.inputs.checkpoint
    if checkpoint is None:
        raise AssertionError("this stage needs a checkpoint")
    return load_model(checkpoint.model, device=choose_device(device))


def train_generation(
    parameters: Baseline | RecurseStep,
    workspace: Workspace,
    ground: Ground,
    model: Any,
    portions: Sequence[Portion],
    *,
    steps: int,
    learning_rate_scale: float = 1.0,
    teacher: Teacher | None = None,
    schedule: Sequence[PlannedPoint] = (),
) -> Iterator[Measurement]:
    """Train on the portions, and leave the checkpoint, the texts, the ledger and a summary.

    Args:
        parameters: of the stage.
        workspace: where it reads and writes.
        ground: what the study prepared.
        model: trained in place.
        portions: the text.
        steps: optimizer steps.
        learning_rate_scale: what the peak learning rates are multiplied by.
        teacher: a model whose distributions count beside the text.
        schedule: points at which the weights are kept on the way.

    Yields:
        The measurements of training, at optimizer steps.
    """
    _require_context(model, parameters.sequence_length)
    learning = choose_learning(
        parameters,
        tokens_offered=sum(portion.tokens for portion in portions),
        steps=steps,
        learning_rate_scale=learning_rate_scale,
        teacher=teacher,
        schedule=schedule,
    )
    stream = _pack(ground, portions)
    accounts = ledger(portions, learning.tokens_seen)
    if len(stream) != accounts["tokens_offered"]:
        raise AssertionError(f"packed {len(stream)} tokens, not {accounts['tokens_offered']}")
    _write_texts(workspace, portions, accounts)

    last: dict[str, float] = {}
    for measurement in learning.learn(
        model,
        stream,
        tokenizer=ground.tokenizer,
        validation=_validation(ground),
        workspace=workspace,
    ):
        last |= measurement.values
        yield measurement
    summary: dict[str, Any] = {
        "generation": parameters.generation,
        "parameters": parameter_count(model),
        "body_parameters": body_parameter_count(model),
        "recipe": learning.describe(),
        "ledger": accounts,
        "text_complexity": _complexity(ground, portions),
        "flops": learning.flops(model),
        "future_leak_logits": _future_leak(model, ground, parameters),
        "last": last,
    }
    _write_json(workspace, "training_summary.json", summary)
    save_checkpoint(model, ground.tokenizer, workspace.folder / "checkpoint")
    if schedule and place()[0] == 0:  # only the first process keeps weights on the way
        hand_over(schedule, workspace.state, workspace.folder)
    yield Measurement(
        learning.steps,
        {
            "train/parameters": summary["parameters"],
            "train/body_parameters": summary["body_parameters"],
            "train/flops": summary["flops"],
            "train/future_leak_logits": summary["future_leak_logits"],
            "train/sees_future": float(summary["future_leak_logits"] > LEAK_LOGITS),
            "text/tokens_offered": accounts["tokens_offered"],
            "text/distinct_documents": accounts["distinct_documents"],
            "text/complexity": summary["text_complexity"],
        },
    )


def _require_context(model: Any, sequence_length: int) -> None:
    context = getattr(model.config, "max_position_embeddings", None)
    if context is not None and sequence_length > context:
        raise BadParameter(
            f"sequence_length={sequence_length} is longer than the model's context of {context} "
            "tokens: lower it, or raise max_position_embeddings by preset_overrides"
        )


def _pack(ground: Ground, portions: Sequence[Portion]) -> np.ndarray:
    parts = [
        pack(portion.token_ids, eos_token_id=ground.end_id, token_budget=portion.tokens)
        for portion in portions
    ]
    return np.concatenate(parts)


def _future_leak(model: Any, ground: Ground, parameters: Baseline | RecurseStep) -> float:
    """How far a logit moves when a token after it changes: whether to believe any likelihood."""
    context = getattr(model.config, "max_position_embeddings", None) or LEAK_TOKENS
    length = min(LEAK_TOKENS, context)
    seed = stream_seed(parameters.seed, "leak", parameters.generation)
    return causality_violation(model, len(ground.tokenizer), length, seed)


def _complexity(ground: Ground, portions: Sequence[Portion]) -> float:
    """Mean score of the documents that are trained on, on the scale of the study's corpus."""
    scale = ground.human.scale
    return fmean(scale.score(text) for portion in portions for text in portion.texts)


def _validation(ground: Ground) -> np.ndarray:
    """A small part of the validation text, packed."""
    texts = ground.human.heldout("validation")[:VALIDATION_DOCUMENTS]
    return pack(ground.encode(texts), eos_token_id=ground.end_id, token_budget=None)


def _write_texts(
    workspace: Workspace, portions: Sequence[Portion], accounts: dict[str, Any]
) -> None:
    """Keep the text that is new here, a sample of all that is trained on, and the ledger."""
    texts = [text for portion in portions for text in portion.texts]
    evenly = np.linspace(0, len(texts) - 1, min(len(texts), OWN_DOCUMENTS)).astype(int)
    write_texts([texts[i] for i in evenly], workspace.folder / "own_text")
    for portion in portions:
        workspace.datasets.append(note_of(portion.texts, portion.source, "training", ""))
        if portion.source == "human_fresh":
            write_texts(portion.texts, workspace.folder / "human_text")
    _write_json(workspace, "ledger.json", accounts)


def _write_json(workspace: Workspace, name: str, content: object) -> None:
    (workspace.folder / name).write_text(json.dumps(content, indent=2))
