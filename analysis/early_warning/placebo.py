"""Alarm rules with a proven bound, run on chains in which nothing happens.

What the proofs assume, real chains may not do: the share of healthy chains that alarm says what the
assumption is worth. Both rules are those of :class:`collapse.watch.EarlyWarning`.
"""

import numpy as np
import pandas as pd

from collapse.errors import BadParameter
from collapse.numerics.martingale import evidence_path
from collapse.numerics.round_robin import RoundRobin
from collapse.numerics.streams import numpy_stream

COLUMNS = ("chain", "step", "value")
_ROUNDING = 1e-12


def placebo_by_looks(
    trajectories: pd.DataFrame,
    sign: int,
    *,
    burn_in: int,
    alpha: float = 0.05,
    seed: int = 0,
) -> pd.DataFrame:
    """Each chain on its own: a conformal test martingale, each look ranked among those before.

    Args:
        trajectories: columns chain, step, value; any number of looks a chain.
        sign: 1 where a rise alarms, -1 where a fall does.
        burn_in: looks that are only ranked among.
        alpha: bound on the chance of an alarm on a chain whose looks are exchangeable.
        seed: of the tie-breaks, a stream a chain.

    Returns:
        One row a chain: ``chain``, ``looks``, ``evidence`` (the largest; 1 where there are too few
        looks for a bet) and ``alarm_step`` (nan where none was raised).

    Raises:
        BadParameter: a column is missing, a chain has a step twice, or a value is not finite.
    """
    rows = []
    for chain, part in _chains(trajectories):
        steps = part["step"].to_numpy()
        generator = numpy_stream(seed, "placebo", str(chain))
        path = evidence_path(sign * part["value"].to_numpy(float), burn_in, generator)
        rows.append(_row(chain, steps, path, alpha))
    return pd.DataFrame(rows)


def placebo_by_runs(trajectories: pd.DataFrame, sign: int, alpha: float = 0.05) -> pd.DataFrame:
    """Each chain against all others, as if it were new and they the healthy ones.

    Args:
        trajectories: columns chain, step, value; only steps that every chain has are looked at.
        sign: 1 where a rise alarms, -1 where a fall does.
        alpha: bound on the chance of an alarm on a chain that is exchangeable with the others; it
            takes ``1 / alpha`` chains or more for any alarm.

    Returns:
        As `placebo_by_looks`; the evidence is one over the rule's bound.

    Raises:
        BadParameter: as there, or fewer than four chains, or no step in common.
    """
    parts = {chain: part.set_index("step")["value"] for chain, part in _chains(trajectories)}
    together = pd.DataFrame(parts).dropna().sort_index()
    values_RxT, steps = together.to_numpy(float).T, together.index.to_numpy()
    rows = []
    for place, chain in enumerate(together.columns):
        robin = RoundRobin.of(np.delete(values_RxT, place, axis=0)[:, :, None], [sign])
        scores_R, path = np.full(len(values_RxT) - 1, -np.inf), []
        for look, value in enumerate(values_RxT[place]):
            scores_R = np.maximum(scores_R, robin.deviations(look, [value])[:, 0])
            path.append(1 / robin.bound(robin.unbeaten(scores_R)))
        rows.append(_row(chain, steps, np.array(path), alpha))
    return pd.DataFrame(rows)


def _row(chain: object, steps: np.ndarray, path: np.ndarray, alpha: float) -> dict[str, object]:
    reached = path >= (1 - _ROUNDING) / alpha
    alarm_step = float(steps[reached.argmax()]) if reached.any() else np.nan
    evidence = float(path.max(initial=1.0))
    return {"chain": chain, "looks": len(steps), "evidence": evidence, "alarm_step": alarm_step}


def _chains(trajectories: pd.DataFrame) -> list[tuple[object, pd.DataFrame]]:
    missing = [name for name in COLUMNS if name not in trajectories.columns]
    if missing:
        raise BadParameter(f"trajectories without {', '.join(missing)}: needed are {COLUMNS}")
    if trajectories.duplicated(["chain", "step"]).any():
        raise BadParameter("trajectories have a step of a chain twice: give one value a look")
    if not np.isfinite(trajectories["value"].to_numpy(float)).all():
        raise BadParameter("trajectories have values that are not finite: leave those looks out")
    ordered = trajectories.sort_values("step")
    return list(ordered.groupby("chain", sort=True))
