"""A test of exchangeability that may be looked at after every value: a conformal test martingale.

Shapes: ... any number of streams at once; T values of a stream; K bets.

**What is promised.** If the values ``x_1, x_2, ...`` of a stream are exchangeable (every order of
the first t of them is as likely as any other, for every t), then

    P(the evidence ever reaches 1 / alpha) <= alpha,

whatever the values' distribution is, ties included, and however long the stream and however one
stops. The same holds for ``x_t = e_t - d_t`` where the ``e_t`` are exchangeable and d never falls,
whatever it depends on: a healthy stream that drifts away from the alarm only. It is no promise
about other trends, about noise that grows or shrinks, or about streams that remember: neighbouring
values that resemble each other are not exchangeable, and the evidence grows on them although
nothing is wrong.

**Proof.** The p-value of the t-th value is its rank among the first t, itself included, ties broken
by a uniform number (:func:`p_value`). Read the stream backwards. Given the first t values as a bag,
and everything after them, x_t is any member of the bag with equal chance, so p_t is uniform on
[0, 1]; and all later p-values are functions of the bag and of what came after. So p_t is uniform
given p_{t+1}, p_{t+2}, ...: the p-values are independent and uniform. A bet f with
``int_0^1 f(p) dp = 1`` then has a mean of 1 given all p-values before, and so has every mixture of
bets with shares that were fixed before p_t was seen. What is won, :class:`Wealth`, is therefore a
martingale in the p-values that is never negative and begins at 1, and Ville's inequality bounds the
chance that it ever reaches 1 / alpha by alpha.

**Proof for streams that fall.** Rank e and ``x = e - d`` with the same tie-breaks. For s < t,
``d_s <= d_t``: where ``e_s > e_t``, also ``x_s > x_t``, and where they tie, ``x_s >= x_t``. So each
earlier value counts in p_t of x at least what it counts in that of e, and p_t(x) >= p_t(e). All
bets fall in p and their shares are fixed beforehand, hence the evidence on x never exceeds that on
e, which is a martingale. What is lost is power, not the bound.

It is essential that each value joins those that the next is ranked among. Ranked among a fixed set,
all p-values of a run depend on the luck of that one set, and their bets' product is no martingale.

**Several streams that run side by side** are not combined by the mean of their evidence, although a
mean of e-processes is one: that needs each to be a martingale given the past of *all* streams, and
ranks are not. Take the bag (1, 2), (2, 1), (3, 3) in random order: if the second pair exceeds the
first in both coordinates, one of the two was (3, 3), and the third pair's first coordinate cannot
rank last. :func:`combined` therefore takes the largest evidence over the number of streams, which
the union bound allows for any dependence, and which is at most the mean.

**Sources.** Vovk, Nouretdinov and Gammerman, "Testing exchangeability on-line", ICML (2003), and
Vovk, Gammerman and Shafer, *Algorithmic Learning in a Random World* (2005), for conformal
martingales and the bets ``e p^(e - 1)``; Ville, *Etude critique de la notion de collectif* (1939),
for the inequality. A prior on the moment of a change is Shiryaev's idea (1963); his is geometric.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collapse.errors import BadParameter

Floats = NDArray[np.float64]

EXPONENTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Of the bets ``e p^(e - 1)`` on small p-values, all with equal shares; small ones are bold."""

_MOST = 1e300


def p_value(past_T: ArrayLike, value: ArrayLike, tie_break: ArrayLike) -> Floats:
    """The conformal p-value of a value that is alarming where it is large.

    ``(#{past > value} + u (#{past = value} + 1)) / (T + 1)`` with u uniform on (0, 1]: the value
    itself is one of its ties.

    Args:
        past_T: all values before, (..., T).
        value: the value, (...).
        tie_break: u, drawn anew for each value, (...).

    Returns:
        In (0, 1], (...).
    """
    past, new = np.asarray(past_T, dtype=float), np.asarray(value, dtype=float)
    above = (past > new[..., None]).sum(axis=-1)
    equal = (past == new[..., None]).sum(axis=-1) + 1
    return np.asarray((above + np.asarray(tie_break) * equal) / (past.shape[-1] + 1))


def tie_breaks(generator: np.random.Generator, shape: int | tuple[int, ...]) -> Floats:
    """Uniform numbers in (0, 1]: a p-value of zero would win everything."""
    return 1.0 - generator.random(shape)


@dataclass(frozen=True, eq=False)
class Wealth:
    """What bets on small p-values have won, if all began with 1.

    When to begin is not known beforehand: of the first capital, ``1 / (s (s + 1))`` sleeps until
    the s-th p-value and is then spread equally over the bets. What still sleeps after t p-values is
    ``1 / (t + 1)``, so that evidence never falls below that: a long healthy stretch before a change
    costs about twice the logarithm of its length.

    Attributes:
        bets: how many p-values were bet on.
        sleeping: capital that waits, (...).
        awake: capital of each bet, (..., K).
    """

    bets: int
    sleeping: Floats
    awake: Floats

    @classmethod
    def begin(cls, shape: tuple[int, ...] = ()) -> "Wealth":
        """Nothing bet yet: evidence of 1 in every stream."""
        return cls(0, np.ones(shape), np.zeros((*shape, len(EXPONENTS))))

    @property
    def evidence(self) -> Floats:
        """Against exchangeability, (...): never negative, 1 on average where it holds."""
        return np.asarray(self.sleeping + self.awake.sum(axis=-1))

    def bet(self, p: ArrayLike) -> "Wealth":
        """The wealth after one more p-value of every stream, (...)."""
        exponents_K = np.array(EXPONENTS)
        woken = self.sleeping / (self.bets + 2)
        staked = self.awake + woken[..., None] / len(EXPONENTS)
        gains = exponents_K * np.asarray(p, dtype=float)[..., None] ** (exponents_K - 1)
        # What no float can hold is not counted: that only lowers the evidence.
        won = staked * np.minimum(gains, _MOST / np.maximum(staked, 1.0))
        return replace(self, bets=self.bets + 1, sleeping=self.sleeping - woken, awake=won)


def evidence_path(values_T: ArrayLike, burn_in: int, generator: np.random.Generator) -> Floats:
    """The evidence of whole streams after each value.

    Args:
        values_T: (..., T), alarming where large.
        burn_in: values that are only ranked among, and not bet on.
        generator: of the tie-breaks.

    Returns:
        (..., T), 1 during the burn-in.

    Raises:
        BadParameter: burn_in is negative, or a value is not finite.
    """
    values = np.asarray(values_T, dtype=float)
    if burn_in < 0:
        raise BadParameter(f"burn_in={burn_in} values: it must be 0 or more")
    if not np.isfinite(values).all():
        raise BadParameter("a stream has values that are not finite: they cannot be ranked")
    breaks = tie_breaks(generator, values.shape)
    wealth = Wealth.begin(values.shape[:-1])
    path = np.ones(values.shape)
    for t in range(burn_in, values.shape[-1]):
        wealth = wealth.bet(p_value(values[..., :t], values[..., t], breaks[..., t]))
        path[..., t] = wealth.evidence
    return path


def combined(evidence_xK: ArrayLike) -> Floats:
    """The evidence of K streams together, (...): the largest, over their number.

    If each alone reaches 1 / alpha with a chance of at most alpha, so does this, whatever the
    streams have to do with each other: it takes one of K to reach K / alpha.

    Args:
        evidence_xK: (..., K).
    """
    evidence = np.asarray(evidence_xK, dtype=float)
    return np.asarray(evidence.max(axis=-1) / evidence.shape[-1])
