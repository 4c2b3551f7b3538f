"""How far a chain stands outside what healthy chains do, estimated without its own seed.

Shapes: S seeds, G generations (the first is 1: generation 0 is shared), A healthy arms, ... any
number of studies at once, which only simulations need.

A healthy pair is a healthy arm minus the control, seed by seed; ``healthy`` below is these
differences, and missing numbers are nan. Everything compares a difference of the judged seed with
the healthy differences of all *other* seeds.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LEAST_OTHERS = 3
"""Healthy seeds beside the judged one that a standard deviation is taken of at least."""
IN_A_ROW = 2
"""Exceedances in a row that make an alarm; it is seen at the last of them (DESIGN 4)."""
FIRST_ALARM = IN_A_ROW
"""The first generation at which an alarm can be seen, as generation 0 cannot exceed anything."""

# Differences of stored decimals: a spread below this share of their size is rounding.
_ROUNDING = 1e-9


def other_seeds(healthy_SxG: ArrayLike) -> tuple[Array, Array, Array]:
    """Mean, standard deviation (n - 1) and number of the other seeds' healthy differences.

    Args:
        healthy_SxG: (..., S, G), nan where a pair is missing.

    Returns:
        Three arrays (..., S, G): at each seed those of all the others. Mean and deviation are nan
        where fewer than ``LEAST_OTHERS`` are there.
    """
    values = np.asarray(healthy_SxG, dtype=float)
    is_other_SxS = ~np.eye(values.shape[-2], dtype=bool)
    counted = is_other_SxS[:, :, None] & np.isfinite(values)[..., None, :, :]
    filled = np.where(counted, values[..., None, :, :], 0.0)
    count = counted.sum(axis=-2).astype(float)
    enough = count >= LEAST_OTHERS
    n = np.where(enough, count, np.nan)
    mean = filled.sum(axis=-2) / n
    apart = np.where(counted, filled - np.where(enough, mean, 0.0)[..., :, None, :], 0.0)
    return mean, np.sqrt((apart**2).sum(axis=-2) / (n - 1)), count


def has_no_spread(healthy_SxG: ArrayLike) -> bool:
    """Whether at some generation the other seeds of some seed do not differ at all.

    A standard deviation of zero would make an exceedance of any rounding error.
    """
    values = np.asarray(healthy_SxG, dtype=float)
    _, deviation, _ = other_seeds(values)
    size = np.nanmax(np.abs(values), initial=0.0, where=np.isfinite(values))
    return bool((deviation <= _ROUNDING * size).any())


def prediction_z(judged_SxG: ArrayLike, healthy_SxG: ArrayLike, sign: int) -> Array:
    """How far judged differences lie outside the healthy ones, in an alarm's direction.

    ``z_s = sign (d_s - mean_{t != s} D_t) / (sd_{t != s} D_t sqrt(1 + 1/n))`` with the n other
    seeds: the statistic of a prediction interval for one more value (Student's t with n - 1 degrees
    of freedom were all normal, which nothing here relies on).

    Args:
        judged_SxG: (..., S, G) differences d of the judged chains from the control of their seed.
        healthy_SxG: (..., S, G) healthy differences D of the same seeds, nan where there are none.
        sign: 1 where a rise alarms, -1 where a fall does.

    Returns:
        (..., S, G), in standard deviations; nan where it cannot be judged.
    """
    mean, deviation, count = other_seeds(healthy_SxG)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = sign * (np.asarray(judged_SxG, dtype=float) - mean)
        return np.asarray(found / (deviation * np.sqrt(1 + 1 / count)))


def outside_all(judged_SxG: ArrayLike, healthy_AxSxG: ArrayLike, sign: int) -> Array:
    """How far judged chains lie outside *every* healthy arm's interval: the least of their z's.

    Args:
        judged_SxG: as for `prediction_z`.
        healthy_AxSxG: one set of healthy differences an arm, at least one.
        sign: 1 where a rise alarms, -1 where a fall does.

    Returns:
        (S, G); an arm that cannot judge a chain at a generation is passed over there.
    """
    every = [prediction_z(judged_SxG, healthy, sign) for healthy in np.asarray(healthy_AxSxG)]
    return np.asarray(np.fmin.reduce(every))


def chain_scores(z_SxG: ArrayLike) -> Array:
    """The largest threshold at which each chain would just not alarm.

    ``max over g of min(z(g - 1), z(g))``: a chain alarms if and only if its score is above the
    threshold.

    Args:
        z_SxG: (..., S, G) from `prediction_z`.

    Returns:
        (..., S); nan for a chain without two generations in a row.
    """
    both = _both(np.asarray(z_SxG, dtype=float))
    known = np.isfinite(both)
    best = np.where(known, both, -np.inf).max(axis=-1, initial=-np.inf)
    return np.where(known.any(axis=-1), best, np.nan)


def seed_scores(healthy_AxSxG: ArrayLike) -> Array:
    """The score of each control seed: the largest of all its healthy chains, in either sign.

    A healthy arm is judged against its own pairs (z), and the control against the arm (-z): chains
    of both are healthy, and one of either that alarms is a false alarm of its seed. Whole seeds
    are the unit, as all chains of a seed share its first model.

    Args:
        healthy_AxSxG: (A, S, G), or (..., A, S, G).

    Returns:
        (..., S); nan for a seed that misses a generation at which any seed has a pair: with fewer
        looks it would alarm less often than the chains that it stands for.
    """
    values = np.asarray(healthy_AxSxG, dtype=float)
    z = prediction_z(values, values, 1)
    scores = np.maximum(chain_scores(z), chain_scores(-z)).max(axis=-2)
    return np.where(whole_seeds(values), scores, np.nan)


def whole_seeds(healthy_AxSxG: ArrayLike) -> NDArray[np.bool_]:
    """Which seeds have a pair wherever any seed has one, (..., S)."""
    known = np.isfinite(np.asarray(healthy_AxSxG, dtype=float))
    return np.asarray((known | ~known.any(axis=-2, keepdims=True)).all(axis=(-3, -1)))


def alarm_bounds(z_SxG: ArrayLike, threshold: float) -> tuple[Array, Array]:
    """The earliest and the latest generation at which each chain's alarm can have been seen.

    The alarm is seen at the first g with z(g - 1) and z(g) above the threshold. A missing z might
    have been above it or below: the earliest takes it as above, the latest as below. Where all is
    known both are one number.

    Args:
        z_SxG: (S, G) from `outside_all`.
        threshold: what has to be exceeded.

    Returns:
        Two arrays (S,). A chain that did not alarm by the last generation G has G + 1 and infinity.
    """
    z = np.asarray(z_SxG, dtype=float)
    never = z.shape[-1] + 1.0
    could, did = (_first_above(np.where(np.isnan(z), at, z), threshold) for at in (np.inf, -np.inf))
    return np.minimum(could, never), did


def _first_above(z_SxG: Array, threshold: float) -> Array:
    alarms = _both(z_SxG) > threshold
    if not alarms.shape[-1]:
        return np.full(len(z_SxG), np.inf)
    return np.where(alarms.any(axis=-1), alarms.argmax(axis=-1) + FIRST_ALARM, np.inf)


def _both(z_SxG: Array) -> Array:
    """(..., S, G - 1): what both of two generations in a row reach; column 0 is generation 2."""
    return np.minimum(z_SxG[..., :-1], z_SxG[..., 1:])
