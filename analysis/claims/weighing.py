"""Values of seeds against the margin of a claim: supported, refuted or undecided, and why."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.claims.reasons import (
    decided_because,
    different_because,
    not_equivalent,
    similar_because,
    too_few,
)
from analysis.statistics import (
    ALPHA,
    equivalence_p,
    least_sign_flip_p,
    sign_flip_p,
    t_interval,
)
from collapse.claims import Claim

Status = Literal["supported", "refuted", "undecided"]


def weigh_beyond(
    claim: Claim, values_N: NDArray[np.float64]
) -> tuple[Status, float, tuple[str, ...]]:
    """Status, p against the margin and reasons of a claim with a direction."""
    sign = 1 if claim.direction == "increase" else -1
    beyond_N = (
        sign * (values_N - claim.margin) if claim.is_level else sign * values_N - claim.margin
    )
    p, interval, n = sign_flip_p(beyond_N), t_interval(beyond_N), values_N.size
    reasons = []
    if least_sign_flip_p(n) > ALPHA:
        reasons.append(too_few(n))
    elif p > ALPHA:
        reasons.append(f"The sign-flip p against the margin is {p:.3g}, above {ALPHA}.")
    if interval is not None and interval[0] <= 0 <= interval[1]:
        reasons.append("The 95 % interval reaches to both sides of the margin.")
    if reasons:
        return "undecided", p, tuple(reasons)
    status: Status = "supported" if beyond_N.mean() > 0 else "refuted"
    return status, p, (decided_because(claim, status, n, p),)


def weigh_similar(
    claim: Claim, values_N: NDArray[np.float64]
) -> tuple[Status, float, tuple[str, ...]]:
    """Status, p and reasons of a claim that two arms are similar.

    The p is that against a difference of the margin or more; where the claim is refuted, that
    against one of just the margin.
    """
    interval, n = t_interval(values_N), values_N.size
    p = equivalence_p(values_N, claim.margin)
    beyond_p = sign_flip_p(np.sign(values_N.mean()) * values_N - claim.margin)
    if interval is None:
        return "undecided", p, (too_few(n),)
    low, high = interval
    if -claim.margin < low and high < claim.margin:
        if p <= ALPHA:
            return "supported", p, (similar_because(claim, n, p),)
        return "undecided", p, (not_equivalent(n, p),)
    if low > claim.margin or high < -claim.margin:
        if beyond_p <= ALPHA:
            return "refuted", beyond_p, (different_because(claim, n, beyond_p),)
        few = least_sign_flip_p(n) > ALPHA
        told = f"The sign-flip p against the margin is {beyond_p:.3g}, above {ALPHA}."
        return "undecided", beyond_p, (too_few(n) if few else told,)
    return "undecided", p, ("The 95 % interval reaches across the margin.",)
