"""What the parts of a step cost beside each other, before any of them was timed here. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from collapse.execution import work
from collapse.execution.progress import Told
from collapse.stages.hessian import LEAST_STEPS
from collapse.stages.judge import TOKENS_PER_STEP
from collapse.stages.plan import Step

TEXT_TOKENS = 70.0
"""Of a document, before its corpus is known."""
JUDGE_BODY, JUDGE_WIDTH = 393_856, 128
"""Parameters of the corpus's judge without its vocabulary, and of each entry of that."""


@dataclass(frozen=True)
class Part:
    """A part of a step.

    Attributes:
        kind: the first word of what its stage tells of it, or whose rest it is.
        cost: seconds on one core of an EPYC with AVX-512, where these were measured.
        times: that the stage tells of such a part.
        of_model: whether the time goes with the model's size.
    """

    kind: str
    cost: float
    times: int = 1
    of_model: bool = True

    def of(self, told: Iterable[Told]) -> list[Told]:
        """What was told of this part."""
        return [one for one in told if one.what.split()[0].rstrip(",") == self.kind]


def parts_of(step: Step) -> tuple[Part, ...]:
    """The parts of a step; the last is all that its stage tells nothing of."""
    p = step.parameters
    rest = Part(f"rest of {step.stage}", _REST[step.stage](p), of_model=False)
    if step.stage == "prepare":
        return Part("documents", _DOCUMENT * work.documents_read(p), of_model=False), rest
    size = _judge_size(p) if step.stage == "judge" else work.model_size(step)
    # Seconds of training on one token; all else that a model does goes with them.
    token = 9e-6 + 9e-11 * size
    times = _spectra(p) if step.stage == "hessian" else 1
    told = [Part(kind, token * tokens, times) for kind, tokens in _told(step) if tokens]
    return (*told, rest)


def _judge_size(p: Any) -> float:
    return JUDGE_BODY + JUDGE_WIDTH * p.judge_vocabulary


def _told(step: Step) -> Iterator[tuple[str, float]]:
    """What a stage tells of, in tokens on which a model could be trained in the same time."""
    p, stage, amount = step.parameters, step.stage, work.amount(step, TEXT_TOKENS)
    if stage in work.TRAININGS:
        yield "sampling", SAMPLED * work.sampled_tokens(step, TEXT_TOKENS)
        yield "training", amount
    elif stage == "judge":
        yield "training", amount * TOKENS_PER_STEP
    elif stage == "mechanism":
        yield "gradients", (8 + work.FORWARD_SHARE * p.landscape_points**2) * p.probe_tokens
    else:
        kind, tokens = _PROBES[stage](p)
        yield kind, tokens * amount


def _spectra(p: Any) -> int:
    """Spectra that `hessian` takes: of the whole model, and of its blocks where they are asked."""
    return work.texts(p) * (1 + round(work.layer_products(p) / LEAST_STEPS))


SAMPLED = 0.6
_PROBES: dict[str, Callable[[Any], tuple[str, float]]] = {
    "quality": lambda p: ("sampling", SAMPLED * min(TEXT_TOKENS, p.max_new_tokens)),
    "hessian": lambda _: ("spectrum", 2.4),
    "svd_probe": lambda p: ("singular", 0.8 * p.rank_tokens),
    "surgery": lambda p: ("losses", 0.55 * p.surgery_tokens),
    "benchmark": lambda _: ("benchmark", 120.0),
}
"""What a probe tells of, and the tokens for each unit of its amount."""
_DOCUMENT = 3e-5
_REST: dict[str, Callable[[Any], float]] = {
    "prepare": lambda p: 0.5 + _DOCUMENT * p.tokenizer_documents,
    "judge": lambda _: 0.2,
    "baseline": lambda p: 2.0 + _DOCUMENT * p.baseline_documents,
    "recurse_step": lambda p: 0.6 + _DOCUMENT * p.documents,
    "quality": lambda p: 0.6 + (0.005 + 0.008 * p.intervals) * p.samples,
    "hessian": lambda _: 1.0,
    "svd_probe": lambda _: 0.5,
    "surgery": lambda _: 0.5,
    "mechanism": lambda _: 0.5,
    "benchmark": lambda _: 0.6,
}
"""Seconds of all that a stage tells nothing of."""
