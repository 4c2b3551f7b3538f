"""How much of a reference text a continuation has in common with it, beside what humans share.

BLEU and ROUGE-L were made for translations and summaries, where a reference says what is right. The
continuation of a story may be good and share nothing with the one that its author wrote: so the
score of human texts against other human texts stands beside a model's, and only the two together
say something.

Shapes: S continuations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collapse.errors import BadParameter

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_ORDERS = 4


@dataclass(frozen=True, eq=False)
class Overlap:
    """What S texts share with a reference each.

    Attributes:
        bleu_S: 0 to 100, ``sacrebleu.sentence_bleu`` of each: orders that the text is too short
            for are left out, orders without a match are smoothed.
        rouge_l_S: 0 to 1, the F-measure of the longest common subsequence of words (Lin, 2004); nan
            where the reference has no word that rouge_score knows (letters a to z and digits).
        counts_Sx10: what corpus BLEU is made of, for each text: its length and its reference's,
            n-grams of one to four tokens that match, and those that there are.
    """

    bleu_S: Floats
    rouge_l_S: Floats
    counts_Sx10: Integers

    def corpus_bleu(self, chosen: Integers | None = None) -> float:
        """BLEU of all texts together, 0 to 100, or of those with these indices.

        It is the ratio of sums of Papineni et al. (2002), not the mean of ``bleu_S``.
        """
        from sacrebleu.metrics.bleu import BLEU

        counts = self.counts_Sx10 if chosen is None else self.counts_Sx10[chosen]
        own, reference, *ngrams = counts.sum(axis=0).tolist()
        score = BLEU.compute_bleu(
            correct=ngrams[:_ORDERS],
            total=ngrams[_ORDERS:],
            sys_len=own,
            ref_len=reference,
            smooth_method="exp",
        )
        return float(score.score)

    @property
    def rouge_l(self) -> float | None:
        """Mean of ``rouge_l_S`` over the texts that have one; None where none has."""
        known = self.rouge_l_S[np.isfinite(self.rouge_l_S)]
        return float(known.mean()) if len(known) else None


@dataclass(frozen=True)
class ReferenceScores:
    """A model's continuations against their references, and humans against humans.

    Attributes:
        model: each continuation against the human one of the same prompt.
        human: each of these human continuations against the human one of another prompt; None where
            there is only one.
        bleu_signature: sacrebleu's, of the corpus BLEU: tokenisation, smoothing, version.
    """

    model: Overlap
    human: Overlap | None
    bleu_signature: str


def score_continuations(
    continuations: Sequence[str], references: Sequence[str], generator: np.random.Generator
) -> ReferenceScores:
    """BLEU and ROUGE-L of continuations, and of human ones for other prompts, at the same lengths.

    Args:
        continuations: the model's, one a prompt; an empty one scores 0.
        references: how the human text goes on after the same prompts.
        generator: draws which human text stands against which.

    Raises:
        BadParameter: there is none, their numbers differ, or a reference is empty.
    """
    _check(continuations, references)
    others = [references[other] for other in derangement(len(references), generator)]
    return ReferenceScores(
        model=_overlap(continuations, references),
        human=_overlap(others, references) if others else None,
        bleu_signature=_signature(),
    )


def derangement(count: int, generator: np.random.Generator) -> list[int]:
    """A permutation that leaves nothing in its place, all equally likely; [] for fewer than two."""
    places = np.arange(count)
    if count < 2:
        return []
    # A permutation is a derangement with probability 1/e or more (but 1/3 for three).
    while ((drawn := generator.permutation(count)) == places).any():
        pass
    return drawn.tolist()


def _overlap(texts: Sequence[str], references: Sequence[str]) -> Overlap:
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU(effective_order=True)
    rouge = RougeScorer(["rougeL"], use_stemmer=False)
    scores = [bleu.sentence_score(text, [own]) for text, own in zip(texts, references, strict=True)]
    return Overlap(
        bleu_S=np.array([one.score for one in scores]),
        rouge_l_S=np.array(
            [
                rouge.score(own, text)["rougeL"].fmeasure if _has_words(own) else np.nan
                for text, own in zip(texts, references, strict=True)
            ]
        ),
        counts_Sx10=np.array(
            [[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in scores]
        ),
    )


def _has_words(text: str) -> bool:
    """Whether rouge_score sees anything: its tokenizer keeps nothing but ASCII."""
    return any(one.isascii() and one.isalnum() for one in text)


def _signature() -> str:
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU()
    bleu.corpus_score(["a"], [["a"]])  # it counts the references, one a text, for its signature
    return str(bleu.get_signature())


def _check(continuations: Sequence[str], references: Sequence[str]) -> None:
    if len(continuations) != len(references) or not references:
        raise BadParameter(
            f"{len(continuations)} continuations and {len(references)} references: there must be "
            "one reference a continuation, and at least one"
        )
    for index, text in enumerate(references):
        if not text.strip():
            raise BadParameter(f"reference {index} is empty: a human text must go on after it")
