"""Distributions of the tokens at each position of a document, estimated from how often they came.

All are exponential families: the logit of token v is the product of the position's natural
parameters with the statistics of v. Hence one linear head writes any of them.

Shapes: P positions of a document, V vocabulary, K statistics of a token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from collapse.errors import BadCorpus

NEVER_NATS = 200.0
"""Logit by which what did not come lies below what did: its chance is 0 in float32."""


class Estimator(Protocol):
    """A family of distributions, and how one of them is chosen."""

    def statistics(self, vocabulary: int) -> np.ndarray:
        """What the family looks at in each token, ``(V, K)`` float64."""

    def parameters(self, counts_PxV: np.ndarray, end_id: int) -> np.ndarray:
        """Natural parameters of every position, ``(P, K)`` float64.

        Args:
            counts_PxV: how often each token came at each position.
            end_id: the token that ends a document.
        """

    def measure(self, counts_PxV: np.ndarray, end_id: int) -> dict[str, float]:
        """What is left of the distribution's width, by metric: means over positions."""


@dataclass(frozen=True)
class Categorical:
    """Any distribution over the tokens; by maximum likelihood, their relative frequencies."""

    def statistics(self, vocabulary: int) -> np.ndarray:
        """Which token it is."""
        return np.eye(vocabulary)

    def parameters(self, counts_PxV: np.ndarray, end_id: int) -> np.ndarray:
        """Log frequencies."""
        del end_id
        frequencies_PxV = _frequencies(counts_PxV)
        never = np.full(frequencies_PxV.shape, -NEVER_NATS)
        return np.log(frequencies_PxV, out=never, where=frequencies_PxV > 0)

    def measure(self, counts_PxV: np.ndarray, end_id: int) -> dict[str, float]:
        """The Gini-Simpson diversity 1 - sum p^2: the chance that two tokens differ."""
        frequencies_PxV = _frequencies(_inner(counts_PxV, end_id))
        gini_simpson_P = 1 - np.square(frequencies_PxV).sum(1)
        return {"learner/gini_simpson": float(gini_simpson_P.mean())}


@dataclass(frozen=True)
class Gaussian:
    """A normal density at the whole numbers: the value of a token is its id.

    The ids of our tokenizers of characters follow the characters' code points, so that characters
    in a row are numbers in a row. Of a distribution that is wider than two ids, mean and variance
    are those of the density itself to nine digits (Poisson's summation formula).

    Attributes:
        unbiased: the sum of squares is divided by n - 1; otherwise by n, as maximum likelihood
            does.
    """

    unbiased: bool = False

    def statistics(self, vocabulary: int) -> np.ndarray:
        """Value and square."""
        values_V = np.arange(vocabulary, dtype=float)
        return np.stack([values_V, values_V**2], axis=1)

    def parameters(self, counts_PxV: np.ndarray, end_id: int) -> np.ndarray:
        """Mean over variance, and -1 over twice the variance.

        Where all documents end, the end token's id is a normal variable that does not vary.

        Raises:
            BadCorpus: the documents differ in length.
        """
        mean_P, variance_P = self._moments(counts_PxV)
        ends_P = counts_PxV[:, end_id]
        if np.any((ends_P > 0) & (ends_P < counts_PxV.sum(1))):
            raise BadCorpus("a Gaussian learner needs documents of one length, and these differ")
        # No less than where the id beside the mean would never come.
        precision_P = 1 / np.maximum(variance_P, 0.5 / NEVER_NATS)
        return np.stack([mean_P * precision_P, -precision_P / 2], axis=1)

    def measure(self, counts_PxV: np.ndarray, end_id: int) -> dict[str, float]:
        """The variance, in squared ids, and its logarithm where there is one."""
        _, variance_P = self._moments(_inner(counts_PxV, end_id))
        values = {"learner/variance": float(variance_P.mean())}
        if variance_P.min() > 0:
            values["learner/log_variance"] = float(np.log(variance_P).mean())
        return values

    def _moments(self, counts_PxV: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values_V = np.arange(counts_PxV.shape[1], dtype=float)
        draws_P = counts_PxV.sum(1)
        mean_P = counts_PxV @ values_V / draws_P
        squares_P = (counts_PxV * np.square(values_V - mean_P[:, None])).sum(1)
        return mean_P, squares_P / (np.maximum(draws_P - 1, 1) if self.unbiased else draws_P)


ESTIMATORS: Mapping[str, Estimator] = {
    "categorical": Categorical(),
    "gaussian": Gaussian(),
    "gaussian-unbiased": Gaussian(unbiased=True),
}
"""By the preset whose weights they give."""


def _frequencies(counts_PxV: np.ndarray) -> np.ndarray:
    return counts_PxV / counts_PxV.sum(1, keepdims=True)


def _inner(counts_PxV: np.ndarray, end_id: int) -> np.ndarray:
    """The positions at which no document ends.

    Raises:
        BadCorpus: there is none.
    """
    inner = counts_PxV[:, end_id] == 0
    if not inner.any():
        raise BadCorpus("a learner in closed form needs documents of a token or more, none empty")
    return counts_PxV[inner]
