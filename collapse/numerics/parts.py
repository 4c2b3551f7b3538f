"""Numbers that are measured on the parts of one batch, with their errors over the parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from collapse.errors import BadParameter


@dataclass(frozen=True)
class OverParts:
    """A number and how far off it may be.

    Attributes:
        value: on the whole batch.
        standard_error: over its parts; None for a single part, or where the number cannot be had
            without one of them.
    """

    value: float
    standard_error: float | None

    def named(self, name: str) -> dict[str, float]:
        """The number under a name and its error under ``<name>_se``, where it has one."""
        error = self.standard_error
        return {name: self.value} | ({} if error is None else {f"{name}_se": error})


def over_parts(
    statistic: Callable[[int | None], float | None], shares: Sequence[float]
) -> OverParts | None:
    """A number of a batch, and its jackknife error over the batch's parts.

    Parts are taken for independent, and their shares for their sizes. No interval comes of it: with
    a handful of parts the error itself is known to a third or so.

    Args:
        statistic: the number without the part of this index, or of the whole batch where None;
            None where it has no value.
        shares: of each part in the batch; they sum to 1.

    Returns:
        None where the whole batch has no value.

    Raises:
        BadParameter: shares that do not sum to 1, or one that is not positive.
    """
    value = statistic(None)
    if value is None:
        return None
    left_out = [statistic(part) for part in range(len(shares))] if len(shares) > 1 else []
    known = [one for one in left_out if one is not None]
    if not known or len(known) < len(shares):
        return OverParts(value, None)
    return OverParts(value, jackknife_error(known, shares))


def jackknife_error(left_out_M: ArrayLike, shares_M: ArrayLike) -> float:
    """The standard error of a number from its values without each part in turn.

    For parts of unequal size (Busing, Meijer and van der Leeden, Statistics and Computing, 1999);
    for equal ones it is Tukey's. The number may be any smooth function of means over the parts.

    Args:
        left_out_M: (M,), at least 2.
        shares_M: (M,), of each part in the batch.

    Raises:
        BadParameter: fewer than 2 parts, shares that do not sum to 1, or one that is not positive.
    """
    values, shares = (np.asarray(one, dtype=np.float64) for one in (left_out_M, shares_M))
    if len(shares) < 2 or len(values) != len(shares):
        raise BadParameter(f"{len(values)} values of {len(shares)} parts: a pair is the least")
    if abs(shares.sum() - 1) > 1e-9 or shares.min() <= 0:
        raise BadParameter(f"shares {shares.tolist()}: they must be above 0, with sum 1")
    rest = 1 - shares
    centre = rest @ values / (len(shares) - 1)
    return float(np.sqrt(np.mean(rest / shares * (values - centre) ** 2)))
