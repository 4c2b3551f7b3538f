"""What recursion costs under changed settings, beyond a control with the same changes.

The cost of an arm is the loss on human text at the last generation minus that of the control that
was trained alike: a change that makes every model better or worse is in both. What the change does
is the arm's cost minus that of the arm in which nothing is changed, seed by seed. All changes are
corrected together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.ablations.settings import is_number
from analysis.claims.effects import Effect, effect, paired_differences
from analysis.families import family_p, least_family_p
from analysis.inference.family import primary_claim
from analysis.statistics import ALPHA
from analysis.study import StudyRecord

METRIC = "human/nll_nats"
_TOKENS = frozenset({"tokenizer", "tokenizer_documents", "vocabulary_size", "corpus"})
"""Settings that make a token another thing, so that nats a token are not to be compared."""


@dataclass(frozen=True, eq=False)
class Ablation:
    """What recursion costs one arm.

    Attributes:
        arm: the arm.
        control: the one that was trained as it was, on human text.
        changes: the settings in which both differ from the study's.
        seeds: those that have both at the last generation.
        cost_N: arm minus control, by seed, in nats a token.
        change_N: that minus the cost of the arm in which nothing is changed; nan for seeds that
            lack it.
        p_corrected: of a change against none, over all changes; None where it is not known.
        least_corrected: the p_corrected that it would have were all its differences alike.
    """

    arm: str
    control: str
    changes: Mapping[str, object]
    seeds: tuple[int, ...]
    cost_N: NDArray[np.float64]
    change_N: NDArray[np.float64]
    p_corrected: float | None = None
    least_corrected: float | None = None

    @cached_property
    def cost(self) -> Effect:
        """What recursion costs."""
        return effect(self.cost_N)

    @cached_property
    def change(self) -> Effect:
        """What the changed settings do to the cost."""
        return effect(self.change_N[np.isfinite(self.change_N)])

    @property
    def holds(self) -> bool:
        """Whether the change is told from none, after correction."""
        return self.p_corrected is not None and self.p_corrected <= ALPHA


@dataclass(frozen=True, eq=False)
class AblationFindings:
    """What a study's changed settings do to what recursion costs.

    Attributes:
        record: the study.
        reference: the arm in which nothing is changed.
        ablations: the changed ones, those of one setting together, by its value.
        left_out: changed arms that could not be judged, with the reason.
    """

    record: StudyRecord
    reference: Ablation
    ablations: tuple[Ablation, ...]
    left_out: Mapping[str, str]


def ablation_findings(record: StudyRecord) -> AblationFindings | None:
    """Work out everything; None for a study that changes nothing, or has no arm to hold it to."""
    unchanged = _reference_arm(record)
    if unchanged is None or not record.is_recursion:
        return None
    reference = _ablation(record, unchanged, None)
    left_out = _left_out(record, unchanged)
    arms = [
        arm
        for arm in record.arms
        if record.changes.get(arm) and arm not in left_out and _reads_own(record, arm)
    ]
    every = [_ablation(record, arm, reference) for arm in arms]
    found = [one for one in every if np.isfinite(one.change_N).any()]
    left_out |= {one.arm: "not measured" for one in every if one not in found}
    if not found:
        return None
    return AblationFindings(record, reference, _in_order(_corrected(record, found)), left_out)


def ablations_table(found: AblationFindings) -> pd.DataFrame:
    """One row an arm, the one without changes first, for a file; missing numbers are nan."""
    rows = []
    for one in (found.reference, *found.ablations):
        row: dict[str, object] = {
            "arm": one.arm,
            "control": one.control,
            "changes": ", ".join(f"{name}={value}" for name, value in one.changes.items()),
            "n_seeds": len(one.seeds),
        }
        for name, what in (("cost", one.cost), ("change", one.change)):
            low, high = what.interval or (np.nan, np.nan)
            ends = {f"{name}_lower": low, f"{name}_upper": high}
            row |= {f"{name}_nats": what.mean} | ends | {f"{name}_p": what.p}
        rows.append(row | {"p_corrected": one.p_corrected, "least_p": one.least_corrected})
    return pd.DataFrame(rows)


def _reference_arm(record: StudyRecord) -> str | None:
    """The arm that shows recursion with nothing changed: of the first claim, else the first."""
    primary = primary_claim(record)
    claimed = [primary.contrast[0]] if primary else []
    fits = (
        arm
        for arm in (*claimed, *record.arms)
        if arm in record.controls
        and not record.changes.get(arm)
        and arm not in record.returns
        and _reads_own(record, arm)
    )
    return next(fits, None)


def _reads_own(record: StudyRecord, arm: str) -> bool:
    return arm not in record.healthy_arms


def _left_out(record: StudyRecord, reference: str) -> dict[str, str]:
    """Why changed arms cannot be judged."""
    found = {}
    for arm in record.arms:
        changed = record.changes.get(arm, {})
        if not changed or not _reads_own(record, arm):
            continue
        if arm not in record.controls:
            found[arm] = "no arm reads human text with the same settings"
        elif record.kinds.get(arm) != record.kinds.get(reference) or arm in record.returns:
            found[arm] = f"it reads something else than {reference}"
        elif _TOKENS & changed.keys():
            found[arm] = "its tokens are other tokens, and so are nats a token"
    return found


def _ablation(record: StudyRecord, arm: str, reference: Ablation | None) -> Ablation:
    control = record.controls[arm]
    pairs = paired_differences(record, METRIC, arm, control, record.generations)
    known = dict(zip(reference.seeds, reference.cost_N, strict=True)) if reference else {}
    less_N = np.array([known.get(seed, np.nan) for seed in pairs.seeds])
    changed = record.changes.get(arm, {})
    return Ablation(
        arm, control, changed, pairs.seeds, pairs.differences, pairs.differences - less_N
    )


def _in_order(found: Sequence[Ablation]) -> tuple[Ablation, ...]:
    """Those that change the same settings together, by the value of the first where it counts."""
    groups = list(dict.fromkeys(tuple(one.changes) for one in found))

    def place(one: Ablation) -> tuple[int, float]:
        value = next(iter(one.changes.values()))
        return groups.index(tuple(one.changes)), value if is_number(value) else 0.0

    return tuple(sorted(found, key=place))


def _corrected(record: StudyRecord, found: Sequence[Ablation]) -> list[Ablation]:
    """All changes with their p, corrected together; each must have been measured."""
    columns = {one.arm: dict(zip(one.seeds, one.change_N, strict=True)) for one in found}
    joint_NxM = pd.DataFrame(columns, index=list(record.seeds), dtype=float).dropna(how="all")
    ends = zip(family_p(joint_NxM), least_family_p(joint_NxM), strict=True)
    return [
        replace(one, p_corrected=float(p), least_corrected=float(least))
        for one, (p, least) in zip(found, ends, strict=True)
    ]
