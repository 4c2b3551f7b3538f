"""Coherence and MAUVE, on the features of the corpus's judge."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from collapse.numerics.coherence import neighbour_cosines
from collapse.numerics.mauve import LEAST_TEXTS, human_ceiling, lacking, mauve
from collapse.numerics.streams import numpy_stream
from collapse.parameters.doors import Quality
from collapse.probes.judge import (
    Judge,
    SentenceFeatures,
    load_judge,
    reads_as_prose,
    sentence_features,
    shuffle_sentences,
    split_sentences,
    text_features,
)
from collapse.stages.device import choose_device
from collapse.stages.judge import CHECKPOINT
from collapse.stages.quality.measures import Measures
from collapse.stages.workspace import Workspace

LOG = logging.getLogger(__name__)

Floats = NDArray[np.float64]

COHERENCE_TEXTS = 1000
"""Texts of either side whose sentences are judged; with fewer only large losses show."""


def measure_judged(
    measures: Measures,
    parameters: Quality,
    workspace: Workspace,
    human: Sequence[str],
    samples: Sequence[str],
) -> None:
    """What the corpus's judge, or the one that the parameters name, says of the samples.

    Args:
        measures: is added to.
        parameters: name the judge.
        workspace: where the judge of the corpus lies.
        human: held-out texts.
        samples: of the generation; those without a character have no coherence.
    """
    if parameters.judge == "none":
        return
    own = workspace.inputs.judge
    name = str(own / CHECKPOINT) if own else parameters.judge
    if own and not (own / CHECKPOINT).is_dir():
        for metric in ("quality/coherence", "quality/mauve"):
            measures.left_out[metric] = "the corpus is too small to have a judge"
        return
    judge = load_judge(name, device=choose_device(parameters.device))
    seed = parameters.study_seed
    spoken = [text for text in samples[:COHERENCE_TEXTS] if text.strip()]
    _keep(measures, judge_coherence(judge, human[:COHERENCE_TEXTS], spoken, seed=seed))
    # A model that falls silent has to be seen: empty samples count here.
    _keep(measures, judge_mauve(judge, human, samples, seed=seed))


@cache
def _say_once(reason: str) -> None:
    """A study asks at every generation; a process says it at the first."""
    LOG.warning("quality/mauve is not measured: %s, then rerun=true", reason)


@contextmanager
def _quiet_faiss() -> Iterator[None]:
    """Hide what faiss says of small clusters past Python, on the process's error stream."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _keep(measures: Measures, judgement: "Judgement") -> None:
    measures.add(judgement.values)
    for name, values_S in judgement.by_text.items():
        measures.mean(name, values_S)
    measures.left_out |= judgement.left_out


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a judge says of a set of samples beside human text.

    Attributes:
        values: by name of the metric; only what was measured.
        by_text: for means over samples, the values of the single samples, from which intervals
            come; samples of which there is none are left out.
        left_out: why something was not measured, by name of the metric.
    """

    values: dict[str, float] = field(default_factory=dict)
    by_text: dict[str, Floats] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def judge_coherence(
    judge: Judge, human: Sequence[str], samples: Sequence[str], *, seed: int
) -> Judgement:
    """Semantic coherence between neighbouring sentences, of samples and of human text.

    The centre of human sentences is taken off (see ``numerics.coherence``). What a judge carries
    over from any sentence to any next one counts as coherence, too, and so does the sameness of a
    set whose sentences are all alike; therefore the same is measured on the same sentences shuffled
    between all texts of the set, and the difference is reported.

    Args:
        judge: whose features.
        human: texts that the judge was not trained on.
        samples: of the model that is judged.
        seed: the study's, of the shuffling.

    Returns:
        ``quality/coherence``, ``_shuffled`` and ``_excess`` (the difference, text by text); each
        with ``_human`` beside it. Nothing where the human text is no prose, or no sample has two
        sentences.
    """
    if not reads_as_prose(human):
        return _without("quality/coherence", "the human text is no prose to be cut into sentences")
    human_sentences = [split_sentences(text) for text in human]
    sentences = [split_sentences(text) for text in samples]
    for whose, texts in (("human text", human_sentences), ("sample", sentences)):
        if not any(len(text) > 1 for text in texts):
            return _without("quality/coherence", f"no {whose} has two sentences")
    human_orders = _orders_of_human(judge, human_sentences, seed)
    centre_D = human_orders[0].features_SxD.mean(axis=0, dtype=np.float64)
    by_text = _coherences(_both_orders(judge, sentences, seed), centre_D)
    of_human = _coherences(human_orders, centre_D)
    means = by_text | {f"{name}_human": one for name, one in of_human.items()}
    return Judgement({name: float(one.mean()) for name, one in means.items()}, by_text)


_HUMAN_ORDERS: dict[tuple[str, int, int], list[SentenceFeatures]] = {}


def _orders_of_human(judge: Judge, texts: list[list[str]], seed: int) -> list[SentenceFeatures]:
    """Those of human text, which is the same at every look of a study: a process reads it once.

    The features are kept and not the judge, which may be large.
    """
    key = (judge.name, hash(tuple(map(tuple, texts))), seed)
    if key not in _HUMAN_ORDERS:
        _HUMAN_ORDERS.clear()
        _HUMAN_ORDERS[key] = _both_orders(judge, texts, seed)
    return _HUMAN_ORDERS[key]


def _both_orders(judge: Judge, texts: list[list[str]], seed: int) -> list[SentenceFeatures]:
    """Features of the sentences in their own order and shuffled between all texts."""
    shuffled = shuffle_sentences(texts, numpy_stream(seed, "shuffled sentences"))
    return [sentence_features(judge, one) for one in (texts, shuffled)]


def _coherences(orders: Sequence[SentenceFeatures], centre_D: Floats) -> dict[str, Floats]:
    """For each text of two sentences or more: its own order, the shuffled one, the difference."""
    own_T, other_T = (
        neighbour_cosines(one.features_SxD, one.sentences_P, one.text_P, one.texts, centre_D)
        for one in orders
    )
    found_T = np.isfinite(own_T)
    return {
        "quality/coherence": own_T[found_T],
        "quality/coherence_shuffled": other_T[found_T],
        "quality/coherence_excess": (own_T - other_T)[found_T],
    }


def judge_mauve(
    judge: Judge, human: Sequence[str], samples: Sequence[str], *, seed: int
) -> Judgement:
    """MAUVE of the samples, and of human text against human text at the same number of texts.

    Args:
        judge: whose features.
        human: texts that the judge was not trained on. The first of them, as many as there are
            samples, are what samples are compared with; the ceiling takes two halves of all.
        samples: 1,000 or more, else nothing is measured.
        seed: the study's: clusters and halves are the same ones for all generations.

    Returns:
        ``quality/mauve`` and ``quality/mauve_human``, or why not.
    """
    texts = min(len(human), len(samples))
    if texts < LEAST_TEXTS:  # said before features are made in vain
        return _without("quality/mauve", f"{texts} texts a side, and {LEAST_TEXTS} are needed")
    if reason := lacking():
        _say_once(reason)
        return _without("quality/mauve", reason)
    human_NxD, samples_NxD = text_features(judge, human), text_features(judge, samples)
    with _quiet_faiss():
        scores = {
            "quality/mauve": mauve(human_NxD, samples_NxD, seed=seed),
            "quality/mauve_human": human_ceiling(human_NxD, seed=seed, texts=texts),
        }
    values = {name: one.score for name, one in scores.items() if one.score is not None}
    return Judgement(values, left_out={n: one.reason for n, one in scores.items() if one.reason})


def _without(name: str, reason: str) -> Judgement:
    return Judgement(left_out={name: reason})
