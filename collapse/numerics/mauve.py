"""MAUVE: how far the features of two sets of texts are apart (optional package mauve-text)."""

from dataclasses import dataclass

from numpy.typing import NDArray

from collapse.errors import BadParameter
from collapse.numerics.streams import numpy_stream, stream_seed

LEAST_TEXTS = 1000
"""Texts a side below which MAUVE is not measured: too few a cluster to tell sets apart."""

_SEEDS = 2**31 - 16
"""faiss keeps its seed in 31 bits, and mauve-text adds a small number to it."""


@dataclass(frozen=True)
class Mauve:
    """A score, or why there is none.

    Attributes:
        score: between 0 (apart) and 1 (alike); None where it was not measured.
        texts: texts a side that it was, or would have been, measured on.
        reason: why there is no score; empty where there is one.
    """

    score: float | None
    texts: int
    reason: str = ""


def lacking() -> str:
    """Which package MAUVE lacks here, and how to install it; empty where it can be measured."""
    try:
        import mauve  # noqa: F401
    except ImportError as error:
        return f"{error}: pip install -e '.[mauve]' in the repository's root"
    return ""


def mauve(p_NxD: NDArray, q_MxD: NDArray, *, seed: int) -> Mauve:
    """MAUVE of two sets of texts (Pillutla and others 2021), on features that one already has.

    Features are put into k-means clusters, a tenth as many as there are texts a side, and the score
    is the area under the curve of divergences between the two histograms and their mixtures
    (scaling constant 5, as published).

    **It is a number for comparisons, and for those only where texts a side, clusters and features
    are the same.** Histograms of samples differ even where the distributions do not, so that two
    samples of one distribution score below 1: of stories 1.00, 0.99, 0.96, 0.85 with 25, 50, 100,
    200 clusters at 1,000 texts a side, and 0.96, 0.99, 1.00 with 1,000, 2,000, 4,000 texts at 100
    clusters; by the rule of a tenth 0.96 from 500 to 4,000. Other seeds of the clusters move it by
    0.02. So set :func:`human_ceiling` beside it, at the same number of texts.

    Its interval comes from subsamples without replacement, which have fewer texts and therefore
    fewer clusters: take the width of their spread, scaled to the full size, and not their middle.
    The copies in a bootstrap fall into one cluster each and lower the score.

    faiss warns on the error stream that clusters are small; the rule of a tenth makes them so.

    Args:
        p_NxD: features of one side; of the side with more texts the first are taken.
        q_MxD: of the other.
        seed: of the clusters' first centres.

    Raises:
        BadParameter: the widths differ.
    """
    if p_NxD.ndim != 2 or q_MxD.ndim != 2 or p_NxD.shape[1] != q_MxD.shape[1]:
        raise BadParameter(
            f"features of shapes {p_NxD.shape} and {q_MxD.shape}: both must be (texts, width)"
        )
    texts = min(len(p_NxD), len(q_MxD))
    if texts < LEAST_TEXTS:
        return Mauve(None, texts, f"{texts} texts a side, and MAUVE needs {LEAST_TEXTS}")
    if reason := lacking():
        return Mauve(None, texts, reason)
    from mauve import compute_mauve

    result = compute_mauve(
        p_features=p_NxD[:texts],
        q_features=q_MxD[:texts],
        seed=stream_seed(seed, "mauve") % _SEEDS,
        verbose=False,
    )
    return Mauve(float(result.mauve), texts)


def human_ceiling(human_NxD: NDArray, *, seed: int, texts: int) -> Mauve:
    """MAUVE of human text against other human text: what no model can be expected to pass.

    Args:
        human_NxD: features of human texts, twice ``LEAST_TEXTS`` or more.
        seed: draws which go into which half, and seeds the clusters.
        texts: texts a side, at most: as many as the score that this is set beside was measured on.
    """
    order_N = numpy_stream(seed, "mauve halves").permutation(len(human_NxD))
    half = min(texts, len(human_NxD) // 2)
    return mauve(human_NxD[order_N[:half]], human_NxD[order_N[half : 2 * half]], seed=seed)
