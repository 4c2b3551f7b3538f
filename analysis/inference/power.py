"""What a number of seeds can show and what it cannot, before anything is run.

All of it is formulas, but for one small table of a simulation; nothing here reads a measurement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from analysis.statistics import ALPHA, least_pairs, least_sign_flip_p
from collapse.claims import Claim

POWER = 0.80
MOST_FALSE_ALARMS = 0.25
"""Where so many false alarms cannot be excluded, no lead is decided (DESIGN 4)."""

# Mean over sd of normal differences that a sign-flip test at 0.05 finds with power 0.80: for 6
# pairs exactly (all six of one sign, 0.8^(1/6) each), for more by 40,000 to 3,000 simulated
# studies, known to 0.01. From 12 on it is the t-test's.
_FOUND_BY_SIGN_FLIPS = {6: 1.79, 7: 1.33, 8: 1.19, 9: 1.09, 10: 1.01, 11: 0.94}


@dataclass(frozen=True)
class Reach:
    """What n pairs can show at 0.05, corrected by Holm for a number of comparisons.

    Attributes:
        n: pairs, of seeds.
        comparisons: how many are tested together.
        least_p: the least two-sided sign-flip p.
        can_decide: whether the hardest of them can reach 0.05 by sign flips.
        t_effect: mean over sd of differences that the t-test of the hardest one finds with 80 %
            power; None where there are too few pairs.
        flip_effect: the same by sign flips; of a single comparison only, None too where it can
            never be found.
    """

    n: int
    comparisons: int
    least_p: float
    can_decide: bool
    t_effect: float | None
    flip_effect: float | None


def reach(n: int, comparisons: int = 1) -> Reach:
    """What n pairs can show.

    Args:
        n: pairs, at least 0.
        comparisons: how many are tested together, at least 1.
    """
    level = ALPHA / comparisons
    can_decide = least_sign_flip_p(n) <= level
    t_effect = least_t_effect(n, level)
    flip_effect = None
    if comparisons == 1 and can_decide:
        flip_effect = _FOUND_BY_SIGN_FLIPS.get(n, t_effect)
    return Reach(n, comparisons, least_sign_flip_p(n), can_decide, t_effect, flip_effect)


def least_t_effect(n: int, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """Mean over sd of n differences that a two-sided paired t-test finds with this power.

    Args:
        n: pairs.
        alpha: level of the test.
        power: probability to find it, above ``alpha``.

    Returns:
        None for fewer than two pairs.
    """
    if n < 2:
        return None
    critical = stats.t.ppf(1 - alpha / 2, n - 1)

    def missed(effect: float) -> float:
        # The other tail finds next to nothing of an effect that is found with such power.
        return float(stats.nct.cdf(critical, n - 1, effect * np.sqrt(n))) - (1 - power)

    most = 2.0 * (critical + 3) / np.sqrt(n)
    while missed(most) > 0:
        most *= 2
    return float(optimize.brentq(missed, 0.0, most, xtol=1e-4))


def most_false_alarms(n: int) -> float:
    """The false-alarm rate that n healthy chains without an alarm do not exclude at 95 %.

    The exact upper bound (Clopper and Pearson, one-sided): 1 - 0.05^(1/n); 1 without chains.
    """
    return 1 - ALPHA ** (1 / n) if n else 1.0


def least_healthy_chains(bound: float = MOST_FALSE_ALARMS) -> int:
    """The least number of healthy chains that keeps that bound, where none raises an alarm."""
    return next(n for n in range(1, 10_000) if most_false_alarms(n) <= bound)


def median_ranks(n: int) -> tuple[int, int] | None:
    """Which of n values, in order, are the ends of a 95 % interval of their median.

    Order statistics (Thompson, 1936): exact at least 95 % for any distribution.

    Returns:
        Ranks from 1; None for fewer than six values, whose least and greatest cover less.
    """
    inside = [k for k in range(1, n // 2 + 1) if 2 * stats.binom.cdf(k - 1, n, 0.5) <= ALPHA]
    return (max(inside), n + 1 - max(inside)) if inside else None


def power_lines(
    seeds: int, claims: Sequence[Claim], arm_seeds: Mapping[str, int], healthy: Sequence[str] = ()
) -> list[str]:
    """What a study can and cannot show, in short lines, before it is run.

    Args:
        seeds: seeds of the study.
        claims: its claims.
        arm_seeds: arm to its number of seeds, where it has fewer.
        healthy: arms that thresholds are set on, beside the controls of the claims.
    """
    lines = [_one_test(seeds)]
    others = [claim for claim in claims if not claim.is_lead]
    if len(others) > 1 and seeds >= least_pairs():
        lines.append(_all_claims(seeds, len(others)))
    lines += _fewer(seeds, others, arm_seeds)
    if any(claim.is_lead for claim in claims):
        leads = [claim for claim in claims if claim.is_lead]
        lines += _leads(seeds, leads, arm_seeds, healthy)
    return lines


def _one_test(n: int) -> str:
    found = reach(n)
    least = f"{_seeds(n)} can reach p = {found.least_p:.3g} (two-sided sign-flip test)"
    if found.flip_effect is None or found.t_effect is None:
        return f"power: {least}: {least_pairs()} are needed for {ALPHA}, so nothing can be settled"
    return (
        f"power: {least}; paired differences of {found.flip_effect:.2g} of their sd or more are "
        f"found 4 times in 5 (Hedges' g; by a t-test {found.t_effect:.2g})"
    )


def _all_claims(n: int, m: int) -> str:
    found = reach(n, m)
    if not found.can_decide:
        return (
            f"power: {m} claims corrected together (Holm) would take {least_pairs(ALPHA / m)} "
            f"seeds, 2^(n - 1) of at least {round(m / ALPHA)}: with {n} each is judged by itself"
        )
    return (
        f"power: {m} claims can be corrected together (Holm); the hardest is found 4 times in 5 "
        f"from {found.t_effect:.2g} sd on (t-test)"
    )


def _fewer(seeds: int, claims: Sequence[Claim], arm_seeds: Mapping[str, int]) -> list[str]:
    """Claims on arms that have fewer seeds than any verdict takes."""
    counts = {claim.id: _planned(seeds, claim, arm_seeds) for claim in claims}
    short = {name: n for name, n in counts.items() if n < least_pairs() <= seeds}
    return [
        f"power: {name} has {_seeds(n)}, p = {least_sign_flip_p(n):.3g} at the least: undecided "
        "whatever comes"
        for name, n in short.items()
    ]


def _leads(
    seeds: int, claims: Sequence[Claim], arm_seeds: Mapping[str, int], healthy: Sequence[str]
) -> list[str]:
    """Leads: the false alarms that so many controls leave open, and the interval of the lead."""
    # A seed counts where every healthy arm has it.
    calibrating = {claim.contrast[-1] for claim in claims} | {*healthy}
    controls = min(arm_seeds.get(arm, seeds) for arm in calibrating)
    n = min(_planned(seeds, claim, arm_seeds) for claim in claims)
    bound = most_false_alarms(controls)
    can = bound <= MOST_FALSE_ALARMS
    verdict = (
        "if so, leads can be decided"
        if can
        else f"above {100 * MOST_FALSE_ALARMS:.0f} %, no lead can be decided; "
        f"{least_healthy_chains()} would do"
    )
    ranks = median_ranks(n)
    interval = (
        f"the median lead of {n} chains has a 95 % interval from number {ranks[0]} to {ranks[1]}"
        if ranks
        else f"{n} chain{'s give' if n != 1 else ' gives'} a median lead no 95 % interval; 6 would"
    )
    return [
        f"power: no alarm in {controls} control chain{'s' * (controls != 1)} leaves false alarms "
        f"of up to {100 * bound:.0f} % open: {verdict}",
        f"power: {interval}",
    ]


def _planned(seeds: int, claim: Claim, arm_seeds: Mapping[str, int]) -> int:
    return min(arm_seeds.get(arm, seeds) for arm in claim.contrast)


def _seeds(n: int) -> str:
    return f"{n} seed{'s' * (n != 1)}"
