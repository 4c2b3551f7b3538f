"""A spectrum as a figure wants it: plain arrays, and how its numbers are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.errors import BadParameter
from collapse.numerics.spectrum import negative_share

Floats = NDArray[np.float64]

UNIT = "nats per squared unit of a parameter"


class Mark(NamedTuple):
    """An eigenvalue with its certificate.

    Attributes:
        value: the Ritz value.
        residual_bound: some eigenvalue lies within this distance; nan where no bound is known.
        certified: the bound is small enough to be relied on.
    """

    value: float
    residual_bound: float
    certified: bool


@dataclass(frozen=True)
class SpectrumView:
    """One spectrum to be drawn; all eigenvalues in nats per squared unit of a parameter.

    Attributes:
        title: what it is the spectrum of, such as ``"Generation 3 (replace, seed 0)"``.
        nodes: Ritz values of each probe vector.
        weights: their quadrature weights, those of a probe vector sum to 1; none at all where
            the source kept none, and then the nodes are drawn as ticks, without a density.
        outliers: the eigenvalues of largest magnitude, (value, residual bound, certified) each.
        lambda_min: the algebraically smallest eigenvalue, likewise.
        bulk_center: mean of the spectrum without the outliers; None where not measured.
        bulk_width: its standard deviation; None where not measured.
        lambda_max: the algebraically largest eigenvalue; None takes it from the outliers, or
            where the largest node is no outlier, that node, uncertified.

    Raises:
        BadParameter: no nodes, or weights that do not pair with them.
    """

    title: str
    nodes: Sequence[ArrayLike]
    weights: Sequence[ArrayLike]
    outliers: Sequence[tuple[float, float, bool]]
    lambda_min: tuple[float, float, bool]
    bulk_center: float | None
    bulk_width: float | None
    lambda_max: tuple[float, float, bool] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        sizes = [np.size(nodes) for nodes in self.nodes]
        if not sizes or not all(sizes):
            raise BadParameter(f"spectrum {self.title!r} has no Ritz values: nothing can be drawn")
        if len(self.weights) and [np.size(w) for w in self.weights] != sizes:
            raise BadParameter(f"spectrum {self.title!r}: each Ritz value has one weight, or none")

    @property
    def top(self) -> Mark:
        """The algebraically largest eigenvalue."""
        if self.lambda_max is not None:
            return Mark(*self.lambda_max)
        largest = max(float(np.max(nodes)) for nodes in self.nodes)
        marks = [Mark(*one) for one in self.outliers]
        best = max(marks, key=lambda mark: mark.value, default=None)
        # The Ritz values of other probe vectors may pass the certified one by their rounding.
        if best is not None and best.value >= largest - 0.01 * abs(largest):
            return best
        return Mark(largest, float("nan"), False)

    @property
    def bottom(self) -> Mark:
        """The algebraically smallest eigenvalue."""
        return Mark(*self.lambda_min)

    @property
    def negative_share(self) -> float | None:
        """Share of the mean |eigenvalue| that is negative; None without weights."""
        if not len(self.weights):
            return None
        found = negative_share(self.nodes, self.weights)
        return None if found is None else found.value


def common_title(views: Sequence[SpectrumView]) -> tuple[str, tuple[str, ...]]:
    """What the titles of spectra of one checkpoint begin with, and how each goes on.

    ``"Generation 3, human text"`` and ``"Generation 3, own text"`` are ``"Generation 3"`` with
    ``"human text"`` and ``"own text"``; of a single title there is nothing to tell apart.
    """
    if len(views) == 1:
        return views[0].title, ("",)
    words = [view.title.split() for view in views]
    alike = len([*takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False))])
    return " ".join(words[0][:alike]).rstrip(",:"), tuple(" ".join(w[alike:]) for w in words)


def finding(views: Sequence[SpectrumView]) -> str:
    """What the spectra of one checkpoint show, in a sentence without a full stop."""
    title, names = common_title(views)
    tops, bottoms = ([written(getattr(v, end).value) for v in views] for end in ("top", "bottom"))
    if len(views) > 1:
        tops = [f"{value} on {name}" for value, name in zip(tops, names, strict=True)]
    told = f"largest eigenvalue {' and '.join(tops)}, smallest {' and '.join(bottoms)}"
    shares = [view.negative_share for view in views]
    known = [percent(share) for share in shares if share is not None]
    if len(known) == len(views):
        told += f"; {' and '.join(known)} of the curvature is negative"
    if not all(Mark(*one).certified for view in views for one in view.outliers):
        told += " (not all outliers certified)"
    return f"{title}: {told}" if title else told[0].upper() + told[1:]


def written(value: float) -> str:
    """Three significant digits, with a minus sign as in print."""
    if value == 0:
        return "0"
    digits = max(0, 2 - int(np.floor(np.log10(abs(value)))))
    text = f"{value:.{digits}f}" if digits <= 5 and abs(value) < 1e5 else f"{value:.2e}"
    return text.replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share as per cent, with a decimal where it is small."""
    # With a space that no line is broken at.
    return f"{100 * share:.{0 if share >= 0.095 else 1}f}\N{NO-BREAK SPACE}%"
