"""Where the distance from a known truth comes from: a telescoping sum of log-likelihoods.

A generation reads a finite sample, learns from it, and writes with some decoding. The same S
held-out texts are scored by the truth, by the best that the sample could teach, by the model, and
by the model as it writes. The differences between neighbours in that row are the parts; whatever
the scores are, they add up to the whole. Means over texts drawn from the truth estimate
Kullback-Leibler divergences (of the whole), and differences of such (of the parts, which may be
negative: a model that started from its parent may know more than its sample says).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from collapse.errors import BadParameter

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TextScores:
    """Log-probabilities of S texts, in nats, each (S,).

    Attributes:
        truth: under the known distribution.
        refit: under the best that the sample could teach.
        model: under the model itself.
        decoded: under the model as it writes; None where that has no likelihood.
    """

    truth: Floats
    refit: Floats
    model: Floats
    decoded: Floats | None

    def parts(self) -> dict[str, Floats]:
        """Nats of each text, (S,), by part: ``sampling``, ``fitting``, ``decoding``, ``total``.

        The first three add up to the last; without a likelihood of what is written the last two
        are not there.
        """
        parts = {"sampling": self.truth - self.refit, "fitting": self.refit - self.model}
        if self.decoded is None:
            return parts
        whole = {"decoding": self.model - self.decoded, "total": self.truth - self.decoded}
        return parts | whole


def log_mixture(log_p_KxS: Sequence[Floats], weights_K: Sequence[float]) -> Floats:
    """Log-probabilities of S texts under a mixture of K distributions, (S,), in nats.

    Args:
        log_p_KxS: under each of them.
        weights_K: their shares, not negative; they are scaled to add up to one.

    Raises:
        BadParameter: a weight is negative, or none is above 0.
    """
    weights = np.asarray(weights_K, dtype=np.float64)
    if (weights < 0).any() or not weights.sum() > 0:
        raise BadParameter(f"weights are {list(weights_K)}: none below 0, and one above")
    stacked = np.asarray(log_p_KxS, dtype=np.float64)
    return logsumexp(stacked, axis=0, b=(weights / weights.sum())[:, None])
