"""Which hyperparameter goes with loss and score, and each arm against the control."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.comparisons.answers import Answer, Comparison, answers
from analysis.families import holm
from analysis.scaling.tables import OVERALL, ScalingTables
from analysis.statistics import ALPHA, t_interval, t_p

Array = NDArray[np.float64]

SCORE_MARGIN = 0.02
LOSS_MARGIN_SHARE = 0.02
"""R3.3 lets repeated runs differ by 2 %; less than that matters to nobody."""

_FACTORS = {
    "parameters": "twice the parameters",
    "learning_rate": "twice the learning rate",
    "sequence_length": "twice the sequence length",
    "optimizer": "AdamW alone instead of Muon",
}


@dataclass(frozen=True)
class Association:
    """What goes with one hyperparameter, all others in the model held.

    Attributes:
        measure: the metric that is explained.
        factor: the hyperparameter.
        step: the step of it that ``effect`` is for, in words.
        effect: mean over seeds of the coefficient, in the metric's unit.
        interval: its 95 % t-interval over seeds; None for one seed.
        partial_r: partial correlation over arms' means; nan where nothing is left over.
        p_corrected: of Student's t over seeds, by Holm over all of them; nan for one seed.
    """

    measure: str
    factor: str
    step: str
    effect: float
    interval: tuple[float, float] | None
    partial_r: float
    p_corrected: float

    @property
    def is_told(self) -> bool:
        """Whether it is told from no effect."""
        return self.interval is not None and self.p_corrected <= ALPHA


def associations(tables: ScalingTables) -> tuple[tuple[Association, ...], str]:
    """A linear model over arms within each seed, seeds as blocks and replicates.

    Effects are those in the middle of the arms; size and rate may bend and depend on each other.
    Coefficients of a seed are one observation of each: a t-interval over seeds asks nothing of
    how arms of one seed go together. Factors that do not vary are left out.

    Returns:
        The associations with loss and with overall score, and why some are not told, or nothing.
    """
    found = []
    left_out = ""
    for measure in (tables.loss, OVERALL):
        arms, design = _design(tables, measure)
        values_SxA = tables.by_seed(measure, arms).to_numpy(float)
        model = _bent(np.column_stack([np.ones(len(arms)), *design.values()]), design)
        if design and np.linalg.matrix_rank(model) < model.shape[1]:
            left_out = "The arms do not tell the hyperparameters apart: some change only together."
        elif len(arms) <= model.shape[1]:
            left_out = "There are too few arms for a model of all hyperparameters."
        elif design and len(values_SxA):
            found += [
                (measure, factor, *_effect(model, place, values_SxA))
                for place, factor in enumerate(design, start=1)
            ]
    corrected = holm([one[-1] for one in found])
    told = tuple(
        Association(measure, factor, _FACTORS[factor], float(of_S.mean()), t_interval(of_S), r, p)
        for (measure, factor, of_S, r, _), p in zip(found, corrected.tolist(), strict=True)
    )
    return told, left_out


def _design(tables: ScalingTables, measure: str) -> tuple[list[str], dict[str, Array]]:
    """The arms with all settings, and a column for each hyperparameter that varies over them."""
    sizes = tables.means(tables.sizes)
    rows: dict[str, dict[str, float]] = {}
    for arm in tables.joint:
        rate, length = (tables.number(arm, name) for name in ("learning_rate", "sequence_length"))
        if arm not in sizes or not len(tables.of_arm(measure, arm)) or not rate or not length:
            continue
        rows[arm] = {
            "parameters": float(np.log2(sizes[arm])),
            "learning_rate": float(np.log2(rate)),
            "sequence_length": float(np.log2(length)),
            "optimizer": float(tables.setting(arm, "optimizer") == "adamw"),
        }
    columns = {name: np.array([row[name] for row in rows.values()]) for name in _FACTORS}
    varied = {name: of_A for name, of_A in columns.items() if of_A.size and np.ptp(of_A) > 1e-9}
    return list(rows), {name: of_A - of_A.mean() for name, of_A in varied.items()}


def _bent(model: Array, design: dict[str, Array]) -> Array:
    """The model with what bends: squares and the product of size and rate, where arms allow.

    Loss bends over the logarithm of a rate, and more so for small models. A straight line would
    hand what it misses to the factors beside it, to the optimizer's with the wrong sign even.
    """
    curved = [n for n in ("parameters", "learning_rate") if len(np.unique(design.get(n, []))) > 2]
    more = [design[name] ** 2 for name in curved]
    if len(curved) == 2:
        more.append(design[curved[0]] * design[curved[1]])
    bent = np.column_stack([model, *more])
    fits = np.linalg.matrix_rank(bent) == bent.shape[1] < len(model) - 2
    return bent if fits else model


def _effect(model: Array, place: int, values_SxA: Array) -> tuple[Array, float, float]:
    """A factor's coefficient by seed, its partial correlation over means, and p over seeds."""
    effects_S = np.linalg.lstsq(model, values_SxA.T, rcond=None)[0][place]
    others = np.delete(model, place, axis=1)
    both = np.column_stack([model[:, place], values_SxA.mean(axis=0)])
    left = both - others @ np.linalg.lstsq(others, both, rcond=None)[0]
    lengths = np.sqrt((left**2).sum(axis=0))
    r = float(left[:, 0] @ left[:, 1] / lengths.prod()) if lengths.min() > 1e-12 else float("nan")
    p = t_p(effects_S)
    return effects_S, r, float("nan") if p is None else p


def arm_answers(tables: ScalingTables) -> tuple[Answer, ...]:
    """Every trained arm against the control in overall score and in loss, one family."""
    control = tables.control
    if control is None:
        return ()
    others = [arm for arm in tables.trained if arm != control]
    scores = [_against(tables, OVERALL, arm, control, 100.0) for arm in others]
    losses = [_against(tables, tables.loss, arm, control, 1.0) for arm in others]
    return answers([*scores, *losses])


def _against(
    tables: ScalingTables, metric: str, arm: str, control: str, scale: float
) -> Comparison:
    both = scale * tables.by_seed(metric, [arm, control])
    is_score = metric == OVERALL
    level = scale * float(tables.of_arm(metric, control).mean())
    known = np.isfinite(level) and level > 0
    margin = scale * SCORE_MARGIN
    if not is_score:
        margin = LOSS_MARGIN_SHARE * level if known else LOSS_MARGIN_SHARE
    bits = "bits a byte" if metric.endswith("bits_per_byte") else "nats a token"
    return Comparison(
        question=arm,
        first=arm,
        second=control,
        at="overall score" if is_score else "loss",
        unit="points" if is_score else bits,
        differences=pd.Series(both[arm] - both[control], dtype=float),
        reference=float(both[control].mean()) if len(both) and not is_score else None,
        margin=margin,
    )
