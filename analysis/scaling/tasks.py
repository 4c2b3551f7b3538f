"""Which tasks move together, which foretell the rest, and which gain from size."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.families import holm
from analysis.scaling.tables import ScalingTables, rescaled, score_of, shape_arms
from analysis.statistics import ALPHA, CONFIDENCE, t_interval, t_p

Array = NDArray[np.float64]

LEAST_ARMS = 4
DRAWS = 300


@dataclass(frozen=True)
class Foretelling:
    """How a task ranks arms beside the mean of all other tasks (Spearman over arms' means).

    Attributes:
        task: the task.
        rho: the correlation; nan where the task does not differ between arms.
        interval: 95 % percentiles over draws of seeds; None for one seed.
    """

    task: str
    rho: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class SizeGain:
    """What ten times the parameters bring to a task.

    Attributes:
        task: the task.
        slope: mean over seeds, share of items for a factor of 10 in parameters.
        interval: 95 % t-interval over seeds; None for one seed.
        p_corrected: of Student's t over seeds, corrected by Holm over the tasks; nan for one seed.
    """

    task: str
    slope: float
    interval: tuple[float, float] | None
    p_corrected: float

    @property
    def verdict(self) -> str:
        """Gains, loses, or undecided."""
        if self.interval is None or not self.p_corrected <= ALPHA:
            return "undecided"
        return "gains" if self.slope > 0 else "loses"


@dataclass(frozen=True, eq=False)
class TaskLinks:
    """How tasks go together over chains.

    Attributes:
        tasks: the tasks.
        arms: the arms whose means are correlated.
        n_seeds: seeds with all tasks in all arms.
        between_TxT: Spearman correlations of arms' means.
        low_TxT: lower ends of their 95 % percentiles over draws of seeds; nan for one seed.
        high_TxT: upper ends.
        holds_TxT: whether a pair is told to go together: that interval leaves 0 out, and so does
            p over arms, corrected by Holm over the pairs. Draws of seeds alone would take the
            noise of a task that no arm can do for its ranking of arms.
        within_TxT: Pearson correlations of what is left without arms' and seeds' means.
        foretelling: of each task, the rest left to itself.
        gains: of each task from size; empty for fewer than three sizes.
        sizes: the arms of the gains, by rising size.
    """

    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    n_seeds: int
    between_TxT: Array
    low_TxT: Array
    high_TxT: Array
    holds_TxT: NDArray[np.bool_]
    within_TxT: Array
    foretelling: tuple[Foretelling, ...]
    gains: tuple[SizeGain, ...]
    sizes: tuple[str, ...]


def task_links(tables: ScalingTables, rng: np.random.Generator) -> TaskLinks | None:
    """Correlate tasks over the joint arms; None for fewer than two tasks or four arms."""
    tasks = tables.tasks
    arms = tuple(
        arm
        for arm in tables.joint
        if all(len(tables.of_arm(score_of(task), arm)) for task in tasks)
    )
    cube = _cube(tables, tasks, arms)
    if len(tasks) < 2 or len(arms) < LEAST_ARMS or not len(cube):
        return None
    n_seeds = len(cube)
    drawn = rng.integers(0, n_seeds, (DRAWS if n_seeds > 1 else 0, n_seeds))
    draws = [spearman(cube[seeds].mean(axis=0)) for seeds in drawn]
    rests = [_with_rests(cube[seeds].mean(axis=0)) for seeds in drawn]
    low, high = _ends(draws, (len(tasks), len(tasks)))
    rest_low, rest_high = _ends(rests, (len(tasks),))
    foretelling = tuple(
        Foretelling(task, float(rho), (float(a), float(b)) if n_seeds > 1 else None)
        for task, rho, a, b in zip(
            *(tasks, _with_rests(cube.mean(axis=0)), rest_low, rest_high), strict=True
        )
    )
    sizes = shape_arms(tables)
    within, gains = within_arms(cube), size_gains(tables, sizes)
    between = spearman(cube.mean(axis=0))
    holds = ((low > 0) | (high < 0)) & (_corrected_p(between, len(arms)) <= ALPHA)
    return TaskLinks(
        *(tasks, arms, n_seeds, between, low, high, holds, within, foretelling, gains, sizes)
    )


def spearman(values_AxT: Array) -> Array:
    """Spearman correlations of columns; nan for a column that does not vary."""
    return _pearson(stats.rankdata(values_AxT, axis=0))


def _corrected_p(r_TxT: Array, n_arms: int) -> Array:
    """Each pair's p over arms by Student's t, corrected by Holm over the pairs."""
    first, second = np.triu_indices(len(r_TxT), 1)
    r = np.abs(r_TxT[first, second]).clip(max=1 - 1e-12)
    p = holm(2 * stats.t.sf(r * np.sqrt((n_arms - 2) / (1 - r**2)), n_arms - 2))
    found = np.full(r_TxT.shape, np.nan)
    found[first, second] = found[second, first] = p
    return found


def within_arms(values_SxAxT: Array) -> Array:
    """Correlations of what is left once the means of arms and of seeds are taken out.

    Size moves whole arms and so moves all tasks together; it is not in these. nan for one seed.
    """
    means = values_SxAxT.mean(axis=(0, 1), keepdims=True)
    of_arms = values_SxAxT.mean(axis=0, keepdims=True)
    of_seeds = values_SxAxT.mean(axis=1, keepdims=True)
    left = values_SxAxT - of_arms - of_seeds + means
    return _pearson(left.reshape(-1, values_SxAxT.shape[2]))


def size_gains(tables: ScalingTables, arms: tuple[str, ...]) -> tuple[SizeGain, ...]:
    """Slopes of accuracy over the logarithm of parameters, seed by seed."""
    if len(arms) < 3:
        return ()
    logs_A = np.log10(tables.means(tables.sizes)[list(arms)].to_numpy(float))
    found = []
    for task in tables.tasks:
        scores_SxA = tables.by_seed(score_of(task), arms).to_numpy(float)
        if len(scores_SxA):
            slopes_S = np.polyfit(logs_A, scores_SxA.T, 1)[0]
            p = t_p(slopes_S)
            found.append((task, slopes_S, np.nan if p is None else p))
    corrected = holm([p for _, _, p in found])
    return tuple(
        SizeGain(task, float(slopes_S.mean()), t_interval(slopes_S), float(p))
        for (task, slopes_S, _), p in zip(found, corrected, strict=True)
    )


def _cube(tables: ScalingTables, tasks: tuple[str, ...], arms: tuple[str, ...]) -> Array:
    """Scores from their floors, seeds x arms x tasks, of seeds that have everything."""
    if not tasks or not arms:
        return np.empty((0, len(arms), len(tasks)))
    wide = [rescaled(tables, task).unstack("arm").reindex(columns=list(arms)) for task in tasks]
    joint = pd.concat(wide, axis=1).dropna()
    return joint.to_numpy(float).reshape(len(joint), len(tasks), len(arms)).transpose(0, 2, 1)


def _with_rests(values_AxT: Array) -> Array:
    """Spearman correlation of each task with the mean of all others."""
    n_tasks = values_AxT.shape[1]
    rests = (values_AxT.sum(axis=1, keepdims=True) - values_AxT) / (n_tasks - 1)
    ranks, of_rests = (stats.rankdata(some, axis=0) for some in (values_AxT, rests))
    return np.diagonal(_pearson(np.hstack([ranks, of_rests])), n_tasks)


def _pearson(values_NxT: Array) -> Array:
    centred = values_NxT - values_NxT.mean(axis=0)
    lengths = np.sqrt((centred**2).sum(axis=0))
    # Rounding leaves a trace of what does not vary at all.
    lengths = np.where(lengths > 1e-12, lengths, np.nan)
    found: Array = (centred.T @ centred) / np.outer(lengths, lengths)
    return found


def _ends(draws: list[Array], shape: tuple[int, ...]) -> tuple[Array, Array]:
    if not draws:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    ends = [100 * (1 - CONFIDENCE) / 2, 100 * (1 + CONFIDENCE) / 2]
    low, high = np.percentile(np.stack(draws), ends, axis=0)
    return low, high
