"""How much work a step is: counts for a person, and the amount that its seconds grow with. Pure."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from collapse.language.code_prompts import CODE_PROMPTS
from collapse.language.corpora.splits import HELDOUT_SPLITS
from collapse.language.presets import (
    load_preset,
    parameter_count,
    preset_names,
    preset_settings,
)
from collapse.language.task_rows import EMBEDDED_ITEMS, chosen_tasks, is_embedded
from collapse.parameters.fields import numbers
from collapse.parameters.overrides import read_overrides
from collapse.stages.generation import VALIDATION_DOCUMENTS
from collapse.stages.hessian import LEAST_STEPS
from collapse.stages.judge import MOST_EPOCHS, TOKENS_PER_STEP
from collapse.stages.plan import Step
from collapse.stages.surgery import RANDOM_BASES

TRAININGS = ("baseline", "recurse_step")
WRITES_WEIGHTS = (*TRAININGS, "judge")
CERTIFIED_AFTER = 0.15
"""Of the Lanczos steps between the fewest and the most, as many were taken on average: 28 spectra
of quickstart took 62 to 76 products with a mean of 65, where 62 was the least and 82 the most."""
FORWARD_SHARE = 1 / 3
"""A look at the loss costs a third of training on as many tokens: there is no way back."""


@dataclass(frozen=True)
class Counts:
    """Work in numbers that a person knows.

    Attributes:
        trained_tokens: tokens of all optimizer steps.
        sampled_tokens: tokens that models write.
        products: products with a Hessian.
        items: questions asked.
        checkpoints: weights that are kept.
    """

    trained_tokens: float = 0.0
    sampled_tokens: float = 0.0
    products: float = 0.0
    items: int = 0
    checkpoints: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """The work of both."""
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))


def counts(step: Step, tokens_per_document: float) -> Counts:
    """The work of a step.

    Args:
        step: of a plan.
        tokens_per_document: of the study's human text, in its tokenizer.
    """
    p, stage = step.parameters, step.stage
    return Counts(
        trained_tokens=_step_tokens(step, tokens_per_document),
        sampled_tokens=sampled_tokens(step, tokens_per_document),
        products=(products(p) + layer_products(p)) * texts(p) if stage == "hessian" else 0.0,
        items=items(p) if stage == "benchmark" else 0,
        checkpoints=1 + looks_on_the_way(p) if stage in WRITES_WEIGHTS else 0,
    )


def model_size(step: Step) -> float:
    """Parameters of a step's model; 1 for one that is not built from a preset."""
    p = step.parameters
    if getattr(p, "preset", None) not in preset_names():
        return 1.0
    return _preset_size(p.preset, p.preset_overrides, p.vocabulary_size if _trains_bpe(p) else 0)


def _trains_bpe(p: Any) -> bool:
    return bool(p.tokenizer == "bpe")


@functools.cache
def _preset_size(preset: str, overrides: str, vocabulary: int) -> float:
    entries = {"vocab_size": vocabulary} if vocabulary else {}
    model = load_preset(preset, device="meta", **(entries | read_overrides(overrides)))
    return float(parameter_count(model))


def _step_tokens(step: Step, tokens_per_document: float) -> float:
    """Tokens of all optimizer steps."""
    p = step.parameters
    if step.stage == "judge":
        return judge_steps(p, tokens_per_document) * TOKENS_PER_STEP
    return _steps(step) * p.tokens_per_step if step.stage in TRAININGS else 0.0


def _steps(step: Step) -> int:
    return step.parameters.baseline_steps if step.stage == "baseline" else step.parameters.steps


def amount(step: Step, tokens_per_document: float) -> float:
    """What a step's seconds grow with, in units of its stage; other things in its shape equal.

    Args:
        step: of a plan, or shrunk.
        tokens_per_document: of the study's human text, in its tokenizer.
    """
    if step.stage in TRAININGS:
        return _trained_tokens(step.parameters, _steps(step), tokens_per_document)
    if step.stage == "judge":
        return judge_steps(step.parameters, tokens_per_document)
    return _AMOUNTS[step.stage](step.parameters)


def _trained_tokens(p: Any, steps: int, tokens_per_document: float) -> float:
    """Tokens of the steps, and of the looks at the validation text on the way as if trained on."""
    looks = (steps - 1) // p.evaluate_every if p.evaluate_every else 0
    looked_at = VALIDATION_DOCUMENTS * tokens_per_document * FORWARD_SHARE
    return steps * p.tokens_per_step + looks * looked_at


def documents_read(p: Any) -> int:
    """Human documents that `prepare` handles, as far as its parameters say."""
    return p.tokenizer_documents + len(HELDOUT_SPLITS) * p.heldout_documents + p.corpus_documents


