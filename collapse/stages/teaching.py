"""A teacher of generation 0: text that it writes, distributions that the student is drawn to."""

import json
from dataclasses import dataclass
from typing import Any

from collapse.errors import BadModel
from collapse.language.pretrained import load_model
from collapse.language.tokenizer import load_tokenizer
from collapse.language.training import Teacher
from collapse.numerics.streams import stream_seed
from collapse.parameters.doors import Baseline
from collapse.parameters.groups import Sampling
from collapse.stages.arms import Portion, take
from collapse.stages.device import choose_device
from collapse.stages.generation import Ground
from collapse.stages.synthesis import synthesise
from collapse.stages.texts import texts_digest, write_texts
from collapse.stages.workspace import Workspace

CONTEXT = 1024
"""Tokens of a text by a teacher whose configuration names no longest one."""


@dataclass(frozen=True)
class TeachingModel:
    """A causal language model in evaluation mode, and its tokenizer."""

    model: Any
    tokenizer: Any


def open_teacher(parameters: Baseline, workspace: Workspace) -> TeachingModel | None:
    """The teacher that the parameters name: an arm's generation 0, or a model by path or name.

    Raises:
        BadModel: no such model or tokenizer.
    """
    if not parameters.teacher:
        return None
    of_arm = workspace.inputs.teacher
    model = of_arm.model if of_arm else parameters.teacher
    tokenizer = of_arm.tokenizer if of_arm else parameters.teacher
    return TeachingModel(
        load_model(model, device=choose_device(parameters.device)), load_tokenizer(str(tokenizer))
    )


def distributions(
    parameters: Baseline, teacher: TeachingModel | None, ground: Ground
) -> Teacher | None:
    """The teacher as the training takes it; None where its distributions do not count.

    Raises:
        BadModel: it does not speak the student's tokens.
    """
    if teacher is None or parameters.teacher_weight == 0:
        return None
    if teacher.tokenizer.get_vocab() != ground.tokenizer.get_vocab():
        raise BadModel(
            f"teacher={parameters.teacher} has another vocabulary than its student, which cannot "
            "learn its distributions: teacher_weight=0 takes its text alone"
        )
    return Teacher(teacher.model, parameters.teacher_weight, parameters.teacher_temperature)


def taught_text(
    parameters: Baseline,
    workspace: Workspace,
    ground: Ground,
    teacher: TeachingModel,
    token_budget: int,
) -> Portion:
    """Text that the teacher writes, drawn from its own distribution, and kept with its metadata."""
    context = getattr(teacher.model.config, "max_position_embeddings", None) or CONTEXT
    with workspace.progress("sampling from the teacher", token_budget) as advance:
        written = synthesise(
            teacher.model,
            teacher.tokenizer,
            token_budget=token_budget,
            tokens_per_document=ground.tokens_per_document,
            decodings=[Sampling(max_new_tokens=context - 1)],
            encode=ground.encode,
            seed=stream_seed(parameters.seed, "teacher"),
            advance=advance,
        )
    write_texts(written.texts, workspace.folder / "teacher_text")
    about = written.diagnosis() | {"digest": texts_digest(written.texts)}
    about |= {"teacher": parameters.teacher}
    (workspace.folder / "teacher.json").write_text(json.dumps(about, indent=2))
    return take("teacher", written.texts, token_budget, ground.encode)
