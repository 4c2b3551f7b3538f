"""All that a study of scaling says, from its record."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.comparisons.answers import Answer
from analysis.scaling.dynamics import DYNAMICS_COLUMNS, Returns, returns
from analysis.scaling.factors import Association, arm_answers, associations
from analysis.scaling.laws import Law, power_law
from analysis.scaling.recommend import Best, best_arm
from analysis.scaling.tables import (
    BODY,
    OVERALL,
    TOTAL,
    ScalingTables,
    scaling_tables,
    shape_arms,
)
from analysis.scaling.tasks import TaskLinks, task_links
from analysis.study import StudyRecord
from collapse.numerics.streams import numpy_stream

OVER = {BODY: "body parameters", TOTAL: "parameters"}


@dataclass(frozen=True, eq=False)
class ScalingFindings:
    """What a study of scaling says.

    Attributes:
        tables: what was measured.
        sizes: arms that differ in shape alone, by rising size.
        laws: of the loss over body parameters and over all, and of what is missing to a full
            score over body parameters; those whose sizes were measured.
        returns: of the dynamics run, loss and overall score.
        tasks: how tasks go together; None with too few.
        associations: of hyperparameters with loss and score.
        not_associated: why some of these are missing, or nothing.
        answers: arms against the control, one family.
        best: by overall score and by loss.
        missing: planned chains without an overall score, (arm, seed).
    """

    tables: ScalingTables
    sizes: tuple[str, ...]
    laws: tuple[Law, ...]
    returns: tuple[Returns, ...]
    tasks: TaskLinks | None
    associations: tuple[Association, ...]
    not_associated: str
    answers: tuple[Answer, ...]
    best: tuple[Best, ...]
    missing: tuple[tuple[str, int], ...]


def scaling_findings(record: StudyRecord) -> ScalingFindings | None:
    """Work out everything; None for a study of generations, or of one arm or no benchmark.

    Args:
        record: the study; ``arm_settings`` says what each arm was trained with.
    """
    tables = scaling_tables(record, record.arm_settings)
    if tables is None or len(tables.with_metric(OVERALL)) < 2:
        return None
    told, why = associations(tables)
    best = (
        best_arm(tables, OVERALL, True, numpy_stream(0, "best score")),
        best_arm(tables, tables.loss, False, numpy_stream(0, "best loss")),
    )
    return ScalingFindings(
        tables=tables,
        sizes=shape_arms(tables),
        laws=_laws(tables),
        returns=_returns(tables, record.dynamics),
        tasks=task_links(tables, numpy_stream(0, "tasks")),
        associations=told,
        not_associated=why,
        answers=arm_answers(tables),
        best=tuple(one for one in best if one is not None),
        missing=tuple(
            (arm, seed)
            for arm in record.arms
            for seed in record.seeds_of(arm)
            if seed not in tables.of_arm(OVERALL, arm).index
        ),
    )


def _laws(tables: ScalingTables) -> tuple[Law, ...]:
    found = []
    for size in (BODY, TOTAL):
        if size in tables.chains:
            found.append(_law(tables, tables.loss, "loss", size))
    found.append(_law(tables, OVERALL, "distance to a full score", tables.sizes))
    return tuple(found)


def _law(tables: ScalingTables, metric: str, of: str, size: str) -> Law:
    """A law over the arms that differ in shape alone."""
    means = tables.means(size)
    arms = [arm for arm in shape_arms(tables) if arm in means]
    arms = sorted(arms, key=lambda arm: float(means[arm]))
    values_SxA = tables.by_seed(metric, arms).to_numpy(float)
    if metric == OVERALL:
        values_SxA = 1.0 - values_SxA
    rng = numpy_stream(0, "law", metric, size)
    sizes_A = means[arms].to_numpy(float) if arms else np.empty(0)
    return power_law(of, OVER[size], sizes_A, values_SxA, rng)


def _returns(tables: ScalingTables, dynamics: pd.DataFrame) -> tuple[Returns, ...]:
    rows = pd.DataFrame(columns=list(DYNAMICS_COLUMNS)) if dynamics.empty else dynamics
    found = [
        returns(rows, arm, metric)
        for arm in tables.arms
        if arm in set(rows["arm"])
        for metric in (tables.loss, OVERALL)
    ]
    return tuple(one for one in found if one is not None)