def human_documents(step: Step) -> float:
    """Human documents that a training reads."""
    p = step.parameters
    if step.stage == "baseline":
        return p.baseline_documents
    return p.documents * (1 - _synthetic_share(p)) if step.stage == "recurse_step" else 0


def sampled_tokens(step: Step, tokens_per_document: float) -> float:
    """Tokens that models write in a step, for a trained model, whose texts end like human ones."""
    p = step.parameters
    if step.stage == "baseline":
        return (p.teacher_text if p.teacher else 0) * p.baseline_documents * tokens_per_document
    if step.stage == "recurse_step":
        thrown_away = 2 if p.keep_texts in {"likely", "unlikely"} else 1
        return _synthetic_share(p) * p.documents * tokens_per_document * thrown_away
    if step.stage == "quality":
        length = min(tokens_per_document, p.max_new_tokens)
        ends = min(max(tokens_per_document - p.prompt_tokens, 0), p.max_new_tokens)
        completed = p.completions_per_prompt * completed_tokens(p)
        return p.samples * length + p.prompts * ends + completed
    return 0.0


def completed_tokens(p: Any) -> int:
    """Tokens of one completion of each Python prompt, where `quality` asks for them."""
    asked = p.completions == "python" or (
        p.completions == "auto" and p.corpus.partition(":")[0] == "python"
    )
    return len(CODE_PROMPTS) * p.completion_tokens if asked else 0


def _synthetic_share(p: Any) -> float:
    """Of a generation's new text, what its parent writes."""
    if p.kind == "mixed":
        return p.synthetic_fraction
    return 0.0 if p.kind in {"fresh", "static"} else 1.0


def judge_steps(p: Any, tokens_per_document: float) -> int:
    """Optimizer steps of the corpus's judge; a small text is not read more than ten times."""
    tokens = p.heldout_documents * tokens_per_document
    return min(p.judge_steps, max(1, int(MOST_EPOCHS * tokens / TOKENS_PER_STEP)))


def texts(p: Any) -> int:
    """Kinds of text that a spectrum is taken on."""
    return len(p.probe_texts.split(","))


def products(p: Any, *, certified_after: float = CERTIFIED_AFTER) -> float:
    """Products with the Hessian of one text that a spectrum takes.

    Args:
        p: of the stage `hessian`.
        certified_after: where between the fewest and the most Lanczos steps the eigenvalues are
            certified: 0 to 1.
    """
    first = LEAST_STEPS + certified_after * (p.lanczos_steps - LEAST_STEPS)
    if p.mode == "quick":
        return first
    over_data = p.outliers + 2 + p.probe_vectors if p.probe_parts > 1 else 0
    return first + (p.probe_vectors - 1) * p.density_steps + over_data


def layer_products(p: Any) -> float:
    """Products with the layers' own blocks, of one text."""
    if not p.layer_spectra or p.preset not in preset_names():
        return 0.0
    settings = preset_settings(p.preset, **read_overrides(p.preset_overrides))
    # The embedding and the last norm are blocks, too.
    return (settings["num_hidden_layers"] + 2) * LEAST_STEPS


def items(p: Any) -> int:
    """Questions that a benchmark asks, of all weights that it looks at."""
    of_a_task = min(p.limit, EMBEDDED_ITEMS) if is_embedded(p.task_data) else p.limit
    # The hub's own sets are larger than ours: without a limit this is too little for them.
    return len(chosen_tasks(p.tasks)) * (of_a_task or EMBEDDED_ITEMS) * (1 + looks_on_the_way(p))


def looks_on_the_way(p: Any) -> int:
    """Weights that generation 0 keeps on the way, which probes of generation 0 look at."""
    return 0 if getattr(p, "generation", 1) else len(numbers(p.checkpoint_tokens))


def losses_after_pruning(p: Any) -> int:
    """Losses that `surgery` measures."""
    orders = 2 + RANDOM_BASES * p.random_draws
    return orders * len({0.0, *numbers(p.prune_percents)})


_AMOUNTS: dict[str, Callable[[Any], float]] = {
    "prepare": documents_read,
    "quality": lambda p: p.samples,
    "hessian": lambda p: (products(p) + layer_products(p)) * texts(p) * p.probe_tokens,
    "svd_probe": lambda p: 1 + looks_on_the_way(p),
    "surgery": losses_after_pruning,
    "mechanism": lambda p: 1 + p.landscape_points**2,
    "benchmark": items,
}
"""By stage, of its parameters: documents, samples, tokens in products, sets of weights, losses,
points of the plane, questions."""
