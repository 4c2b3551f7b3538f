"""What a study measured of its mechanism, at the last generation and beside the control."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analysis.claims.effects import Effect, effect, own_values, paired_differences
from analysis.metrics import is_error
from analysis.study import StudyRecord, metric_values

WHOLE = "drift/all"
GRADIENTS = (
    *("gradient/norm", "gradient/signal_share"),
    *("gradient/cosine_to_g0", "gradient/cosine_to_previous"),
    *("gradient/own/norm", "gradient/own/cosine_to_g0"),
)
LANDSCAPE = ("landscape/rise_half_nats", "landscape/rise_nats")
_STEMS = ("drift/", "drift_from_previous/", "cka/", "gradient/", "landscape/", "activation/")


@dataclass(frozen=True)
class ArmEnd:
    """One metric of one arm at the last generation measured.

    Attributes:
        metric: its name.
        arm: the arm.
        mean: over seeds.
        n_seeds: how many.
        difference: from the control, seed by seed; None for the control, or without one.
    """

    metric: str
    arm: str
    mean: float
    n_seeds: int
    difference: Effect | None


@dataclass(frozen=True)
class MechanismFindings:
    """What a study says of its mechanism.

    Attributes:
        record: the study.
        generation: the last one of which any chain's drift was measured.
        ends: every measured metric of every arm there.
        similar_layers: metrics of CKA, first layer to last.
        rank_layers: metrics of the rank of activations, first layer to last.
    """

    record: StudyRecord
    generation: int
    ends: tuple[ArmEnd, ...]
    similar_layers: tuple[str, ...]
    rank_layers: tuple[str, ...]

    def end(self, metric: str, arm: str) -> ArmEnd | None:
        """One metric of one arm at the last generation measured."""
        return next((one for one in self.ends if (one.metric, one.arm) == (metric, arm)), None)

    def told_arms(self, metric: str) -> tuple[str, ...]:
        """The arm that is furthest from its control, and that control."""
        means = {one.arm: one.mean for one in self.ends if one.metric == metric}
        control_of = self.record.control_of

        def distance(arm: str) -> float:
            return abs(means[arm] - means.get(control_of(arm) or "", 0.0))

        others = [arm for arm in self.record.pictured_arms if arm != self.record.control]
        most = sorted((arm for arm in others if arm in means), key=distance)[-1:]
        control = control_of(most[0]) if most else self.record.control
        return tuple(arm for arm in (*most, control) if arm in means)

    def least_similar(self) -> str | None:
        """The layer whose CKA is lowest in any arm at the last generation measured."""
        ends = [one for one in self.ends if one.metric in self.similar_layers]
        return min(ends, key=lambda one: one.mean).metric if ends else None


def mechanism_findings(record: StudyRecord) -> MechanismFindings | None:
    """Work out everything; None where the stage `mechanism` was not run on later generations."""
    names, drift = _measured(record), metric_values(record, WHOLE)
    if record.generations == 0 or drift.empty:
        return None
    last = int(drift.index.get_level_values("generation").max())
    return MechanismFindings(
        record,
        last,
        tuple(
            found
            for metric in names
            for arm in record.arms
            if (found := _end(record, metric, arm, last)) is not None
        ),
        _layers(names, r"cka/.+"),
        _layers(names, r"activation/.+/participation_ratio"),
    )


def ends_table(found: MechanismFindings) -> pd.DataFrame:
    """The ends of every arm, one row a metric, with their differences from the control."""
    rows = []
    for one in found.ends:
        other = one.difference
        low, high = (other.interval if other else None) or (None, None)
        rows.append(
            {
                "metric": one.metric,
                "arm": one.arm,
                "n_seeds": one.n_seeds,
                "mean": one.mean,
                "difference": other.mean if other else None,
                "lower": low,
                "upper": high,
                "p": other.p if other else None,
                "least_p": other.least_p if other else None,
            }
        )
    return pd.DataFrame(rows)


def _measured(record: StudyRecord) -> list[str]:
    names = dict.fromkeys(record.measurements["metric"])
    return [name for name in names if name.startswith(_STEMS) and not is_error(name)]


def _end(record: StudyRecord, metric: str, arm: str, last: int) -> ArmEnd | None:
    values = own_values(record, metric, arm, last).differences
    if not len(values):
        return None
    difference = None
    control = record.control_of(arm)
    if control is not None and arm != control:
        pairs = paired_differences(record, metric, arm, control, last)
        difference = effect(pairs.differences) if len(pairs.differences) else None
    return ArmEnd(metric, arm, float(values.mean()), len(values), difference)


def _layers(names: Sequence[str], pattern: str) -> tuple[str, ...]:
    """The names of a kind: layers without a number first, the others by their number."""

    def place(name: str) -> int:
        number = re.search(r"layer_(\d+)", name)
        return int(number[1]) if number else -1

    return tuple(sorted((n for n in names if re.fullmatch(pattern, n)), key=place))


def has_values(record: StudyRecord, metrics: Sequence[str]) -> tuple[str, ...]:
    """Those of some metrics that were measured in the planned chains."""
    return tuple(metric for metric in metrics if len(metric_values(record, metric)))
