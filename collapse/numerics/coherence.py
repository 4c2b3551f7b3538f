"""How much neighbouring sentences of a text share, by the cosine of their features.

Shapes: S sentences of all passages in reading order, P passages, T texts, D width of a feature.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from collapse.errors import BadParameter

Floats = NDArray[np.float64]


def neighbour_cosines(
    features_SxD: NDArray,
    sentences_P: Sequence[int],
    text_P: Sequence[int],
    texts: int,
    centre_D: NDArray,
) -> Floats:
    """Mean cosine between neighbouring sentences of each text, after taking a centre off.

    The coherence of a text as the mean similarity of adjacent sentences is Foltz, Kintsch and
    Landauer's (1998, The measurement of textual coherence with latent semantic analysis). Features
    of language models lie in a narrow cone round their mean (Ethayarajh 2019, EMNLP: How contextual
    are contextualized word representations?), so that raw cosines are high whatever is said; taking
    the mean off spreads them again (Mu and Viswanath 2018, ICLR: All-but-the-top). The centre must
    be one for all that is compared: that of human sentences. With a set's own centre a model that
    says only one thing would look like one that says everything.

    Texts are the sampled units: the interval of a mean comes from this array. A text that is too
    long for the judge comes in passages; neighbours are those within a passage.

    Args:
        features_SxD: one row a sentence, passage after passage.
        sentences_P: how many of these rows belong to each passage.
        text_P: the text that each passage is from.
        texts: T; texts without a passage count.
        centre_D: mean of the features of human sentences. A sentence that lies there has no
            direction, and a cosine of 0 with every other.

    Returns:
        float64 ``(T,)``, nan for a text without two neighbouring sentences.

    Raises:
        BadParameter: the numbers of rows or passages do not agree, the widths differ, or a number
            is not finite.
    """
    counts_P = np.asarray(sentences_P, dtype=np.int64)
    _check(features_SxD, counts_P, text_P, centre_D)
    units_SxD = _unit_rows(np.asarray(features_SxD, dtype=np.float64) - centre_D)
    passage_S = np.repeat(np.arange(len(counts_P)), counts_P)
    firsts = np.flatnonzero(passage_S[1:] == passage_S[:-1])  # of each pair, the row of its first
    cosines = (units_SxD[firsts] * units_SxD[firsts + 1]).sum(axis=1)
    text_of_pair = np.asarray(text_P, dtype=np.int64)[passage_S[firsts]]
    sums_T = np.bincount(text_of_pair, weights=cosines, minlength=texts)
    pairs_T = np.bincount(text_of_pair, minlength=texts)
    return np.divide(sums_T, pairs_T, out=np.full(texts, np.nan), where=pairs_T > 0)


def _check(
    features_SxD: NDArray, counts_P: NDArray, text_P: Sequence[int], centre_D: NDArray
) -> None:
    if features_SxD.ndim != 2 or centre_D.shape != features_SxD.shape[1:]:
        raise BadParameter(
            f"features of shape {features_SxD.shape} and a centre of shape {centre_D.shape}: "
            "they must be (sentences, width) and (width,)"
        )
    if (counts_P < 0).any() or counts_P.sum() != len(features_SxD):
        raise BadParameter(
            f"the passages have {counts_P.sum()} sentences and there are {len(features_SxD)} "
            "features: there must be one for each"
        )
    if len(text_P) != len(counts_P):
        raise BadParameter(
            f"{len(counts_P)} passages and the texts of {len(text_P)}: each must have one"
        )
    if not (np.isfinite(features_SxD).all() and np.isfinite(centre_D).all()):
        raise BadParameter("features or centre are not finite: look at the model they come from")


def _unit_rows(rows_SxD: Floats) -> Floats:
    lengths_Sx1 = np.linalg.norm(rows_SxD, axis=1, keepdims=True)
    return np.divide(rows_SxD, lengths_Sx1, out=np.zeros_like(rows_SxD), where=lengths_Sx1 > 0)
