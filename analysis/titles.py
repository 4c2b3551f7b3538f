"""Findings in words, computed from the data, for the titles of figures."""

from dataclasses import dataclass

from analysis.metrics import MINUS, Metric, metric_info
from analysis.study import StudyRecord, metric_values

# Smaller changes than these are told as none.
_LEVEL_RATIO = 0.05
_LEVEL_DIFFERENCE = 0.005
_LEVEL_SHARE = 0.02


@dataclass(frozen=True)
class ArmChange:
    """How a metric moved in one arm, in the chains that have both ends.

    Attributes:
        arm: the arm.
        start: mean over seeds at generation 0.
        end: mean over the same seeds at the last generation that was measured.
    """

    arm: str
    start: float
    end: float


def finding(record: StudyRecord, metric: str) -> str:
    """What a metric did, in one sentence without a full stop.

    Of more than two arms it names the control and the one that moved most against it; where there
    is no control, the one that moved most.

    Args:
        record: the study.
        metric: the metric's name.

    Returns:
        Such as "KL from the truth grows 4.1× under replace and 1.1× under fresh".
    """
    info, drawn = metric_info(metric), record.pictured_arms
    changes = tuple(one for one in arm_changes(record, metric) if one.arm in drawn)
    if not changes:
        return _at_one_generation(record, info)
    told = _told(record, changes)
    words = [f"{_in_words(info, change)} under {change.arm}" for change in told]
    # Two arms alike share one verb: "grows 4.1× under replace and 1.1× under fresh".
    if len(words) == 2 and words[0].split(" ")[0] == words[1].split(" ")[0]:
        words[1] = words[1].split(" ", 1)[1]
    others = len(changes) - len(told)
    rest = f" ({others} more arm{'s' * (others != 1)} shown)" if others else ""
    return f"{info.label} {' and '.join(words)}{rest}"


def arm_changes(record: StudyRecord, metric: str) -> tuple[ArmChange, ...]:
    """Start and end of each arm that reaches the last measured generation, arms in order."""
    values = metric_values(record, metric)
    if values.empty:
        return ()
    last = int(values.index.get_level_values("generation").max())
    changes = []
    for arm in record.arms if last > 0 else ():
        pairs = [(values.get((arm, s, 0)), values.get((arm, s, last))) for s in record.seeds]
        both = [(float(a), float(b)) for a, b in pairs if a is not None and b is not None]
        if both:
            start, end = (sum(column) / len(both) for column in zip(*both, strict=True))
            changes.append(ArmChange(arm, start, end))
    return tuple(changes)


def _told(record: StudyRecord, changes: tuple[ArmChange, ...]) -> list[ArmChange]:
    """The arm that moved most against the control, and the control."""
    control = next((change for change in changes if change.arm == record.control), None)
    if len(changes) <= 2:
        return sorted(changes, key=lambda change: change is control)
    reference = control.end - control.start if control else 0.0
    others = [change for change in changes if change is not control]
    most = max(others, key=lambda change: abs(change.end - change.start - reference))
    return [most, control] if control else [most]


def _in_words(info: Metric, change: ArmChange) -> str:
    """A verb first, then by how much."""
    start, end = change.start, change.end
    if info.change == "ratio" and start > 0:
        ratio = end / start
        if abs(ratio - 1) < _LEVEL_RATIO:
            return f"stays level ({ratio:.2f}×)"
        return f"grows {ratio:.1f}×" if ratio > 1 else f"shrinks to {ratio:.2f}×"
    if info.change == "difference":
        if abs(end - start) < _LEVEL_DIFFERENCE:
            return "stays level"
        return f"{'rises' if end > start else 'falls'} {abs(end - start):.2f} {info.unit}".rstrip()
    level = _LEVEL_SHARE if info.is_share else _LEVEL_RATIO * abs(start)
    if abs(end - start) <= level:
        return f"stays at {_end(info, end)}"
    return f"{'rises' if end > start else 'falls'} from {_end(info, start)} to {_end(info, end)}"


def _end(info: Metric, value: float) -> str:
    """A value as coarse as a title wants it."""
    if info.is_share:
        return f"{100 * value:.0f} %"
    if not 0.01 <= abs(value) < 1000:
        return info.write(value)
    return f"{value:.2f}".replace("-", MINUS)


def _at_one_generation(record: StudyRecord, info: Metric) -> str:
    """The title where no chain has both generation 0 and a later one."""
    values = metric_values(record, info.name)
    if values.empty:
        return f"{info.label}: not measured"
    first = int(values.index.get_level_values("generation").min())
    mean = float(values.xs(first, level="generation").mean())
    unit = "" if info.is_share else f" {info.unit}"
    return f"{info.label} is {info.write(mean)}{unit} at generation {first}".replace("  ", " ")
