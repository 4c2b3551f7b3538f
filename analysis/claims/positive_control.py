"""The positive control: decline where there must be some, and none where there is none."""

from dataclasses import dataclass

from analysis.study import StudyRecord, metric_values

KL_METRICS = ("truth/kl_nats_per_token", "truth/kl_nats_per_story")
REPLACE_LEAST_RATIO = 1.5
FRESH_MOST_RATIO = 1.25

_NOT_MET = {
    "replace": "there is too little decline here to learn anything about signals of decline.",
    "fresh": "the control declines as well, so decline elsewhere is not recursion's alone.",
}


@dataclass(frozen=True)
class ControlCheck:
    """The positive control of one chain: KL at the last generation over KL at generation 0.

    Attributes:
        arm: its name.
        kind: replace or fresh.
        seed: the chain's seed.
        ratio: None where either value is missing or the first is not positive.
        wanted: what the ratio should be, in words.
        is_met: whether it is so; None where it was not measured.
    """

    arm: str
    kind: str
    seed: int
    ratio: float | None
    wanted: str
    is_met: bool | None


def positive_control(record: StudyRecord) -> tuple[ControlCheck, ...]:
    """Whether the study can show decline where there must be some, and none where there is none.

    A study whose replace arm does not drift from the truth, or whose fresh arm does, can't say
    anything of the signals that are to be found on the way.

    Args:
        record: the study.

    Returns:
        One check for each seed of the arms that replace their text, or read fresh one, all the
        time, and differ from the control in nothing else; none where the distance from the truth
        is not known, or where nothing follows generation 0.
    """
    kl = next((v for v in (metric_values(record, m) for m in KL_METRICS) if len(v)), None)
    if kl is None or record.generations == 0:
        return ()
    checks = []
    for kind, arm in _judged_arms(record):
        for seed in record.seeds_of(arm):
            first, last = (kl.get((arm, seed, g)) for g in (0, record.generations))
            ratio = None
            if first is not None and last is not None and first > 0:
                ratio = float(last) / float(first)
            checks.append(_check(arm, kind, seed, ratio))
    return tuple(checks)


def _judged_arms(record: StudyRecord) -> list[tuple[str, str]]:
    kinds = {arm: record.kinds.get(arm, arm) for arm in record.arms}
    plain = [arm for arm in kinds if arm not in {*record.changes, *record.returns}]
    return [(kind, arm) for kind in ("replace", "fresh") for arm in plain if kinds[arm] == kind]


def _check(arm: str, kind: str, seed: int, ratio: float | None) -> ControlCheck:
    if kind == "replace":
        wanted, is_met = f"at least {REPLACE_LEAST_RATIO}", ratio and ratio >= REPLACE_LEAST_RATIO
    else:
        wanted, is_met = f"below {FRESH_MOST_RATIO}", ratio and ratio < FRESH_MOST_RATIO
    return ControlCheck(arm, kind, seed, ratio, wanted, None if ratio is None else bool(is_met))


def positive_control_in_words(checks: tuple[ControlCheck, ...]) -> str:
    """One sentence: met, not met (and by whom), or not measured."""
    if not checks:
        return (
            "Not available: the distance from the truth was not measured after generation 0 "
            "in an arm of kind replace or fresh."
        )
    unknown = [f"{c.arm} seed {c.seed}" for c in checks if c.is_met is None]
    absent = [kind for kind in ("replace", "fresh") if kind not in {c.kind for c in checks}]
    parts = [
        f"NOT met by {failed}: {_NOT_MET[kind]}"
        for kind in ("replace", "fresh")
        if (failed := _failed(checks, kind))
    ]
    if not parts and not unknown and not absent:
        parts.append("Met by every chain.")
    elif not parts and any(c.is_met for c in checks):
        parts.append("Met by every chain that could be checked, but it is not complete.")
    if unknown:
        parts.append(f"Not measured for {', '.join(unknown)}.")
    if absent:
        parts.append(f"The study has no arm of kind {' and none of kind '.join(absent)}.")
    return " ".join(parts)


def _failed(checks: tuple[ControlCheck, ...], kind: str) -> str:
    """The chains of a kind that missed what was wanted, with their ratios."""
    missed = [c for c in checks if c.kind == kind and c.is_met is False]
    return ", ".join(f"{c.arm} seed {c.seed} ({c.ratio:.2f})" for c in missed)
