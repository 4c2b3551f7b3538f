"""The rules of :class:`collapse.EarlyWarning` on a study's healthy chains: any alarm is false.

What the proofs assume, real chains may not do. The chains of one healthy arm, one a seed and one
look a generation, are judged by both rules. For ``runs`` the seeds are split by their order alone,
before anything is seen: as many in a row as the bound takes are the calibration, and all others are
judged by it. Each rotation begins the calibration further on. Rotations share chains, so that their
counts are told apart and never added; and the chains of one rotation share the luck of its
calibration.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from analysis.early_warning.exceedance import Array
from analysis.early_warning.indicators import Indicator
from analysis.study import StudyRecord, metric_values
from collapse.numerics.martingale import evidence_path
from collapse.numerics.round_robin import RoundRobin, runs_needed
from collapse.numerics.streams import numpy_stream

PLACEBO_COLUMNS = (
    *("indicator", "arm", "alpha", "rotation", "calibration_seeds", "judged_seeds"),
    *("judged", "generations", "runs_alarms", "looks_alarms"),
)
BURN_IN = 3
"""Generations that ``looks`` only ranks among: chains are short."""
_ROUNDING = 1e-12


def placebo(record: StudyRecord, indicator: Indicator, alpha: float) -> pd.DataFrame:
    """How many healthy chains either rule alarms on, by one indicator.

    Args:
        record: the study; its arms of human text alone are taken, one by one.
        indicator: what is watched, in its own direction.
        alpha: bound on the chance of a false alarm, in (0, 1).

    Returns:
        Columns ``PLACEBO_COLUMNS``, one row an arm and rotation: the seeds that calibrate and those
        that are judged, how many of these ``runs`` alarms on, and how many ``looks`` does, each
        chain on its own. No rows for an arm with fewer whole chains than a calibration and one.
    """
    rows: list[tuple[object, ...]] = []
    sign, needed = indicator.sign, runs_needed(alpha)
    for arm in record.healthy_arms:
        seeds, values_SxT = _whole_chains(record, indicator.metric, arm)
        for number, (healthy, judged) in enumerate(_rotations(len(seeds), needed), start=1):
            by_runs = _alarms_by_runs(sign * values_SxT[healthy], sign * values_SxT[judged], alpha)
            by_looks = _alarms_by_looks(sign * values_SxT[judged], alpha, f"{arm} {number}")
            told = (" ".join(map(str, seeds[chosen])) for chosen in (healthy, judged))
            rows.append(
                (
                    *(indicator.metric, arm, alpha, number, *told),
                    *(len(judged), values_SxT.shape[1], by_runs, by_looks),
                )
            )
    return pd.DataFrame(rows, columns=list(PLACEBO_COLUMNS))


def _whole_chains(record: StudyRecord, metric: str, arm: str) -> tuple[np.ndarray, Array]:
    """Seeds in the study's order and their values, (S, T); those with every generation's."""
    values = metric_values(record, metric)
    own = values[values.index.get_level_values("arm") == arm].droplevel("arm")
    table = own.unstack("generation").reindex(list(record.seeds)).dropna()
    return table.index.to_numpy(), table.to_numpy(float)


def _rotations(chains: int, needed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places that calibrate and places that are judged; none twice at the head of a calibration."""
    judged = chains - needed
    if judged < 1:
        return
    step = min(judged, needed)
    for turn in range(chains // step):
        places = np.roll(np.arange(chains), -turn * step)
        yield places[:needed], places[needed:]


def _alarms_by_runs(healthy_RxT: Array, judged_JxT: Array, alpha: float) -> int:
    robin = RoundRobin.of(healthy_RxT[:, :, None], [1])
    alarms = 0
    for run_T in judged_JxT:
        scores_R = robin.deviations(slice(None), run_T[:, None]).max(axis=(1, 2))
        alarms += robin.bound(robin.unbeaten(scores_R)) <= alpha * (1 + _ROUNDING)
    return alarms


def _alarms_by_looks(judged_JxT: Array, alpha: float, name: str) -> int:
    generator = numpy_stream(0, "placebo", name)
    evidence_JxT = evidence_path(judged_JxT, BURN_IN, generator)
    return int((evidence_JxT.max(axis=1) >= (1 - _ROUNDING) / alpha).sum())
