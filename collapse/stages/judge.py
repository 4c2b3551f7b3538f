"""The stage `judge`: a small model that judges the text of others, trained once for a corpus."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from collapse.errors import BadCorpus
from collapse.language.checkpoint import save_checkpoint
from collapse.language.corpora.splits import JUDGE
from collapse.language.packing import pack
from collapse.language.presets import load_preset
from collapse.language.tokenizer import encode_documents, train_tokenizer
from collapse.language.training import TrainingRecipe, train
from collapse.measurement import Measurement
from collapse.numerics.streams import stream_seed
from collapse.parameters.doors import Judge
from collapse.stages.device import choose_device
from collapse.stages.generation import open_ground
from collapse.stages.workspace import Advance, Workspace, by_increments

CHECKPOINT = "judge"
"""The folder with its weights and tokenizer; not there where the corpus is too small."""
PRESET = "pocket"
TOKENS_PER_STEP = 2048
SEQUENCE_LENGTH = 256
"""The whole context of the preset: a judge reads texts in windows of nearly that length."""
MOST_EPOCHS = 10
"""A small text is not gone through more often, whatever the number of steps."""
MOST_CHARACTERS = 4_000_000
"""Of the texts the first are taken, up to so many characters: about a million tokens."""


@dataclass(frozen=True)
class JudgeCard:
    """How a judge was made.

    Attributes:
        digest: of the checkpoint's files.
        documents: texts it was trained on.
        tokens: of these texts, in its own vocabulary.
        steps: optimizer steps.
        loss_nats: per token, mean over the last fortieth of the training.
    """

    digest: str
    documents: int
    tokens: int
    steps: int
    loss_nats: float


def judge(parameters: Judge, workspace: Workspace) -> Iterator[Measurement]:
    """Train the judge of the prepared corpus on its split `judge`, which no chain reads.

    Yields:
        One measurement at step 0; none where the split holds too little text to learn from.
    """
    texts = open_ground(workspace).human.heldout(JUDGE)
    with workspace.progress("training the judge", parameters.judge_steps) as advance:
        try:
            card = train_judge(
                texts,
                workspace.folder / CHECKPOINT,
                seed=parameters.study_seed,
                steps=parameters.judge_steps,
                vocabulary_size=parameters.judge_vocabulary,
                device=choose_device(parameters.device),
                state_folder=workspace.state / "judge",
                advance=advance,
            )
        except BadCorpus as error:
            (workspace.folder / "no_judge.txt").write_text(f"{error}\n", encoding="utf-8")
            return
    (workspace.folder / "judge.json").write_text(json.dumps(asdict(card), indent=2))
    yield Measurement(0, {"judge/loss_nats": card.loss_nats, "judge/tokens": card.tokens})


def train_judge(
    texts: Sequence[str],
    folder: Path,
    *,
    seed: int,
    steps: int,
    vocabulary_size: int,
    device: torch.device | str = "cpu",
    state_folder: Path | None = None,
    advance: Advance | None = None,
) -> JudgeCard:
    """Train the default judge: a pocket model with a byte-level BPE of its own.

    Tokenizer, first weights and order of the data follow from the seed, so that the same texts give
    the same judge on the same kind of machine. It shares nothing with any arm: models with other
    vocabularies are judged by the same features.

    Args:
        texts: human text that no chain trains on or is measured on; the first of it, up to
            ``MOST_CHARACTERS``.
        folder: new or empty; becomes a checkpoint with weights and tokenizer.
        seed: the study's.
        steps: optimizer steps at most; fewer where the text would be gone through more than
            ``MOST_EPOCHS`` times.
        vocabulary_size: entries of its tokenizer.
        device: where it is trained.
        state_folder: scratch for states to resume from.
        advance: told the steps as they are done.

    Raises:
        BadCorpus: too little text for the tokenizer, or for one sequence.
    """
    read = _first(texts)
    tokenizer = train_tokenizer(read, kind="bpe", vocabulary_size=vocabulary_size)
    ids = encode_documents(tokenizer, read)
    stream = pack(ids, eos_token_id=tokenizer.eos_token_id, token_budget=None)
    recipe = _recipe(min(steps, max(1, MOST_EPOCHS * len(stream) // TOKENS_PER_STEP)))
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    model = load_preset(
        PRESET,
        seed=stream_seed(seed, "judge", "initialisation"),
        vocab_size=len(tokenizer),
        **{name: getattr(tokenizer, name) for name in names},
    ).to(device)
    last: dict[str, float] = {}
    for measurement in train(
        model,
        stream,
        recipe,
        seed=stream_seed(seed, "judge", "training"),
        state_folder=state_folder,
        progress=by_increments(advance) if advance else None,
    ):
        last |= measurement.values
    digest = save_checkpoint(model, tokenizer, folder)
    return JudgeCard(digest, len(read), len(stream), recipe.steps, last["train/loss_nats"])


def _first(texts: Sequence[str]) -> Sequence[str]:
    characters = 0
    for count, text in enumerate(texts):
        characters += len(text)
        if characters >= MOST_CHARACTERS:
            return texts[: count + 1]
    return texts


def _recipe(steps: int) -> TrainingRecipe:
    return TrainingRecipe(
        steps=steps,
        tokens_per_step=TOKENS_PER_STEP,
        sequence_length=SEQUENCE_LENGTH,
        optimizer="muon",
        learning_rate=6e-3,
        muon_learning_rate=0.02,
        warmup_steps=min(20, steps // 10),
        schedule="linear",
        checkpoint_every=100,
    )
