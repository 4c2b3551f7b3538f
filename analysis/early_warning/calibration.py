"""What healthy chains of a study do to an indicator, and the threshold that follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.early_warning.exceedance import (
    FIRST_ALARM,
    LEAST_OTHERS,
    Array,
    has_no_spread,
    outside_all,
    seed_scores,
    whole_seeds,
)
from analysis.early_warning.indicators import Indicator
from analysis.early_warning.threshold import (
    Threshold,
    allowed_alarms,
    lax_alarms,
    threshold_at,
)
from analysis.study import StudyRecord, metric_values


@dataclass(frozen=True, eq=False)
class Calibration:
    """An indicator with its threshold, or the reason why it has none.

    Attributes:
        indicator: the indicator.
        control: the arm that all others are compared with.
        healthy_arms: the other arms of human text alone on which it was measured; none that is
            trained otherwise than the control.
        healthy_AxSxG: each of them minus the control, by all seeds of the study and generation
            from 1; nan where a pair is missing.
        scores_S: score of each control seed, nan where it does not count.
        threshold: at the false alarms that all indicators share; None where there is none.
        lax: a threshold that is surely not too strict, to refute at; None where there is none.
        refusal: why there is no threshold, in one sentence; empty where there is one.
    """

    indicator: Indicator
    control: str
    healthy_arms: tuple[str, ...]
    healthy_AxSxG: Array
    scores_S: Array
    threshold: Threshold | None
    lax: Threshold | None
    refusal: str

    def z_of(self, difference_SxG: Array) -> Array:
        """How far chains lie outside the healthy ones, in the indicator's direction."""
        return outside_all(difference_SxG, self.healthy_AxSxG, self.indicator.sign)


def calibrate(record: StudyRecord, indicator: Indicator, control: str | None) -> Calibration:
    """Set an indicator's threshold on the healthy chains of a study.

    Args:
        record: the study.
        indicator: the indicator.
        control: the arm that all others are compared with, itself of human text alone.
    """
    shape = (0, len(record.seeds), record.generations)
    refusal = _cannot_compare(record, control)
    if control is None or refusal:
        nothing = np.full(shape[1], np.nan)
        return Calibration(
            indicator, control or "", (), np.empty(shape), nothing, None, None, refusal
        )
    pairs = {
        arm: difference_of(record, indicator.metric, arm, control)
        for arm in _others(record, control)
    }
    pairs = {arm: pair for arm, pair in pairs.items() if np.isfinite(pair).any()}
    healthy_AxSxG = np.array(list(pairs.values())) if pairs else np.empty(shape)
    refusal = _cannot_calibrate(indicator, control, pairs)
    scores_S = np.full(shape[1], np.nan) if refusal else seed_scores(healthy_AxSxG)
    n = int(np.isfinite(scores_S).sum())
    if not refusal and not n:
        refusal = f"{indicator.label} was measured at no two generations in a row."
    return Calibration(
        *(indicator, control, tuple(pairs), healthy_AxSxG, scores_S),
        None if refusal else threshold_at(scores_S, allowed_alarms(n)),
        None if refusal else threshold_at(scores_S, lax_alarms(n)),
        refusal,
    )


def difference_of(record: StudyRecord, metric: str, arm: str, control: str) -> Array:
    """An arm minus a control, (S, G): all seeds, generations from 1; nan where one is missing."""
    values = metric_values(record, metric)
    axes = list(record.seeds), list(range(1, record.generations + 1))
    both = [
        values[values.index.get_level_values("arm") == name]
        .droplevel("arm")
        .unstack("generation")
        .reindex(index=axes[0], columns=axes[1])
        .to_numpy(float)
        for name in (arm, control)
    ]
    return np.asarray(both[0] - both[1])


def starts_apart(record: StudyRecord, *arms: str) -> str:
    """Why these arms may not be compared, or nothing.

    A generation that starts fresh and one that starts from its parent are different experiments,
    never pooled (DESIGN 4). Arms that the record says nothing of start as the study does.
    """
    starts = record.starts
    found = {arm: starts.get(arm, record.settings.get("start")) for arm in arms}
    if len(set(found.values())) < 2:
        return ""
    told = ", ".join(f"{arm} from {start}" for arm, start in found.items())
    return f"Generations do not all start alike ({told}): such chains are never compared."


def _others(record: StudyRecord, control: str | None) -> list[str]:
    """The arms of human text alone beside the control, as far as they are trained as it is."""
    return [arm for arm in record.healthy_arms if arm != control and not record.changes.get(arm)]


def _cannot_compare(record: StudyRecord, control: str | None) -> str:
    """Why the study has nothing to compare with, or nothing."""
    others = _others(record, control)
    if control is None or control not in record.arms:
        return "There is no control: an alarm is an excess over chains that did not collapse."
    if record.generations < FIRST_ALARM:
        return (
            f"The study ends at generation {record.generations}: an alarm takes two exceedances in "
            f"a row, so none can be seen before generation {FIRST_ALARM}."
        )
    if control not in record.healthy_arms:
        return f"The control {control} reads more than human text: its chains are not healthy."
    if not others:
        return (
            f"It cannot be calibrated: beside the control {control} there is no second arm of "
            "human text alone (fresh or static), and the rate of false alarms is known from such "
            "pairs only."
        )
    return starts_apart(record, control, *others)


def _cannot_calibrate(indicator: Indicator, control: str, pairs: Mapping[str, Array]) -> str:
    """Why these pairs make no threshold, or nothing."""
    label = indicator.label
    if not pairs:
        return f"{label} was not measured on {control} and a second healthy arm."
    n_seeds = int(whole_seeds(np.array(list(pairs.values()))).sum())
    if n_seeds <= LEAST_OTHERS:
        return (
            f"{label} was measured on {n_seeds} whole healthy seed{'s' * (n_seeds != 1)}; a "
            f"threshold takes {LEAST_OTHERS + 1} at least."
        )
    if any(has_no_spread(pair) for pair in pairs.values()):
        return (
            f"{label} differs equally between the healthy arms of all seeds at some generation: "
            "without a spread any difference would be an alarm."
        )
    return ""
