"""Tiny models in training, and what they are trained on."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

VOCABULARY, TOKENS = 48, 16


def llama() -> PreTrainedModel:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=32,
        attention_dropout=0.2,
        bos_token_id=0,
        eos_token_id=0,
    )
    return made(LlamaForCausalLM, config)


def gpt2() -> PreTrainedModel:
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=32,
        bos_token_id=0,
        eos_token_id=0,
    )
    return made(GPT2LMHeadModel, config)  # its dropout is 0.1 everywhere


def made(kind: type, config: Any) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(config)


def fixed_batch() -> torch.Tensor:
    return texts(4, 99)


def texts(rows: int, seed: int) -> torch.Tensor:
    """Something to learn: each token is the one before plus 1, 2 or 3."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randint(1, 4, (rows, TOKENS), generator=generator)
    return steps.cumsum(1) % VOCABULARY


def one_token(rows: int) -> torch.Tensor:
    """What a collapsed model writes."""
    return torch.full((rows, TOKENS), 7)


def train(
    model: PreTrainedModel,
    ids: torch.Tensor,
    folder: Path,
    *callbacks: TrainerCallback,
    steps: int,
    resume: Path | None = None,
    **more: Any,
) -> Trainer:
    """A few steps by the real Trainer, rows in their order."""
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": 8,
        "learning_rate": 5e-3,
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_strategy": "no",
        "lr_scheduler_type": "constant",
    }
    arguments = TrainingArguments(**settings | more)
    rows = [{"input_ids": row, "labels": row} for row in ids]
    trainer = Trainer(
        model, arguments, train_dataset=rows, eval_dataset=rows[:8], callbacks=list(callbacks)
    )
    trainer._get_train_sampler = lambda *_: None  # type: ignore[method-assign]
    trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    return trainer
